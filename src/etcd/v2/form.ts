/** Parses queries and forms as Go's net/url does, with its error messages. */
import { V2Error } from "./errors.ts";

/** The first value of each name, as upstream looks at no other. */
export type Form = ReadonlyMap<string, string>;

export class EscapeError extends Error {}

/** Percent escapes are bytes; together they are text in UTF-8. */
export function unescape(text: string, plusIsSpace: boolean): string {
  const spaced = plusIsSpace ? text.replaceAll("+", " ") : text;
  if (!spaced.includes("%")) return spaced;
  const parts: Buffer[] = [];
  for (let at = 0; at < spaced.length;) {
    const escape = spaced.indexOf("%", at);
    if (escape !== at) {
      const plain = escape < 0 ? spaced.slice(at) : spaced.slice(at, escape);
      parts.push(Buffer.from(plain));
      at += plain.length;
      continue;
    }
    const hex = /^%([0-9A-Fa-f]{2})/.exec(spaced.slice(at, at + 3));
    if (hex === null) throw new EscapeError(`invalid URL escape ${JSON.stringify(spaced.slice(at, at + 3))}`);
    parts.push(Buffer.from(hex[1]!, "hex"));
    at += 3;
  }
  return Buffer.concat(parts).toString();
}

/** `texts` in the order in which they count: a body before the query. */
export function parseForm(...texts: readonly string[]): Form {
  const form = new Map<string, string>();
  for (const text of texts) {
    for (const pair of text.split("&")) {
      if (pair === "") continue;
      if (pair.includes(";")) throw new V2Error("invalidForm", "invalid semicolon separator in query");
      const equals = pair.indexOf("=");
      try {
        const name = unescape(equals < 0 ? pair : pair.slice(0, equals), true);
        const value = equals < 0 ? "" : unescape(pair.slice(equals + 1), true);
        if (!form.has(name)) form.set(name, value);
      } catch (error) {
        if (!(error instanceof EscapeError)) throw error;
        throw new V2Error("invalidForm", error.message, 0, { cause: error });
      }
    }
  }
  return form;
}

/** Go's strconv.ParseBool. */
export function parseBool(text: string): boolean | undefined {
  if (/^(1|t|T|TRUE|true|True)$/.test(text)) return true;
  if (/^(0|f|F|FALSE|false|False)$/.test(text)) return false;
  return undefined;
}

/** Go's strconv.ParseUint for 64 bits. */
export function parseUint(text: string): bigint | undefined {
  if (!/^[0-9]+$/.test(text)) return undefined;
  const value = BigInt(text);
  return value < 1n << 64n ? value : undefined;
}

/** Go's path.Clean of a path that begins with a slash. */
export function cleanPath(path: string): string {
  const kept: string[] = [];
  for (const part of path.split("/")) {
    if (part === "" || part === ".") continue;
    if (part === "..") kept.pop();
    else kept.push(part);
  }
  return `/${kept.join("/")}`;
}
