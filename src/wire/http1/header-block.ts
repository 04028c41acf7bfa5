/** Parses request headers as net/http does: it tolerates and rejects the same things, with the same messages. */
import type { Headers } from "../../world/net.ts";
import { addHeader } from "../header-list.ts";

export interface HeaderBlock {
  readonly headers: Headers;
  /** Not what HTTP is, or not to be understood one way only. */
  readonly malformed: boolean;
  readonly isEmpty: boolean;
  readonly hosts: number;
  /** What is wrong with names, in net/http's words. */
  readonly wrong: string | undefined;
  /** What a sender of HTTP/1.1 means by its transfer coding. */
  readonly coding: "none" | "chunked" | "unknown";
  /** Undefined where nothing is said. */
  readonly length: number | undefined;
  readonly closes: boolean;
  readonly keeps: boolean;
  readonly expects: "nothing" | "continue" | "else";
  readonly upgrades: boolean;
}

const NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** A space in a name is seen later, when the other headers are known. */
const LAX_NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z ]+$/;
const FORBIDDEN_IN_VALUE = /[^\t\x20-\x7e\x80-\xff]/;
const HOST = /^[0-9A-Za-z!$%&'()*+,\-.:;=[\]_~]*$/;
const NOT_TRAILERS = new Set(["transfer-encoding", "trailer", "content-length"]);
const LARGEST_LENGTH = 2n ** 63n - 1n;

const MALFORMED: HeaderBlock = {
  headers: {},
  malformed: true,
  isEmpty: false,
  hosts: 0,
  wrong: undefined,
  coding: "none",
  length: undefined,
  closes: false,
  keeps: false,
  expects: "nothing",
  upgrades: false,
};

/** `text` is all between the request line and the empty line, each line with its end. */
export function parseHeaders(text: string): HeaderBlock {
  const fields = fieldsOf(text);
  if (fields === undefined) return MALFORMED;
  const headers = Object.create(null) as Record<string, string | string[]>;
  const lengths: string[] = [];
  const codings: string[] = [];
  const connection: string[] = [];
  let hosts = 0;
  let wrong: string | undefined;
  let badTrailer = false;
  for (const [name, value] of fields) {
    switch (name) {
      case "host":
        hosts++;
        if (!HOST.test(value)) wrong = "malformed Host header";
        break;
      case "content-length":
        lengths.push(value.trim());
        break;
      case "transfer-encoding":
        codings.push(value);
        continue;
      case "connection":
        connection.push(...tokens(value));
        break;
      case "trailer":
        badTrailer ||= tokens(value).some((token) => NOT_TRAILERS.has(token));
        break;
      default:
        if (name.includes(" ")) wrong ??= "invalid header name";
    }
    addHeader(headers, name, value);
  }
  const coding = codings.length === 0 ? "none" : codings.join().toLowerCase() === "chunked" ? "chunked" : "unknown";
  const length = lengthOf(lengths);
  if (hosts > 1 || length === "bad" || (badTrailer && coding === "chunked")) return { ...MALFORMED, coding, hosts };
  const expectation = (headers["expect"] as string | undefined) ?? "";
  return {
    headers,
    malformed: false,
    isEmpty: fields.length === 0,
    hosts,
    wrong,
    coding,
    length,
    closes: connection.includes("close"),
    keeps: connection.includes("keep-alive"),
    expects: tokens(expectation).includes("100-continue") ? "continue" : expectation === "" ? "nothing" : "else",
    upgrades: headers["upgrade"] !== undefined && connection.includes("upgrade"),
  };
}

/** Trailers, or what is wrong with them in Go's words. */
export function parseTrailers(text: string): Headers | string {
  const headers = Object.create(null) as Record<string, string | string[]>;
  const uncoloned = text.split("\n").find((line) => !/^[ \t\r]|^$/.test(line) && !line.includes(":"));
  if (uncoloned !== undefined) return `malformed MIME header: missing colon: ${JSON.stringify(trimmed(uncoloned))}`;
  const fields = fieldsOf(text);
  if (fields === undefined) return "malformed MIME header line";
  for (const [name, value] of fields) addHeader(headers, name, value);
  return headers;
}

/** Undefined where a line is none. */
function fieldsOf(text: string): (readonly [name: string, value: string])[] | undefined {
  const fields: (readonly [string, string])[] = [];
  for (let at = 0; at < text.length;) {
    let end = text.indexOf("\n", at);
    if (end < 0) end = text.length;
    let line = trimmed(text.slice(at, end));
    const first = text.charCodeAt(at);
    if (first === 32 || first === 9) return undefined; // Only the first can be one that goes on from nothing.
    const colon = line.indexOf(":");
    if (colon <= 0) return undefined;
    at = end + 1;
    for (let next = text.charCodeAt(at); next === 32 || next === 9; next = text.charCodeAt(at)) {
      end = text.indexOf("\n", at);
      if (end < 0) end = text.length;
      line += ` ${trimmed(text.slice(at, end))}`;
      at = end + 1;
    }
    const name = line.slice(0, colon);
    const value = trimmed(line.slice(colon + 1));
    if (!NAME.test(name) && !LAX_NAME.test(name)) return undefined;
    if (FORBIDDEN_IN_VALUE.test(value)) return undefined;
    fields.push([name.toLowerCase(), value]);
  }
  return fields;
}

/** Without the line's end, and spaces and tabs around. */
function trimmed(line: string): string {
  let end = line.length;
  if (line.charCodeAt(end - 1) === 13) end--;
  let start = 0;
  while (start < end && isBlank(line.charCodeAt(start))) start++;
  while (end > start && isBlank(line.charCodeAt(end - 1))) end--;
  return start === 0 && end === line.length ? line : line.slice(start, end);
}
const isBlank = (code: number) => code === 32 || code === 9;

const tokens = (value: string) => value.split(",").map((token) => token.trim().toLowerCase());

function lengthOf(all: readonly string[]): number | undefined | "bad" {
  const [first] = all;
  if (first === undefined) return undefined;
  if (all.some((one) => one !== first)) return "bad";
  if (!/^\d+$/.test(first)) return "bad";
  const digits = first.replace(/^0+(?=\d)/, "");
  if (digits.length > 19 || BigInt(digits) > LARGEST_LENGTH) return "bad";
  return Number(digits);
}
