/**
 * YAML as Go writes it from JSON: keys in natural order, long lines folded at 80 columns, strings plain wherever they would be read back as strings.
 * Upstream: sigs.k8s.io/yaml (JSONToYAML), go.yaml.in/yaml/v2 encode.go, sorter.go, emitterc.go
 */
import { readsAsString } from "./yaml-scalars.ts";

/** A key longer than that is announced by a question mark. */
const SIMPLE_KEY_MAX = 128;

export function writeYaml(value: unknown): string {
  return new Writer(V2).document(value);
}

/** As the next version of that library writes what was JSON: keys as they come, lines of any length, lists indented. */
export function writeYamlInOrder(value: unknown): string {
  return new Writer(V3).document(value);
}

interface Manner {
  readonly sorted: boolean;
  readonly width: number;
  readonly indent: number;
  /** Whether a list in a mapping stands at the mapping's own column. */
  readonly compact: boolean;
  readsAsString(text: string): boolean;
}

const V2: Manner = { sorted: true, width: 80, indent: 2, compact: true, readsAsString: (text) => readsAsString(text) };
/** It has forgotten most of the old words for yes and no. */
const OLD_BOOLEAN = /^(?:y|Y|yes|Yes|YES|on|On|ON|n|N|no|No|NO|off|Off|OFF)$/;
const V3: Manner = {
  sorted: false,
  width: Number.POSITIVE_INFINITY,
  indent: 4,
  compact: false,
  readsAsString: (text) => OLD_BOOLEAN.test(text) || readsAsString(text, false),
};

type Style = "plain" | "single" | "double" | "literal";

class Writer {
  readonly #out: string[] = [];
  #column = 0;
  #indent = -1;
  /** Whether what was written last is white space, and whether the line has nothing but indentation yet. */
  #whitespace = true;
  #indention = true;
  /** Whether what comes next is an item of a list. */
  #inItem = false;
  readonly #manner: Manner;

  constructor(manner: Manner) {
    this.#manner = manner;
  }

  document(value: unknown): string {
    this.#node(value, false, false);
    this.#writeIndent();
    return this.#out.join("");
  }

