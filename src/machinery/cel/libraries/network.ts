/**
 * IP addresses, address ranges and URLs.
 *
 * Upstream: staging/src/k8s.io/apiserver/pkg/cel/library/{ip,cidr,urls}.go, pkg/cel/{ip,cidr,url}.go
 */
import { parseIp } from "../../validation/ip.ts";
import { fn, global, member, type Library } from "../environment.ts";
import { BOOL, INT, list, map, opaque, STRING, struct } from "../types.ts";
import { CelError, HashMap, JsonList, Opaque, type Value } from "../values.ts";

export const IP = opaque("net.IP");
export const CIDR = opaque("net.CIDR");
export const URL_TYPE = struct("kubernetes.URL");

const quote = (text: string): string => JSON.stringify(text);

export class IpValue extends Opaque {
  override readonly type = IP;
  readonly family: 4 | 6;
  readonly value: bigint;
  constructor(family: 4 | 6, value: bigint) {
    super();
    this.family = family;
    this.value = value;
  }
  /** In bytes: what costs are counted by. */
  get size(): number {
    return this.family === 4 ? 4 : 16;
  }
  override equals(other: Opaque): boolean {
    return other instanceof IpValue && other.family === this.family && other.value === this.value;
  }
  /** The first `bits` bits are those of `prefix`. */
  starts(prefix: bigint, bits: number): boolean {
    const rest = BigInt((this.family === 4 ? 32 : 128) - bits);
    return this.value >> rest === prefix >> rest;
  }
  override toString(): string {
    return this.family === 4 ? formatV4(this.value) : formatV6(this.value);
  }
}

function formatV4(value: bigint): string {
  return [24n, 16n, 8n, 0n].map((shift) => String((value >> shift) & 255n)).join(".");
}

/** The longest run of zeros becomes `::`, the first of equals. */
function formatV6(value: bigint): string {
  const groups = Array.from({ length: 8 }, (_, i) => ((value >> BigInt(112 - 16 * i)) & 0xffffn).toString(16));
  let best = { from: -1, length: 1 };
  for (let from = 0; from < 8; from++) {
    let length = 0;
    while (from + length < 8 && groups[from + length] === "0") length++;
    if (length > best.length) best = { from, length };
  }
  if (best.from < 0) return groups.join(":");
  return `${groups.slice(0, best.from).join(":")}::${groups.slice(best.from + best.length).join(":")}`;
}

class CidrValue extends Opaque {
  override readonly type = CIDR;
  readonly ip: IpValue;
  readonly bits: number;
  constructor(ip: IpValue, bits: number) {
    super();
    this.ip = ip;
    this.bits = bits;
  }
  get size(): number {
    return Math.ceil(this.bits / 8);
  }
  override equals(other: Opaque): boolean {
    return other instanceof CidrValue && other.bits === this.bits && other.ip.equals(this.ip);
  }
  contains(ip: IpValue): boolean {
    return ip.family === this.ip.family && ip.starts(this.ip.value, this.bits);
  }
  masked(): CidrValue {
    const rest = BigInt((this.ip.family === 4 ? 32 : 128) - this.bits);
    return new CidrValue(new IpValue(this.ip.family, (this.ip.value >> rest) << rest), this.bits);
  }
  override toString(): string {
    return `${this.ip.toString()}/${this.bits}`;
  }
}

function whyNoIp(text: string): string | undefined {
  const failed = (why: string) =>
    `IP Address ${quote(text)} parse error during conversion from string: ParseAddr(${quote(text)}): ${why}`;
  if (text.includes("%")) return `IP address ${quote(text)} with zone value is not allowed`;
  const found = parseIp(text);
  if (found === undefined || (!text.includes(":") && /(^|\.)0\d/.test(text))) {
    if (!/[.:]/.test(text)) return failed("unable to parse IP");
    if (!text.includes(":")) {
      const odd = /[^0-9.].*$/su.exec(text);
      if (odd !== null) return failed(`unexpected character (at ${quote(odd[0])})`);
      if (/(^|\.)0\d/.test(text)) return failed("IPv4 field has octet with leading zero");
      if (text.split(".").some((part) => Number(part) > 255)) return failed("IPv4 field has value >255");
      if (text.split(".").length < 4) return failed("IPv4 address too short");
      return failed("unexpected character");
    }
    return failed("each colon-separated field must have at least one digit");
  }
  if (text.includes(":") && found.family === 4) return `IPv4-mapped IPv6 address ${quote(text)} is not allowed`;
  return undefined;
}

function toIp(text: string): IpValue {
  const why = whyNoIp(text);
  if (why !== undefined) throw new CelError(why);
  const { family, value } = parseIp(text)!;
  return new IpValue(family, value);
}

