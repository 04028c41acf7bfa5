/**
 * Splits an expression into tokens. Offsets count code points, as upstream's messages do.
 * Upstream: github.com/google/cel-go parser/gen/CEL.g4, parser/unescape.go
 */
import type { Issue } from "./source.ts";

export interface Token {
  readonly kind: "int" | "uint" | "double" | "string" | "bytes" | "ident" | "escaped" | "operator" | "end";
  /** As written. */
  readonly text: string;
  /** What a string or bytes mean. */
  readonly value?: string | Uint8Array;
  readonly offset: number;
}

const OPERATOR = /^(==|!=|<=|>=|&&|\|\||[<>+\-*/%!?:.,()[\]{}])/;
const NUMBER = /^(?:0x[0-9a-fA-F]+[uU]?|(?:\d+\.\d+|\.\d+)(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+|\d+[uU]?)/;
const IDENT = /^[_a-zA-Z][_a-zA-Z0-9]*/;
const ESCAPED = /^`[A-Za-z0-9_.\-/ ]+`/;
const STRING_START = /^(?:[bB][rR]?|[rR][bB]?)?("""|'''|"|')/;

export function tokenize(text: string, issues: Issue[]): readonly Token[] {
  const tokens: Token[] = [];
  let at = 0;
  let offset = 0;
  const take = (length: number): string => {
    const taken = text.slice(at, at + length);
    at += length;
    offset += isAscii(taken) ? taken.length : [...taken].length;
    return taken;
  };
  const unrecognized = (start: number, bad: string) => {
    const shown = bad.replaceAll("\n", "\\n").replaceAll("\t", "\\t").replaceAll("\r", "\\r");
    issues.push({ offset: start, message: `Syntax error: token recognition error at: '${shown}'` });
  };
  while (at < text.length) {
    const rest = text.slice(at, at + 4096);
    const space = /^(?:[ \t\r\n\f]+|\/\/[^\n]*)/.exec(rest);
    if (space !== null) {
      take(space[0].length);
      continue;
    }
    const start = offset;
    const quote = STRING_START.exec(rest);
    if (quote !== null) {
      const [opening, mark] = quote as unknown as [string, string];
      const literal = readString(text, at, opening, mark);
      if ("length" in literal) {
        const word = take(literal.length);
        const isBytes = literal.value instanceof Uint8Array;
        tokens.push({ kind: isBytes ? "bytes" : "string", text: word, value: literal.value, offset: start });
        if (literal.error !== undefined) issues.push({ offset: start, message: literal.error });
        continue;
      }
      // What was the longest token before it went wrong: two quotes that are an empty string, or a prefix that is a name.
      const prefix = opening.slice(0, -mark.length);
      if (mark.length === 3) {
        const value = /[bB]/.test(prefix) ? new Uint8Array() : "";
        tokens.push({
          kind: value === "" ? "string" : "bytes",
          text: take(prefix.length + 2),
          value,
          offset: start,
        });
        continue;
      }
      if (prefix === "") {
        unrecognized(start, take(literal.failedAt + 1 - at));
        continue;
      }
      tokens.push({ kind: "ident", text: take(prefix.length), offset: start });
      continue;
    }
    const number = NUMBER.exec(rest);
    if (number !== null) {
      const word = take(number[0].length);
      const isHex = word.startsWith("0x");
      const kind = /[uU]$/.test(word) ? "uint" : !isHex && /[.eE]/.test(word) ? "double" : "int";
      tokens.push({ kind, text: word, offset: start });
      continue;
    }
    const ident = IDENT.exec(rest);
    if (ident !== null) {
      let word = ident[0];
      // A name may be longer than the piece looked at.
      if (word.length === rest.length) word = IDENT.exec(text.slice(at))![0];
      take(word.length);
      tokens.push({ kind: "ident", text: word, offset: start });
      continue;
    }
    const operator = OPERATOR.exec(rest);
    if (operator !== null) {
      tokens.push({ kind: "operator", text: take(operator[0].length), offset: start });
      continue;
    }
    const escaped = ESCAPED.exec(rest);
    if (escaped !== null) {
      tokens.push({ kind: "escaped", text: take(escaped[0].length), offset: start });
      continue;
    }
    // The character that made it wrong goes with it: of `= 1` the space.
    const first = String.fromCodePoint(text.codePointAt(at)!).length;
    let length = first;
    if ("=&|".includes(text[at]!)) length++;
    else if (text[at] === "`") length += /^[A-Za-z0-9_.\-/ ]*/.exec(rest.slice(1))![0].length + 1;
    unrecognized(start, take(Math.min(length, text.length - at)));
  }
  tokens.push({ kind: "end", text: "<EOF>", offset });
  return tokens;
}

function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 127) return false;
  return true;
}

interface StringLiteral {
  readonly length: number;
  readonly value: string | Uint8Array;
  readonly error?: string;
}

const HEX_DIGITS: Readonly<Record<string, number>> = { x: 2, X: 2, u: 4, U: 8 };

/** From the backslash on: the length of the escape, or where it stops being one. */
function escapeLength(text: string, at: number): number | { readonly failedAt: number } {
  const char = text[at + 1] ?? "";
  if (char !== "" && Object.hasOwn(SIMPLE, char)) return 2;
  const digits = HEX_DIGITS[char];
  for (let i = 0; i < (digits ?? 0); i++)
    if (!/[0-9a-fA-F]/.test(text[at + 2 + i] ?? "")) return { failedAt: at + 2 + i };
  if (digits !== undefined) return 2 + digits;
  for (const [i, pattern] of [/[0-3]/, /[0-7]/, /[0-7]/].entries())
    if (!pattern.test(text[at + 1 + i] ?? "")) return { failedAt: at + 1 + i };
  return 4;
}

function readString(
  text: string,
  at: number,
  opening: string,
  quote: string,
): StringLiteral | { readonly failedAt: number } {
  const prefix = opening.slice(0, -quote.length).toLowerCase();
  const isRaw = prefix.includes("r");
  const isBytes = prefix.includes("b");
  const start = at + opening.length;
  let i = start;
  while (!text.startsWith(quote, i)) {
    const char = text[i];
    if (char === undefined || (quote.length === 1 && (char === "\n" || char === "\r"))) return { failedAt: i };
    if (isRaw || char !== "\\") {
      i++;
      continue;
    }
    const escape = escapeLength(text, i);
    if (typeof escape !== "number") return escape;
    i += escape;
  }
  const body = text.slice(start, i);
  const length = i + quote.length - at;
  const bytes: number[] = [];
  let value = "";
  const addPoint = (point: number) => {
    if (isBytes) bytes.push(...Buffer.from(String.fromCodePoint(point)));
    else value += String.fromCodePoint(point);
  };
  if (isRaw) {
    const normal = body.replaceAll(/\r\n?/g, "\n");
    return { length, value: isBytes ? Buffer.from(normal) : normal };
  }
  for (let j = 0; j < body.length;) {
    const point = body.codePointAt(j)!;
    if (point !== 0x5c) {
      j += point > 0xffff ? 2 : 1;
      // A line end is one character, however it is written.
      if (point === 13) {
        if (body[j] === "\n") j++;
        addPoint(10);
      } else addPoint(point);
      continue;
    }
    const escape = readEscape(body, j, isBytes);
    if (typeof escape === "string") return { length, value: isBytes ? Buffer.alloc(0) : "", error: escape };
    j += escape.length;
    if (isBytes && escape.isByte) bytes.push(escape.point);
    else addPoint(escape.point);
  }
  return { length, value: isBytes ? Uint8Array.from(bytes) : value };
}

const SIMPLE: Readonly<Record<string, number>> = {
  a: 7,
  b: 8,
  f: 12,
  n: 10,
  r: 13,
  t: 9,
  v: 11,
  "\\": 92,
  "'": 39,
  '"': 34,
  "`": 96,
  "?": 63,
};

function readEscape(
  body: string,
  at: number,
  isBytes: boolean,
): { readonly length: number; readonly point: number; readonly isByte: boolean } | string {
  const char = body[at + 1] ?? "";
  const simple = SIMPLE[char];
  if (simple !== undefined) return { length: 2, point: simple, isByte: false };
  const digits = { x: 2, X: 2, u: 4, U: 8 }[char];
  if (digits !== undefined) {
    if (isBytes && digits > 2) return "unable to unescape string";
    const hex = body.slice(at + 2, at + 2 + digits);
    if (hex.length < digits || !/^[0-9a-fA-F]+$/.test(hex)) return "unable to unescape string";
    const point = Number.parseInt(hex, 16);
    if (point > 0x10ffff || (point >= 0xd800 && point < 0xe000)) return "invalid unicode code point";
    return { length: 2 + digits, point, isByte: digits === 2 };
  }
  const octal = /^[0-3][0-7][0-7]/.exec(body.slice(at + 1, at + 4));
  if (octal !== null) return { length: 4, point: Number.parseInt(octal[0], 8), isByte: true };
  return "unable to unescape string";
}