  #put(text: string): void {
    this.#out.push(text);
    this.#column += text.length;
  }

  #break(): void {
    this.#out.push("\n");
    this.#column = 0;
  }

  #writeIndent(): void {
    const indent = Math.max(this.#indent, 0);
    if (!this.#indention || this.#column > indent || (this.#column === indent && !this.#whitespace)) this.#break();
    if (this.#column < indent) this.#put(" ".repeat(indent - this.#column));
    this.#whitespace = true;
    this.#indention = true;
  }

  #indicator(text: string, needsSpace: boolean, isSpace: boolean, isIndention: boolean): void {
    if (needsSpace && !this.#whitespace) this.#put(" ");
    this.#put(text);
    this.#whitespace = isSpace;
    this.#indention &&= isIndention;
  }

  #node(value: unknown, inMapping: boolean, isKey: boolean): void {
    if (Array.isArray(value)) this.#sequence(value, inMapping);
    else if (typeof value === "object" && value !== null) this.#mapping(value as Record<string, unknown>);
    else if (typeof value === "string") this.#string(value, isKey);
    else
      this.#scalar(
        value === null ? "null" : typeof value === "number" ? goNumber(value) : String(value),
        "plain",
        isKey,
      );
  }

  #sequence(items: readonly unknown[], inMapping: boolean): void {
    if (items.length === 0) {
      this.#indicator("[", true, true, false);
      this.#indicator("]", false, false, false);
      return;
    }
    const before = this.#indent;
    if (before < 0) this.#indent = 0;
    else if (!this.#manner.compact || !inMapping || this.#indention) this.#deeper();
    for (const item of items) {
      this.#writeIndent();
      this.#indicator("-", true, false, true);
      this.#inItem = true;
      this.#node(item, false, false);
    }
    this.#inItem = false;
    this.#indent = before;
  }

  #mapping(map: Record<string, unknown>): void {
    const keys = this.#manner.sorted ? Object.keys(map).sort(naturally) : Object.keys(map);
    if (keys.length === 0) {
      this.#indicator("{", true, true, false);
      this.#indicator("}", false, false, false);
      return;
    }
    const before = this.#indent;
    if (before < 0) this.#indent = 0;
    else this.#deeper();
    for (const key of keys) {
      this.#inItem = false;
      this.#writeIndent();
      const simple = !BREAK.test(key) && Buffer.byteLength(key) <= SIMPLE_KEY_MAX;
      if (simple) {
        this.#node(key, true, true);
        this.#indicator(":", false, false, false);
      } else {
        this.#indicator("?", true, false, true);
        this.#node(key, true, false);
        this.#writeIndent();
        this.#indicator(":", true, false, true);
      }
      this.#node(map[key], true, false);
    }
    this.#indent = before;
  }

  /** The first level in a list's item only has to clear the hyphen. */
  #deeper(): void {
    const { indent } = this.#manner;
    if (this.#inItem) this.#indent += 2;
    else this.#indent = indent * Math.floor((this.#indent + indent) / indent);
    this.#inItem = false;
  }

  #string(text: string, isKey: boolean): void {
    this.#scalar(text, text.includes("\n") ? "literal" : this.#manner.readsAsString(text) ? "plain" : "double", isKey);
  }

  #scalar(text: string, wanted: Style, isKey: boolean): void {
    const before = this.#indent;
    const { indent } = this.#manner;
    this.#indent = before < 0 ? indent : before + indent;
    const style = styleOf(text, wanted, isKey);
    if (style === "literal") this.#literal(text);
    else if (style === "double") this.#double(text, !isKey);
    else {
      if (style === "single") this.#indicator("'", true, false, false);
      else if (!this.#whitespace) this.#put(" ");
      this.#words(style === "single" ? text.replaceAll("'", "''") : text, !isKey, style === "single");
      if (style === "single") this.#indicator("'", false, false, false);
      this.#whitespace = false;
      this.#indention = false;
    }
    this.#indent = before;
  }

  /** Text that may go on in the next line where it has one space; of line breaks only Unicode's own are in it. */
  #words(text: string, mayFold: boolean, quoted: boolean): void {
    if (BREAK.test(text)) {
      for (const part of text.split(/([\x85\u2028\u2029])/)) {
        if (part === "") continue;
        if (BREAK.test(part)) {
          this.#out.push(part);
          this.#column = 0;
          this.#indention = true;
        } else {
          if (this.#column === 0) this.#writeIndent();
          this.#words(part, mayFold, quoted);
        }
      }
      return;
    }
    if (!mayFold || this.#column + text.length <= this.#manner.width) {
      this.#put(text);
      return;
    }
    let spaces = false;
    for (let at = 0; at < text.length;) {
      if (text[at] === " ") {
        const inside = !quoted || (at > 0 && at < text.length - 1);
        if (!spaces && this.#column > this.#manner.width && inside && text[at + 1] !== " ") this.#writeIndent();
        else this.#put(" ");
        at++;
        spaces = true;
        continue;
      }
      const space = text.indexOf(" ", at);
      const word = text.slice(at, space < 0 ? text.length : space);
      this.#put(word);
      this.#indention = false;
      spaces = false;
      at += word.length;
    }
  }

  #double(text: string, mayFold: boolean): void {
    this.#indicator('"', true, false, false);
    let spaces = false;
    const last = text.length - 1;
    // Upstream looks for a byte order mark at the beginning, wherever it is.
    const marked = text.startsWith("\ufeff");
    for (let at = 0; at < text.length;) {
      const character = String.fromCodePoint(text.codePointAt(at)!);
      if (character === " " && !marked) {
        if (mayFold && !spaces && this.#column > this.#manner.width && at > 0 && at < last) {
          this.#writeIndent();
          if (text[at + 1] === " ") this.#put("\\");
        } else this.#put(" ");
        spaces = true;
      } else {
        const plain =
          !marked && !UNPRINTABLE.test(character) && !BREAK.test(character) && character !== '"' && character !== "\\";
        this.#put(plain ? character : escaped(character));
        spaces = false;
      }
      at += character.length;
    }
    this.#indicator('"', false, false, false);
    this.#whitespace = false;
    this.#indention = false;
  }

  #literal(text: string): void {
    this.#indicator("|", true, false, false);
    if (text[0] === " " || BREAK.test(text[0]!)) this.#indicator(String(this.#manner.indent), false, false, false);
    const last = BREAK.test(text.at(-1)!);
    const chomping = !last ? "-" : text.length === 1 || BREAK.test(text.at(-2)!) ? "+" : "";
    if (chomping !== "") this.#indicator(chomping, false, false, false);
    this.#break();
    this.#indention = true;
    this.#whitespace = true;
    let breaks = true;
    for (const part of text.split(/(\r\n|[\n\r\x85\u2028\u2029])/)) {
      if (part === "") continue;
      if (BREAK.test(part)) {
        for (const one of part === "\r\n" ? ["\r", "\n"] : [part]) this.#out.push(one);
        this.#column = 0;
        this.#indention = true;
        breaks = true;
        continue;
      }
      if (breaks) this.#writeIndent();
      this.#put(part);
      this.#indention = false;
      breaks = false;
    }
  }
}