function whyNoCidr(text: string): string | undefined {
  const failed = (why: string) =>
    `network address parse error during conversion from string: network address parse error during conversion from string: netip.ParsePrefix(${quote(text)}): ${why}`;
  const slash = text.lastIndexOf("/");
  if (slash < 0) return failed("no '/'");
  const address = text.slice(0, slash);
  const bits = text.slice(slash + 1);
  const why = whyNoIp(address);
  if (why !== undefined)
    return address.includes(":") && parseIp(address)?.family === 4
      ? `IPv4-mapped IPv6 address ${quote(text)} is not allowed`
      : failed(why.replace(/^.*from string: /, ""));
  if (!/^(0|[1-9]\d*)$/.test(bits)) return failed(`bad bits after slash: ${quote(bits)}`);
  if (Number(bits) > (address.includes(":") ? 128 : 32)) return failed("prefix length out of range");
  return undefined;
}

function toCidr(text: string): CidrValue {
  const why = whyNoCidr(text);
  if (why !== undefined) throw new CelError(why);
  const [address, bits] = text.split("/") as [string, string];
  return new CidrValue(toIp(address), Number(bits));
}

const v6 = (text: string): bigint => parseIp(text)!.value;
const within = (
  value: IpValue,
  v4: readonly [string, number] | undefined,
  six: readonly [string, number] | undefined,
): boolean => {
  const range = value.family === 4 ? v4 : six;
  return range !== undefined && value.starts(v6(range[0]), range[1]);
};
const isUnspecified = ({ value }: IpValue) => value === 0n;
const isLoopback = (ip: IpValue) => within(ip, ["127.0.0.0", 8], ["::1", 128]);
const isLinkLocalMulticast = (ip: IpValue) =>
  within(ip, ["224.0.0.0", 24], ["ff02::", 16]) && (ip.family === 4 || ((ip.value >> 112n) & 0xff0fn) === 0xff02n);
const isLinkLocalUnicast = (ip: IpValue) => within(ip, ["169.254.0.0", 16], ["fe80::", 10]);
const isMulticast = (ip: IpValue) => within(ip, ["224.0.0.0", 4], ["ff00::", 8]);
const isGlobalUnicast = (ip: IpValue) =>
  !isUnspecified(ip) &&
  !isLoopback(ip) &&
  !isMulticast(ip) &&
  !isLinkLocalUnicast(ip) &&
  !(ip.family === 4 && ip.value === 0xffffffffn);

export const network: Library = {
  types: [IP, CIDR, URL_TYPE],
  functions: [
    fn(
      "ip",
      global("string_to_ip", [STRING], IP, toIp),
      member("cidr_ip", [CIDR], IP, (cidr: CidrValue) => cidr.ip),
    ),
    fn(
      "isIP",
      global("is_ip", [STRING], BOOL, (text: string) => whyNoIp(text) === undefined),
    ),
    fn(
      "ip.isCanonical",
      global("ip_is_canonical", [STRING], BOOL, (text: string) => toIp(text).toString() === text),
    ),
    fn(
      "family",
      member("ip_family", [IP], INT, ({ family }: IpValue) => BigInt(family)),
    ),
    fn("isUnspecified", member("ip_is_unspecified", [IP], BOOL, isUnspecified)),
    fn("isLoopback", member("ip_is_loopback", [IP], BOOL, isLoopback)),
    fn("isLinkLocalMulticast", member("ip_is_link_local_multicast", [IP], BOOL, isLinkLocalMulticast)),
    fn("isLinkLocalUnicast", member("ip_is_link_local_unicast", [IP], BOOL, isLinkLocalUnicast)),
    fn("isGlobalUnicast", member("ip_is_global_unicast", [IP], BOOL, isGlobalUnicast)),
    fn("string", global("ip_to_string", [IP], STRING, String), global("cidr_to_string", [CIDR], STRING, String)),
    fn("cidr", global("string_to_cidr", [STRING], CIDR, toCidr)),
    fn(
      "isCIDR",
      global("is_cidr", [STRING], BOOL, (text: string) => whyNoCidr(text) === undefined),
    ),
    fn(
      "containsIP",
      member("cidr_contains_ip_string", [CIDR, STRING], BOOL, (cidr: CidrValue, text: string) =>
        cidr.contains(known(text)),
      ),
      member("cidr_contains_ip_ip", [CIDR, IP], BOOL, (cidr: CidrValue, ip: IpValue) => cidr.contains(ip)),
    ),
    fn(
      "containsCIDR",
      member("cidr_contains_cidr_string", [CIDR, STRING], BOOL, (cidr: CidrValue, text: string) =>
        holds(cidr, toCidr(text)),
      ),
      member("cidr_contains_cidr", [CIDR, CIDR], BOOL, holds),
    ),
    fn(
      "prefixLength",
      member("cidr_prefix_length", [CIDR], INT, ({ bits }: CidrValue) => BigInt(bits)),
    ),
    fn(
      "masked",
      member("cidr_masked", [CIDR], CIDR, (cidr: CidrValue) => cidr.masked()),
    ),
    fn("url", global("string_to_url", [STRING], URL_TYPE, toUrl)),
    fn(
      "isURL",
      global("is_url_string", [STRING], BOOL, (text: string) => typeof parseUrl(text) !== "string"),
    ),
    fn(
      "getScheme",
      member("url_get_scheme", [URL_TYPE], STRING, ({ scheme }: UrlValue) => scheme),
    ),
    fn(
      "getHost",
      member("url_get_host", [URL_TYPE], STRING, ({ host }: UrlValue) => host),
    ),
    fn(
      "getHostname",
      member("url_get_hostname", [URL_TYPE], STRING, ({ host }: UrlValue) => splitHost(host)[0]),
    ),
    fn(
      "getPort",
      member("url_get_port", [URL_TYPE], STRING, ({ host }: UrlValue) => splitHost(host)[1]),
    ),
    fn(
      "getEscapedPath",
      member("url_get_escaped_path", [URL_TYPE], STRING, ({ path }: UrlValue) => path),
    ),
    fn(
      "getQuery",
      member("url_get_query", [URL_TYPE], map(STRING, list(STRING)), ({ query }: UrlValue) => query),
    ),
  ],
};

