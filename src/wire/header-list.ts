/** Turns a list of headers with repetitions into one record, the same for every protocol. */

/** Of these the first counts, of all others every one. */
const SINGLE = new Set(
  [
    ["age", "authorization", "content-length", "content-type", "etag", "expires", "from", "host", "if-match"],
    ["if-modified-since", "if-unmodified-since", "last-modified", "location", "max-forwards", "proxy-authorization"],
    ["referer", "retry-after", "server", "user-agent"],
  ].flat(),
);
/** Headers that name users and groups: a comma in one belongs to the name, so those that repeat stay apart. */
const IDENTITY = /^(impersonate|x-remote)-/;

/** `name` is in small letters. */
export function addHeader(headers: Record<string, string | string[] | number>, name: string, value: string): void {
  const earlier = headers[name];
  if (name === "set-cookie") headers[name] = [...((earlier as string[] | undefined) ?? []), value];
  else if (earlier === undefined) headers[name] = value;
  else if (Array.isArray(earlier)) earlier.push(value);
  else if (IDENTITY.test(name)) headers[name] = [earlier as string, value];
  else if (!SINGLE.has(name)) headers[name] = `${earlier}${name === "cookie" ? "; " : ", "}${value}`;
}