const BREAK = /[\n\r\x85\u2028\u2029]/;
/** Written as an escape: also all that 16 bits don't hold. */
const UNPRINTABLE = /[^\n\x20-\x7e\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd]/u;

/** What of the wanted style a text allows. */
function styleOf(text: string, wanted: Style, isKey: boolean): Style {
  const can = text === "" ? { plain: !isKey, single: true, literal: false } : analyse(text);
  let style = wanted;
  if (isKey && BREAK.test(text)) style = "double";
  if (style === "plain" && !can.plain) style = "single";
  if (style === "single" && !can.single) style = "double";
  if (style === "literal" && (!can.literal || isKey)) style = "double";
  return style;
}

function analyse(text: string): { readonly plain: boolean; readonly single: boolean; readonly literal: boolean } {
  const indicator =
    /^(?:---|\.\.\.|[#,[\]{}&*!|>'"%@`]|[-?:](?:[ \t]|$))/.test(text) ||
    /.:(?:[ \t]|$)/su.test(text) ||
    /[ \t\n\r\x85\u2028\u2029]#/.test(text);
  const special = UNPRINTABLE.test(text);
  const edges = /^[ \n\r\x85\u2028\u2029]|[ \n\r\x85\u2028\u2029]$/.test(text);
  const breakSpace = /[\n\r\x85\u2028\u2029] /.test(text);
  const spaceBreak = / [\n\r\x85\u2028\u2029]/.test(text);
  return {
    plain: !indicator && !special && !edges && !BREAK.test(text),
    single: !special && !breakSpace && !spaceBreak,
    literal: !special && !spaceBreak && !text.endsWith(" "),
  };
}

const ESCAPES: ReadonlyMap<string, string> = new Map([
  ["\0", "0"],
  ["\x07", "a"],
  ["\b", "b"],
  ["\t", "t"],
  ["\n", "n"],
  ["\v", "v"],
  ["\f", "f"],
  ["\r", "r"],
  ["\x1b", "e"],
  ['"', '"'],
  ["\\", "\\"],
  ["\x85", "N"],
  ["\xa0", "_"],
  ["\u2028", "L"],
  ["\u2029", "P"],
]);

function escaped(character: string): string {
  const known = ESCAPES.get(character);
  if (known !== undefined) return `\\${known}`;
  const code = character.codePointAt(0)!;
  const [letter, digits] = code <= 0xff ? ["x", 2] : code <= 0xffff ? ["u", 4] : ["U", 8];
  return `\\${letter}${code
    .toString(16)
    .toUpperCase()
    .padStart(digits as number, "0")}`;
}

/** A whole number in all its digits, any other as Go's shortest `%g`. */
function goNumber(value: number): string {
  if (Number.isInteger(value) && value >= -(2 ** 63) && value < 2 ** 64) return String(value);
  const [mantissa = "", exponent = "0"] = value.toExponential().split("e");
  const power = Number(exponent);
  if (power >= -4 && power < 6) return String(value);
  return `${mantissa}e${power < 0 ? "-" : "+"}${String(Math.abs(power)).padStart(2, "0")}`;
}

const isLetter = (character: string): boolean => /\p{L}/u.test(character);
const isDigit = (character: string | undefined): boolean => character !== undefined && /\p{Nd}/u.test(character);

/** Numbers in names by their value, and letters after everything else. */
function naturally(one: string, other: string): number {
  const ascii = /^[a-zA-Z]*$/;
  if (ascii.test(one) && ascii.test(other)) return one < other ? -1 : one > other ? 1 : 0;
  const [a, b] = [[...one], [...other]];
  for (let i = 0; i < a.length && i < b.length; i++) {
    if (a[i] === b[i]) continue;
    const [letterA, letterB] = [isLetter(a[i]!), isLetter(b[i]!)];
    if (letterA && letterB) return a[i]!.codePointAt(0)! - b[i]!.codePointAt(0)!;
    if (letterA || letterB) return letterB ? -1 : 1;
    let [numberA, numberB] = [0n, 0n];
    if (a[i] === "0" || b[i] === "0")
      for (let j = i - 1; j >= 0 && isDigit(a[j]); j--)
        if (a[j] !== "0") {
          numberA = 1n;
          numberB = 1n;
          break;
        }
    let endA = i;
    for (; isDigit(a[endA]); endA++) numberA = numberA * 10n + BigInt(a[endA]!.codePointAt(0)! - 48);
    let endB = i;
    for (; isDigit(b[endB]); endB++) numberB = numberB * 10n + BigInt(b[endB]!.codePointAt(0)! - 48);
    if (numberA !== numberB) return numberA < numberB ? -1 : 1;
    if (endA !== endB) return endA - endB;
    return a[i]!.codePointAt(0)! - b[i]!.codePointAt(0)!;
  }
  return a.length - b.length;
}