/** Here upstream doesn't say what is wrong with the address. */
function known(text: string): IpValue {
  if (whyNoIp(text) !== undefined) throw new CelError("no such overload");
  return toIp(text);
}

function holds(outer: CidrValue, inner: CidrValue): boolean {
  return outer.bits <= inner.bits && outer.contains(inner.ip);
}

class UrlValue extends Opaque {
  override readonly type = URL_TYPE;
  readonly text: string;
  readonly scheme: string;
  readonly host: string;
  readonly path: string;
  readonly #query: string;
  constructor(text: string, scheme: string, host: string, path: string, query: string) {
    super();
    this.text = text;
    this.scheme = scheme;
    this.host = host;
    this.path = path;
    this.#query = query;
  }
  override equals(other: Opaque): boolean {
    return other instanceof UrlValue && other.text === this.text;
  }
  get query(): Value {
    const values = new Map<string, string[]>();
    for (const part of this.#query.split("&")) {
      if (part === "" || part.includes(";")) continue;
      const equals = part.indexOf("=");
      const [key, value] = (equals < 0 ? [part, ""] : [part.slice(0, equals), part.slice(equals + 1)]).map(
        unescape,
      ) as [string | undefined, string | undefined];
      if (key === undefined || value === undefined) continue;
      values.set(key, [...(values.get(key) ?? []), value]);
    }
    return HashMap.of([...values].map(([key, all]) => [key, new JsonList(all)] as const));
  }
}

function unescape(text: string): string | undefined {
  try {
    return decodeURIComponent(text.replaceAll("+", " "));
  } catch {
    return undefined;
  }
}

function splitHost(host: string): readonly [name: string, port: string] {
  const [, name = "", port = ""] = /^(.*?)(?::(\d*))?$/s.exec(host)!;
  return [name.startsWith("[") && name.endsWith("]") ? name.slice(1, -1) : name, port];
}

