/**
 * The text of YAML scalars: block, quoted and plain, with folding, chomping and escapes.
 *
 * Upstream: go.yaml.in/yaml/v2 scannerc.go
 */
import {
  BACKSLASH,
  closesOrSeparates,
  COLON,
  HASH,
  isBlank,
  isBlankOrEnd,
  isBreak,
  isBreakOrEnd,
  isDigit,
  MINUS,
  PLUS,
  SINGLE,
  SPACE,
  TAB,
} from "./yaml-characters.ts";
import type { YamlReader } from "./yaml-reader.ts";

/** `|` or `>`: `parentIndent` is the indentation of the block around it. */
export function readBlockScalar(reader: YamlReader, literal: boolean, parentIndent: number): string {
  const begin = reader.line;
  reader.position++;
  let chomping = "";
  let increment = 0;
  for (let i = 0; i < 2; i++) {
    const code = reader.code();
    if (chomping === "" && (code === PLUS || code === MINUS)) chomping = code === PLUS ? "+" : "-";
    else if (increment === 0 && isDigit(code)) {
      increment = code - 48;
      if (increment === 0) reader.fail("found an indentation indicator equal to 0", begin);
    } else break;
    reader.position++;
  }
  reader.toLineEnd(begin);
  let indent = increment === 0 ? 0 : Math.max(parentIndent, 0) + increment;
  const parts: string[] = [];
  let leading = "";
  let trailing: string;
  [indent, trailing] = blockBreaks(reader, indent, begin, parentIndent);
  let startedBlank = false;
  while (reader.column === indent && reader.code() !== 0) {
    const blank = isBlank(reader.code());
    if (!literal && !startedBlank && !blank && leading === "\n") {
      if (trailing === "") parts.push(" ");
    } else parts.push(leading);
    parts.push(trailing);
    startedBlank = blank;
    const start = reader.position;
    while (!isBreakOrEnd(reader.code())) reader.position++;
    parts.push(reader.text.slice(start, reader.position));
    leading = reader.code() === 0 ? "" : reader.readLine();
    [indent, trailing] = blockBreaks(reader, indent, begin, parentIndent);
  }
  if (chomping !== "-") parts.push(leading);
  if (chomping === "+") parts.push(trailing);
  return parts.join("");
}

/** The empty lines before the next line of a block, and the block's indentation, which the first line decides where nothing else has. */
function blockBreaks(
  reader: YamlReader,
  known: number,
  begin: number,
  parentIndent: number,
): [indent: number, breaks: string] {
  let breaks = "";
  let deepest = 0;
  for (;;) {
    while ((known === 0 || reader.column < known) && reader.code() === SPACE) reader.position++;
    if (reader.column > deepest) deepest = reader.column;
    if ((known === 0 || reader.column < known) && reader.code() === TAB)
      reader.fail("found a tab character where an indentation space is expected", begin);
    if (!isBreak(reader.code())) break;
    breaks += reader.readLine();
  }
  return [known === 0 ? Math.max(deepest, parentIndent + 1, 1) : known, breaks];
}

/** The text between two `quote` characters, of which the first stands here. */
export function readQuoted(reader: YamlReader, quote: number): string {
  const begin = reader.line;
  const single = quote === SINGLE;
  reader.position++;
  const parts: string[] = [];
  for (;;) {
    if (reader.column === 0 && reader.atDocumentMark()) reader.fail("found unexpected document indicator", begin);
    if (reader.position >= reader.text.length) reader.fail("found unexpected end of stream", begin);
    let onNewLine = false;
    let start = reader.position;
    for (let code = reader.code(); !isBlankOrEnd(code); code = reader.code()) {
      if (code === quote) {
        if (!single || reader.code(1) !== SINGLE) break;
        parts.push(reader.text.slice(start, reader.position + 1));
        reader.position += 2;
        start = reader.position;
      } else if (single || code !== BACKSLASH) reader.position++;
      else {
        parts.push(reader.text.slice(start, reader.position));
        if (isBreak(reader.code(1))) {
          reader.position++;
          reader.skipLine();
          start = reader.position;
          onNewLine = true;
          break;
        }
        parts.push(escape(reader, begin));
        start = reader.position;
      }
    }
    parts.push(reader.text.slice(start, reader.position));
    if (reader.code() === quote) break;
    parts.push(foldedBlanks(reader, onNewLine));
  }
  reader.position++;
  return parts.join("");
}

