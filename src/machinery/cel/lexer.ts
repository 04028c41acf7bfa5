/**
 * Text into tokens. Offsets count code points, as messages do.
 *
 * Upstream: github.com/google/cel-go parser/gen/CEL.g4, parser/unescape.go
 */
import type { Issue } from "./source.ts";

export interface Token {
  readonly kind: "int" | "uint" | "double" | "string" | "bytes" | "ident" | "operator" | "end";
  /** As written; of strings and bytes what they mean. */
  readonly text: string;
  readonly bytes?: Uint8Array;
  readonly offset: number;
}

const OPERATOR = /^(==|!=|<=|>=|&&|\|\||[<>+\-*/%!?:.,()[\]{}])/;
const NUMBER = /^(?:0[xX][0-9a-fA-F]+[uU]?|(?:\d+\.\d+|\.\d+)(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+|\d+[uU]?)/;
const IDENT = /^[_a-zA-Z][_a-zA-Z0-9]*/;
const STRING_START = /^(?:[bB][rR]?|[rR][bB]?)?("""|'''|"|')/;

export function tokenize(text: string, issues: Issue[]): readonly Token[] {
  const tokens: Token[] = [];
  let at = 0;
  let offset = 0;
  const take = (length: number): string => {
    const taken = text.slice(at, at + length);
    at += length;
    offset += isAscii(taken) ? length : [...taken].length;
    return taken;
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
      const literal = readString(text, at, quote[0], quote[1]!);
      if (literal === undefined) {
        issues.push({
          offset: start,
          message: `Syntax error: token recognition error at: '${text.slice(at).replaceAll("\n", "\\n")}'`,
        });
        take(text.length - at);
        break;
      }
      take(literal.length);
      if (literal.error !== undefined) issues.push({ offset: start, message: literal.error });
      tokens.push({
        kind: literal.bytes === undefined ? "string" : "bytes",
        text: literal.value,
        offset: start,
        ...(literal.bytes !== undefined && { bytes: literal.bytes }),
      });
      continue;
    }
    const number = NUMBER.exec(rest);
    if (number !== null) {
      const word = take(number[0].length);
      const isHex = /^0[xX]/.test(word);
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
    const bad = take(String.fromCodePoint(text.codePointAt(at)!).length);
    issues.push({ offset: start, message: `Syntax error: token recognition error at: '${bad}'` });
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
  readonly value: string;
  readonly bytes?: Uint8Array;
  readonly error?: string;
}

function readString(text: string, at: number, opening: string, quote: string): StringLiteral | undefined {
  const prefix = opening.slice(0, -quote.length).toLowerCase();
  const isRaw = prefix.includes("r");
  const isBytes = prefix.includes("b");
  let i = at + opening.length;
  const start = i;
  for (; ; i++) {
    if (i >= text.length) return undefined;
    if (text.startsWith(quote, i)) break;
    if (quote.length === 1 && text[i] === "\n") return undefined;
    if (!isRaw && text[i] === "\\") i++;
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
    return isBytes ? { length, value: "", bytes: Buffer.from(normal) } : { length, value: normal };
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
    if (typeof escape === "string")
      return { length, value: "", error: escape, ...(isBytes && { bytes: Buffer.alloc(0) }) };
    j += escape.length;
    if (isBytes && escape.isByte) bytes.push(escape.point);
    else addPoint(escape.point);
  }
  return isBytes ? { length, value: "", bytes: Uint8Array.from(bytes) } : { length, value };
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