/** An absolute address or an absolute path, as in a request; otherwise why not. */
/** Upstream reads it twice: to be valid it must be so with its fragment as a part of what the fragment follows, which its value leaves out. */
function parseUrl(text: string): UrlValue | string {
  const failed = (why: string) => `URL parse error during conversion from string: parse ${quote(text)}: ${why}`;
  // oxlint-disable-next-line no-control-regex -- they are what is looked for
  if (/[\u0000-\u001f\u007f]/.test(text)) return failed("net/url: invalid control character in URL");
  if (text === "") return failed("empty url");
  if (text.startsWith(":")) return failed("missing protocol scheme");
  const withScheme = /^([a-zA-Z][a-zA-Z0-9+.-]*):(.*)$/s.exec(text);
  const scheme = (withScheme?.[1] ?? "").toLowerCase();
  const afterScheme = withScheme === null ? text : withScheme[2]!;
  if (text === "*") return new UrlValue(text, "", "", "*", "");
  const [said, query] = cut(cut(afterScheme, "#")[0], "?");
  if (!afterScheme.startsWith("/")) {
    // What follows a scheme without a slash is not looked into.
    return scheme === "" ? failed("invalid URI for request") : new UrlValue(text, scheme, "", "", query);
  }
  const [whole] = cut(afterScheme, "?");
  // Without a scheme the second reading alone looks for a host.
  const wrongEscape = scheme === "" || !whole.startsWith("//") ? badEscape(whole) : undefined;
  if (wrongEscape !== undefined) return failed(wrongEscape);
  if (!(scheme === "" ? /^\/\/(?!\/)/ : /^\/\//).test(whole))
    return new UrlValue(text, scheme, "", escapePath(said), query);
  const [authority] = cut(whole.slice(2), "/");
  const at = authority.lastIndexOf("@");
  const { host = "", wrong } = parseHost(scheme, authority.slice(at + 1));
  if (wrong !== undefined) return failed(wrong);
  const user = authority.slice(0, Math.max(at, 0));
  if (/[^A-Za-z0-9\-._:~!$&'()*+,;=%@]/.test(user)) return failed("net/url: invalid userinfo");
  const escape = badEscape(user) ?? badEscape(whole.slice(2 + authority.length));
  if (escape !== undefined) return failed(escape);
  return new UrlValue(text, scheme, host, escapePath(said.slice(2 + authority.length)), query);
}

function cut(text: string, mark: string): readonly [before: string, after: string] {
  const at = text.indexOf(mark);
  return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)];
}

function badEscape(text: string): string | undefined {
  const found = /%(?![0-9a-fA-F]{2}).{0,2}/su.exec(text);
  return found === null ? undefined : `invalid URL escape ${quote(found[0])}`;
}

type Host = { readonly host?: string; readonly wrong?: string };

/** Only of HTTP a host may not have colons of its own. */
function parseHost(scheme: string, text: string): Host {
  const open = text.lastIndexOf("[");
  if (open > 0) return { wrong: "invalid IP-literal" };
  if (open < 0) {
    const colon = /^https?$/.test(scheme) ? text.indexOf(":") : text.lastIndexOf(":");
    const port = colon < 0 ? "" : text.slice(colon);
    return /^(:\d*)?$/.test(port) ? unescapeHost(text) : { wrong: `invalid port ${quote(port)} after host` };
  }
  const close = text.lastIndexOf("]");
  if (close < 0) return { wrong: "missing ']' in host" };
  const port = text.slice(close + 1);
  if (!/^(:\d*)?$/.test(port)) return { wrong: `invalid port ${quote(port)} after host` };
  const inside = text.slice(1, close);
  const zone = inside.indexOf("%25");
  const name = unescapeHost(zone < 0 ? inside : inside.slice(0, zone));
  if (name.wrong !== undefined) return name;
  const ip = whyNoIp(name.host!);
  if (ip !== undefined) return { wrong: `invalid host: ${ip.slice(ip.indexOf("ParseAddr("))}` };
  if (zone >= 0 && zone + 3 === inside.length)
    return { wrong: `invalid host: ParseAddr(${quote(`${name.host}%`)}): zone must be a non-empty string` };
  if (!name.host!.includes(":")) return { wrong: "invalid IP-literal" };
  return {
    host: `[${name.host}${zone < 0 ? "" : (unescape(inside.slice(zone).replaceAll("+", "%2B")) ?? "")}]${port}`,
  };
}

/** Only what isn't ASCII may be escaped in a host, and the percent sign itself. */
function unescapeHost(text: string): Host {
  const escape = badEscape(text);
  if (escape !== undefined) return { wrong: escape };
  const needless = /%(?!25)[0-7][0-9a-fA-F]/.exec(text);
  if (needless !== null) return { wrong: `invalid URL escape ${quote(needless[0])}` };
  const bad = /[^A-Za-z0-9\-._~!$&'()*+,;=:[\]<>"%\u0080-\u{10ffff}]/u.exec(text);
  if (bad !== null) return { wrong: `invalid character ${quote(bad[0])} in host name` };
  try {
    return { host: decodeURIComponent(text) };
  } catch {
    return { host: text };
  }
}

/** As it is where it is written in a valid way; otherwise what may not stand there is escaped. */
function escapePath(path: string): string {
  return path.replaceAll(/[^A-Za-z0-9\-_.~$&+,/:;=@%!'()*[\]]/gu, (char) => encodeURIComponent(char));
}

function toUrl(text: string): UrlValue {
  const url = parseUrl(text);
  if (typeof url === "string") throw new CelError(url);
  return url;
}