/** What the blanks and line breaks between two words come to: one line break is folded into a space. */
function foldedBlanks(reader: YamlReader, onNewLine: boolean): string {
  let blanks = "";
  let leading = "";
  let trailing = "";
  for (;;) {
    const start = reader.position;
    reader.skipBlanks();
    if (!onNewLine) blanks += reader.text.slice(start, reader.position);
    if (!isBreak(reader.code())) break;
    if (onNewLine) trailing += reader.readLine();
    else {
      leading = reader.readLine();
      onNewLine = true;
    }
  }
  if (!onNewLine) return blanks;
  return leading === "\n" ? trailing || " " : leading + trailing;
}

function escape(reader: YamlReader, begin: number): string {
  const letter = reader.text[reader.position + 1] ?? "";
  const digits = letter === "x" ? 2 : letter === "u" ? 4 : letter === "U" ? 8 : 0;
  if (digits === 0) {
    const meaning = ESCAPES.get(letter);
    if (meaning === undefined) reader.fail("found unknown escape character", begin);
    reader.position += 2;
    return meaning;
  }
  reader.position += 2;
  const hex = reader.text.slice(reader.position, reader.position + digits);
  if (hex.length < digits || /[^\da-f]/i.test(hex)) reader.fail("did not find expected hexdecimal number", begin);
  const value = Number.parseInt(hex, 16);
  if ((value >= 0xd800 && value <= 0xdfff) || value > 0x10ffff)
    reader.fail("found invalid Unicode character escape code", begin);
  reader.position += digits;
  return String.fromCodePoint(value);
}

/** A scalar without quotes. `endsInNewLine` says that a line break was skipped behind it. */
export function readPlain(
  reader: YamlReader,
  parentIndent: number,
  inFlow: boolean,
): { readonly value: string; readonly endsInNewLine: boolean } {
  const { text } = reader;
  const begin = reader.line;
  const indent = parentIndent + 1;
  let value = "";
  let between = "";
  let onNewLine = false;
  for (;;) {
    if (reader.column === 0 && reader.atDocumentMark()) break;
    if (reader.code() === HASH) break;
    const start = reader.position;
    let at = start;
    for (; at < text.length; at++) {
      const code = text.charCodeAt(at);
      if (code === COLON) {
        if (at + 1 >= text.length || isBlankOrEnd(text.charCodeAt(at + 1))) break;
      } else if (isBlankOrEnd(code) || (inFlow && closesOrSeparates(code))) break;
    }
    reader.position = at;
    if (at > start) {
      value += between + text.slice(start, at);
      between = "";
      onNewLine = false;
    }
    if (!isBlank(reader.code()) && !isBreak(reader.code())) break;
    let leading = "";
    let trailing = "";
    for (;;) {
      const from = reader.position;
      while (isBlank(reader.code())) {
        if (onNewLine && reader.column < indent && reader.code() === TAB)
          reader.fail("found a tab character that violates indentation", begin);
        reader.position++;
      }
      if (!onNewLine) between += text.slice(from, reader.position);
      if (!isBreak(reader.code())) break;
      if (onNewLine) trailing += reader.readLine();
      else {
        leading = reader.readLine();
        onNewLine = true;
      }
    }
    if (leading !== "") between = leading === "\n" ? trailing || " " : leading + trailing;
    if (!inFlow && reader.column < indent) break;
  }
  return { value, endsInNewLine: onNewLine };
}

const ESCAPES: ReadonlyMap<string, string> = new Map([
  ["0", "\0"],
  ["a", "\x07"],
  ["b", "\b"],
  ["t", "\t"],
  ["\t", "\t"],
  ["n", "\n"],
  ["v", "\v"],
  ["f", "\f"],
  ["r", "\r"],
  ["e", "\x1b"],
  [" ", " "],
  ['"', '"'],
  ["'", "'"],
  ["\\", "\\"],
  ["N", "\x85"],
  ["_", "\xa0"],
  ["L", "\u2028"],
  ["P", "\u2029"],
]);
