/** Parses a URL as Go does, with Go's error messages. Upstream: Go's net/url. */
import { goQuote } from "../../base/go-quote.ts";
import { parseIp } from "./ip.ts";

export interface GoUrl {
  /** In lower case. */
  readonly scheme: string;
  readonly host: string;
  /** As it would be written; undefined without an `@`. */
  readonly user: string | undefined;
  readonly query: string;
  readonly fragment: string;
}

/** A text is what is wrong. */
export function parseGoUrl(text: string): GoUrl | string {
  try {
    return parse(text);
  } catch (error) {
    if (!(error instanceof UrlError)) throw error;
    return `parse ${goQuote(text)}: ${error.message}`;
  }
}

class UrlError extends Error {}

function parse(text: string): GoUrl {
  const [whole, fragment] = cut(text, "#");
  if ([...whole].some((letter) => letter < " " || letter === "\u007f"))
    throw new UrlError("net/url: invalid control character in URL");
  const none = { scheme: "", host: "", user: undefined, query: "" };
  const url = whole === "*" ? none : parseWhole(whole);
  return { ...url, fragment: unescaped(fragment) };
}

function parseWhole(text: string): Omit<GoUrl, "fragment"> {
  if (text.startsWith(":")) throw new UrlError("missing protocol scheme");
  const found = /^([a-zA-Z][a-zA-Z0-9+.-]*):/.exec(text)?.[1];
  const scheme = (found ?? "").toLowerCase();
  const [rest, query] = cut(found === undefined ? text : text.slice(found.length + 1), "?");
  const url = { scheme, host: "", user: undefined, query };
  if (!rest.startsWith("/")) {
    if (scheme !== "") return url;
    if (cut(rest, "/")[0].includes(":")) throw new UrlError("first path segment in URL cannot contain colon");
  }
  const hasAuthority = rest.startsWith("//") && (scheme !== "" || !rest.startsWith("///"));
  if (!hasAuthority) {
    unescaped(rest);
    return url;
  }
  const [authority] = cut(rest.slice(2), "/");
  const place = parseAuthority(scheme, authority);
  unescaped(rest.slice(2 + authority.length));
  return { ...url, ...place };
}

function parseAuthority(scheme: string, authority: string): Pick<GoUrl, "host" | "user"> {
  const at = authority.lastIndexOf("@");
  const host = parseHost(scheme, authority.slice(at + 1));
  if (at < 0) return { host, user: undefined };
  const user = authority.slice(0, at);
  if (!/^[A-Za-z0-9\-._:~!$&'()*+,;=%@]*$/.test(user)) throw new UrlError("net/url: invalid userinfo");
  const [name, password] = cut(user, ":");
  const shown = [name, ...(user.includes(":") ? [password] : [])].map((part) => escapedUser(unescaped(part)));
  return { host, user: shown.join(":") };
}

function parseHost(scheme: string, host: string): string {
  const open = host.lastIndexOf("[");
  if (open > 0) throw new UrlError("invalid IP-literal");
  if (open === 0) {
    const close = host.lastIndexOf("]");
    if (close < 0) throw new UrlError("missing ']' in host");
    checkPort(host.slice(close + 1));
    const address = unescapedHost(host.slice(1, close));
    const ip = parseIp(address.replace(/%.*$/s, ""));
    if (ip === undefined) throw new UrlError(`invalid host: ParseAddr(${goQuote(address)}): unable to parse IP`);
    if (ip.family === 4 && !address.includes(":")) throw new UrlError("invalid IP-literal");
    return `[${address}]${host.slice(close + 1)}`;
  }
  const first = host.indexOf(":");
  const isWeb = scheme === "http" || scheme === "https";
  if (first >= 0) checkPort(host.slice(isWeb ? first : host.lastIndexOf(":")));
  return unescapedHost(host);
}

function checkPort(port: string): void {
  if (!/^(:\d*)?$/.test(port)) throw new UrlError(`invalid port ${goQuote(port)} after host`);
}

function unescapedHost(text: string): string {
  for (const [found, escape, other] of text.matchAll(/(%.{0,2})|(\p{ASCII})/gsu)) {
    if (escape !== undefined) {
      if (!/^%[0-9a-fA-F]{2}$/.test(escape) || (Number.parseInt(escape[1]!, 16) < 8 && escape !== "%25"))
        throw new UrlError(`invalid URL escape ${goQuote(escape)}`);
    } else if (other !== undefined && !/[A-Za-z0-9\-_.~!$&'()*+,;=:[\]<>"]/.test(found))
      throw new UrlError(`invalid character ${goQuote(found)} in host name`);
  }
  return bytesOf(text);
}

function unescaped(text: string): string {
  for (const [escape] of text.matchAll(/%.{0,2}/gsu))
    if (!/^%[0-9a-fA-F]{2}$/.test(escape)) throw new UrlError(`invalid URL escape ${goQuote(escape)}`);
  return bytesOf(text);
}

const bytesOf = (text: string): string =>
  Buffer.from(
    [
      ...Buffer.from(text)
        .toString("latin1")
        .matchAll(/%([0-9a-fA-F]{2})|([^])/g),
    ].map(([, hex, letter]) => (hex === undefined ? letter!.charCodeAt(0) : Number.parseInt(hex, 16))),
  ).toString();

const escapedUser = (text: string): string =>
  [...Buffer.from(text)]
    .map((byte) => {
      const letter = String.fromCharCode(byte);
      return /[A-Za-z0-9\-_.~$&+,;=]/.test(letter) ? letter : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
    })
    .join("");

function cut(text: string, separator: string): [string, string] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + separator.length)];
}
