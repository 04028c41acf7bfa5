/** Turns header lists into requests, responses and trailers, and enforces the rules of RFC 9113, sections 8.2 and 8.3. */
import type { Headers } from "../../world/net.ts";
import { addHeader } from "../header-list.ts";
import { STATIC_TABLE } from "./hpack/static-table.ts";

/** What is wrong with a list. The stream that it opens ends with PROTOCOL_ERROR. */
export class Malformed {
  readonly words: string;
  constructor(words: string) {
    this.words = words;
  }
}

export interface RequestHead {
  readonly method: string;
  readonly url: string;
  readonly headers: Headers;
  readonly contentLength: number | undefined;
}

export interface ResponseHead {
  readonly status: number;
  readonly headers: Headers;
  readonly contentLength: number | undefined;
}

type Draft = Record<string, string | string[] | number>;

const REQUEST_PSEUDO = new Set([":method", ":scheme", ":authority", ":path", ":protocol"]);
const RESPONSE_PSEUDO = new Set([":status"]);
const NO_PSEUDO: ReadonlySet<string> = new Set();
/** Of one connection of HTTP/1.1: they mean nothing here. */
const CONNECTION = new Set(["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"]);
const KNOWN_NAMES = new Set(STATIC_TABLE.map(([name]) => name));
const NAME = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;
const FORBIDDEN_IN_VALUE = /[^\t\x20-\x7e\x80-\xff]/;

export function requestHead(list: readonly string[]): RequestHead | Malformed {
  const headers = collect(list, REQUEST_PSEUDO, false);
  if (headers instanceof Malformed) return headers;
  const method = headers[":method"] as string | undefined;
  const path = headers[":path"] as string | undefined;
  const authority = headers[":authority"] as string | undefined;
  if (method === undefined) return new Malformed("a request without :method");
  if (method === "CONNECT") {
    if (authority === undefined) return new Malformed("CONNECT without :authority");
  } else {
    if (path === undefined || path === "") return new Malformed("a request without :path");
    if (headers[":scheme"] === undefined) return new Malformed("a request without :scheme");
  }
  const te = headers["te"];
  if (te !== undefined && te !== "trailers") return new Malformed("a te header that is not trailers");
  const length = lengthOf(headers);
  if (length instanceof Malformed) return length;
  headers["host"] ??= authority ?? "";
  return { method, url: path ?? authority!, headers: headers as Headers, contentLength: length };
}

export function responseHead(list: readonly string[]): ResponseHead | Malformed {
  const headers = collect(list, RESPONSE_PSEUDO, true);
  if (headers instanceof Malformed) return headers;
  const status = headers[":status"] as string | undefined;
  if (status === undefined || !/^\d{3}$/.test(status)) return new Malformed("an answer without :status");
  headers[":status"] = Number(status);
  const length = lengthOf(headers);
  if (length instanceof Malformed) return length;
  return { status: Number(status), headers: headers as unknown as Headers, contentLength: length };
}

export function trailers(list: readonly string[]): Headers | Malformed {
  return collect(list, NO_PSEUDO, true) as Headers | Malformed;
}

/** `lenient` drops what only HTTP/1.1 knows, in place of refusing it. */
function collect(list: readonly string[], pseudo: ReadonlySet<string>, lenient: boolean): Draft | Malformed {
  const headers = Object.create(null) as Draft;
  let regular = false;
  for (let i = 0; i < list.length; i += 2) {
    const name = list[i]!;
    const value = list[i + 1]!;
    if (name.charCodeAt(0) === 58) {
      if (regular) return new Malformed(`${name} after other headers`);
      if (!pseudo.has(name)) return new Malformed(`${name} where it has no place`);
      if (headers[name] !== undefined) return new Malformed(`${name} twice`);
      if (FORBIDDEN_IN_VALUE.test(value)) return new Malformed(`an invalid value of ${name}`);
      headers[name] = value;
      continue;
    }
    regular = true;
    if (!KNOWN_NAMES.has(name) && !NAME.test(name)) return new Malformed("a header with an invalid name");
    if (FORBIDDEN_IN_VALUE.test(value)) return new Malformed(`an invalid value of ${name}`);
    if (CONNECTION.has(name)) {
      if (lenient) continue;
      return new Malformed(`${name}, which is of HTTP/1.1`);
    }
    const earlier = headers[name];
    if (name === "content-length" && (earlier ?? value) !== value) return new Malformed("two values of content-length");
    addHeader(headers, name, value);
  }
  return headers;
}

function lengthOf(headers: Draft): number | undefined | Malformed {
  const text = headers["content-length"] as string | undefined;
  if (text === undefined) return undefined;
  const length = /^\d{1,15}$/.test(text) ? Number(text) : undefined;
  return length ?? new Malformed("a content-length that is no number");
}
