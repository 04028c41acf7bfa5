/** Formats the head of a response as net/http does: canonical names in their order, followed by what the server adds. */
import type { Headers } from "../../world/net.ts";

/** What the server says of the connection and of the body. */
export interface Framing {
  readonly connection: "close" | "keep-alive" | undefined;
  readonly length: number | undefined;
  readonly chunked: boolean;
}

const REASONS: Readonly<Record<number, string>> = {
  100: "Continue",
  101: "Switching Protocols",
  102: "Processing",
  103: "Early Hints",
  200: "OK",
  201: "Created",
  202: "Accepted",
  203: "Non-Authoritative Information",
  204: "No Content",
  205: "Reset Content",
  206: "Partial Content",
  207: "Multi-Status",
  208: "Already Reported",
  226: "IM Used",
  300: "Multiple Choices",
  301: "Moved Permanently",
  302: "Found",
  303: "See Other",
  304: "Not Modified",
  305: "Use Proxy",
  307: "Temporary Redirect",
  308: "Permanent Redirect",
  400: "Bad Request",
  401: "Unauthorized",
  402: "Payment Required",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  406: "Not Acceptable",
  407: "Proxy Authentication Required",
  408: "Request Timeout",
  409: "Conflict",
  410: "Gone",
  411: "Length Required",
  412: "Precondition Failed",
  413: "Request Entity Too Large",
  414: "Request URI Too Long",
  415: "Unsupported Media Type",
  416: "Requested Range Not Satisfiable",
  417: "Expectation Failed",
  418: "I'm a teapot",
  421: "Misdirected Request",
  422: "Unprocessable Entity",
  423: "Locked",
  424: "Failed Dependency",
  425: "Too Early",
  426: "Upgrade Required",
  428: "Precondition Required",
  429: "Too Many Requests",
  431: "Request Header Fields Too Large",
  451: "Unavailable For Legal Reasons",
  500: "Internal Server Error",
  501: "Not Implemented",
  502: "Bad Gateway",
  503: "Service Unavailable",
  504: "Gateway Timeout",
  505: "HTTP Version Not Supported",
  506: "Variant Also Negotiates",
  507: "Insufficient Storage",
  508: "Loop Detected",
  510: "Not Extended",
  511: "Network Authentication Required",
};
const KNOWN_NAMES_MAX = 1000;
const ODD = /[^\t\x20-\xff]/;

/** Headers that the server sets rather than the handler; but `Connection: close` keeps the place where the handler set it. */
const FRAMING = new Set(["keep-alive", "proxy-connection", "transfer-encoding"]);

interface KnownName {
  /** How its line begins; undefined for what is left out. */
  readonly start: string | undefined;
  /** Its last value, and the line with it. */
  value: string;
  line: string;
}

export class HeadWriter {
  readonly #date: () => string;
  readonly #names = new Map<string, KnownName>();

  constructor(date: () => string) {
    this.#date = date;
  }

  write(version: "1.0" | "1.1", status: number, headers: Headers, framing: Framing): string {
    let head = `${version === "1.1" ? "HTTP/1.1 " : "HTTP/1.0 "}${status} ${REASONS[status] ?? `status code ${status}`}\r\n`;
    let previous = "";
    let isSorted = true;
    for (const name in headers) {
      if (name < previous) {
        isSorted = false;
        break;
      }
      previous = name;
    }
    if (isSorted) for (const name in headers) head += this.#line(name, headers[name]);
    else for (const name of Object.keys(headers).sort()) head += this.#line(name, headers[name]);
    if (headers["date"] === undefined) head += `Date: ${this.#date()}\r\n`;
    if (framing.length !== undefined && headers["content-length"] === undefined)
      head += `Content-Length: ${framing.length}\r\n`;
    if (framing.connection !== undefined && headers["connection"] !== framing.connection)
      head += `Connection: ${framing.connection}\r\n`;
    if (framing.chunked) head += "Transfer-Encoding: chunked\r\n";
    return `${head}\r\n`;
  }

  /** Names and values as they are given. */
  lines(headers: Headers): string {
    let lines = "";
    for (const name in headers) lines += values(`${name}: `, headers[name]);
    return lines;
  }

  #line(name: string, value: string | readonly string[] | undefined): string {
    if (value === undefined) return "";
    let known = this.#names.get(name);
    if (known === undefined) {
      const start = FRAMING.has(name) || name.startsWith(":") ? undefined : `${capitals(name)}: `;
      known = { start, value: "", line: "" };
      if (this.#names.size < KNOWN_NAMES_MAX) this.#names.set(name, known);
    }
    const { start } = known;
    if (start === undefined || (name === "connection" && value !== "close")) return "";
    if (typeof value !== "string") return values(start, value);
    if (value !== known.value || value === "") {
      known.line = values(start, value);
      known.value = value;
    }
    return known.line;
  }
}

function values(start: string, value: string | readonly string[] | undefined): string {
  if (value === undefined) return "";
  if (typeof value !== "object") return `${start}${safe(String(value))}\r\n`;
  let lines = "";
  for (const one of value) lines += `${start}${safe(one)}\r\n`;
  return lines;
}

/** As Go has it: no value ends its line. What is beyond one byte leaves as UTF-8. */
function safe(value: string): string {
  if (!ODD.test(value)) return value;
  const line = value.replaceAll(/[\r\n]/g, " ");
  return /[\u0100-\uffff]/.test(line) ? Buffer.from(line, "utf8").toString("latin1") : line;
}

/** The first letter, and each behind a hyphen. */
function capitals(name: string): string {
  return name.toLowerCase().replaceAll(/(^|-)[a-z]/g, (start) => start.toUpperCase());
}
