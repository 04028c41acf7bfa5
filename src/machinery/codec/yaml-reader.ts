/** The text of a YAML stream and a position in it, and what all tokens are read with. */
import { DecodeError } from "./decode.ts";
import {
  DOT,
  HASH,
  isBlank,
  isBlankOrEnd,
  isBreak,
  isBreakOrEnd,
  isWord,
  LINE_FEED,
  MINUS,
  RETURN,
} from "./yaml-characters.ts";

const NOT_ALLOWED = /[^\t\n\r\x20-\x7e\x85\xa0-\ufffd]/;

export class YamlReader {
  readonly text: string;
  position = 0;
  /** From 0. */
  line = 0;
  #lineStart = 0;

  constructor(text: string) {
    if (NOT_ALLOWED.test(text)) throw new DecodeError("yaml: control characters are not allowed");
    this.text = text.charCodeAt(0) === 0xfeff ? text.slice(1) : text;
  }

  get isAtEnd(): boolean {
    return this.position >= this.text.length;
  }

  get column(): number {
    return this.position - this.#lineStart;
  }

  /** The code of the character `offset` places from here; 0 behind the end. */
  code(offset = 0): number {
    const at = this.position + offset;
    return at < this.text.length ? this.text.charCodeAt(at) : 0;
  }

  /** `contextLine` is named where the mistake is found on the first line. */
  fail(problem: string, contextLine = 0): never {
    const line = this.line > 0 ? this.line + 1 : contextLine;
    throw new DecodeError(`yaml: ${line > 0 ? `line ${line}: ` : ""}${problem}`);
  }

  /** Whether `---` or `...` stands here. */
  atDocumentMark(): boolean {
    const code = this.code();
    if (code !== MINUS && code !== DOT) return false;
    return this.code(1) === code && this.code(2) === code && isBlankOrEnd(this.code(3));
  }

  skipLine(): void {
    this.position += this.code() === RETURN && this.code(1) === LINE_FEED ? 2 : 1;
    this.line++;
    this.#lineStart = this.position;
  }

  /** Skips a line break and returns it as a scalar keeps it: Unicode's separators as they are, any other as a line feed. */
  readLine(): string {
    const code = this.code();
    this.skipLine();
    return code === 0x2028 || code === 0x2029 ? String.fromCharCode(code) : "\n";
  }

  word(): string {
    const start = this.position;
    while (isWord(this.code())) this.position++;
    return this.text.slice(start, this.position);
  }

  skipBlanks(): void {
    while (isBlank(this.code())) this.position++;
  }

  /** Skips the rest of the line, which may hold nothing but a comment. */
  toLineEnd(contextLine: number): void {
    this.skipBlanks();
    if (this.code() === HASH) while (!isBreakOrEnd(this.code())) this.position++;
    if (!isBreakOrEnd(this.code())) this.fail("did not find expected comment or line break", contextLine);
    if (isBreak(this.code())) this.skipLine();
  }

  /** The end of the stream begins a new line. */
  endLine(): void {
    if (this.column === 0) return;
    this.line++;
    this.#lineStart = this.position;
  }
}
