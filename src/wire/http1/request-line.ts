/** Parses a request line as net/http and net/url do. */
export interface RequestLine {
  readonly method: string;
  /** Path and query. */
  readonly url: string;
  /** Of a target that names one. */
  readonly host: string | undefined;
  readonly major: number;
  readonly minor: number;
}

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** No control characters. */
const PRINTABLE = /^[\x20-\x7e\x80-\xff]*$/;
const SCHEME = /^[A-Za-z][A-Za-z0-9+\-.]*:/;
const BROKEN_ESCAPE = /%(?![0-9A-Fa-f]{2})/;
const AUTHORITY = /^(?:[^@]*@)?(?:\[[0-9A-Za-z:.%\-_~]*\]|[^:[\]%<>"\\^`{|} ]*)(?::\d*)?$/;
/** What nearly all paths are made of. */
const PLAIN = /^\/[!$&'()*+,\-./0-9:;=?@A-Z_a-z~]*$/;

/** Undefined for what is none. */
export function parseRequestLine(line: string): RequestLine | undefined {
  const first = line.indexOf(" ");
  const second = line.indexOf(" ", first + 1);
  if (first < 0 || second < 0) return undefined;
  const method = line.slice(0, first);
  if (!TOKEN.test(method)) return undefined;
  const version = line.slice(second + 1);
  if (version.length !== 8 || !/^HTTP\/\d\.\d$/.test(version)) return undefined;
  const url = line.slice(first + 1, second);
  const major = version.charCodeAt(5) - 48;
  const minor = version.charCodeAt(7) - 48;
  if (PLAIN.test(url)) return { method, url, host: undefined, major, minor };
  const target = targetOf(method === "CONNECT" && !url.startsWith("/") ? `http://${url}` : url);
  return target && { method, ...target, major, minor };
}

function targetOf(url: string): { readonly url: string; readonly host: string | undefined } | undefined {
  if (url === "" || !PRINTABLE.test(url)) return undefined;
  if (url === "*") return { url, host: undefined };
  const scheme = SCHEME.exec(url)?.[0].length ?? 0;
  const mark = url.indexOf("?", scheme);
  const query = mark < 0 ? "" : url.slice(mark);
  let path = url.slice(scheme, mark < 0 ? undefined : mark);
  if (!path.startsWith("/")) return scheme > 0 ? { url: query, host: undefined } : undefined;
  let host: string | undefined;
  if (scheme > 0 && path.startsWith("//")) {
    const end = path.indexOf("/", 2);
    host = path.slice(2, end < 0 ? undefined : end);
    path = end < 0 ? "" : path.slice(end);
    if (!AUTHORITY.test(host)) return undefined;
    host = host.slice(host.indexOf("@") + 1);
  }
  return BROKEN_ESCAPE.test(path) ? undefined : { url: path + query, host: host === "" ? undefined : host };
}
