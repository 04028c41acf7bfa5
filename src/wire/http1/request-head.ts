/** Parses the request line and the headers together, into a request or the response that rejects it. */
import type { Headers } from "../../world/net.ts";
import type { HeaderBlock } from "./header-block.ts";
import type { RequestLine } from "./request-line.ts";

export interface RequestHead {
  readonly method: string;
  readonly url: string;
  readonly headers: Headers;
  readonly httpVersion: "1.0" | "1.1";
  /** Bytes of the body. */
  readonly length: number | "chunked";
  /** The client has no more to ask. */
  readonly closes: boolean;
  /** A client of HTTP/1.0 that wants to go on. */
  readonly keeps: boolean;
  readonly expects: HeaderBlock["expects"];
  readonly upgrades: boolean;
}

/** The status line's end, and the body. The connection ends with it. */
export class Refusal {
  readonly status: string;
  readonly body: string;
  constructor(status: string, body = status) {
    this.status = status;
    this.body = body;
  }
}

const BAD_REQUEST = new Refusal("400 Bad Request");
const because = (words: string) => new Refusal(`400 Bad Request: ${words}`);
const NO_HOST = because("missing required Host header");
const BAD_VERSION = new Refusal("505 HTTP Version Not Supported: unsupported protocol version");
const BAD_CODING = new Refusal("501 Not Implemented", "Unsupported transfer encoding");
export const TOO_LARGE = new Refusal("431 Request Header Fields Too Large");

/** In net/http's order. */
export function requestHead(line: RequestLine | undefined, block: HeaderBlock): RequestHead | Refusal {
  if (line === undefined) return BAD_REQUEST;
  const { method, major, minor } = line;
  const isOld = major < 1 || (major === 1 && minor === 0);
  if (block.coding === "unknown" && !isOld && block.hosts < 2) return BAD_CODING;
  if (block.malformed) return BAD_REQUEST;
  const isPreface = method === "PRI" && line.url === "*" && major === 2 && minor === 0 && block.isEmpty;
  if (major !== 1 && !isPreface) return BAD_VERSION;
  if (block.hosts === 0 && !isOld && method !== "CONNECT" && !isPreface) return NO_HOST;
  if (block.wrong !== undefined) return because(block.wrong);
  const headers = line.host === undefined ? block.headers : { ...block.headers, host: line.host };
  return {
    method,
    url: line.url,
    headers,
    httpVersion: isOld ? "1.0" : "1.1",
    length: block.coding === "chunked" && !isOld ? "chunked" : (block.length ?? 0),
    closes: isPreface || block.closes || (isOld && !block.keeps),
    keeps: isOld && block.keeps && !block.closes,
    expects: block.expects,
    upgrades: block.upgrades && !isOld,
  };
}
