/**
 * Turns YAML 1.1 into tokens by libyaml's rules and with its error messages: structure here, the text of scalars in `yaml-scalar-text.ts`. Each
 * character is looked at once or twice, whatever the text is.
 *
 * Upstream: go.yaml.in/yaml/v2 scannerc.go
 */
import {
  AMPERSAND,
  AT,
  BACKTICK,
  CLOSE,
  CLOSE_CURLY,
  closesOrSeparates,
  COLON,
  COMMA,
  DOT,
  DOUBLE,
  EXCLAMATION,
  GREATER,
  HASH,
  isBlank,
  isBlankOrEnd,
  isBreak,
  isBreakOrEnd,
  isDigit,
  isWord,
  LESS,
  MINUS,
  OPEN,
  OPEN_CURLY,
  PERCENT,
  PIPE,
  QUESTION,
  SINGLE,
  SPACE,
  STAR,
  TAB,
} from "./yaml-characters.ts";
import { YamlReader } from "./yaml-reader.ts";
import { readBlockScalar, readPlain, readQuoted } from "./yaml-scalar-text.ts";

export type TokenType =
  | "stream end"
  | "directive"
  | "document start"
  | "document end"
  | "block sequence"
  | "block mapping"
  | "block end"
  | "flow sequence"
  | "flow sequence end"
  | "flow mapping"
  | "flow mapping end"
  | "entry"
  | "flow entry"
  | "key"
  | "value"
  | "alias"
  | "anchor"
  | "tag"
  | "scalar";

export interface Token {
  readonly type: TokenType;
  /** From 0. */
  readonly line: number;
  /** Of a scalar its text, of an anchor or alias its name, of a tag its suffix, of a directive its name. */
  readonly value: string;
  /** Of a tag. */
  readonly handle: string;
  /** Of a scalar: neither quoted nor a block. */
  readonly plain: boolean;
  /** Of a directive: what it says. */
  readonly values: readonly string[];
}

/** Where a key may have begun: only the colon behind it tells that it was one. */
interface SimpleKey {
  possible: boolean;
  required: boolean;
  token: number;
  position: number;
  line: number;
  column: number;
}

const LEVELS_MAX = 10_000;
const SIMPLE_KEY_MAX = 1024;
const NO_VALUES: readonly string[] = [];

export class Tokens {
  readonly #reader: YamlReader;
  #tokens: Token[] = [];
  #head = 0;
  #parsed = 0;
  #ended = false;
  #flow = 0;
  #indent = -1;
  readonly #indents: number[] = [];
  #simpleKeyAllowed = true;
  readonly #simpleKeys: SimpleKey[] = [{ possible: false, required: false, token: 0, position: 0, line: 0, column: 0 }];
  /** Tokens that may turn out to be keys. */
  readonly #mayBeKeys = new Map<number, SimpleKey>();

  constructor(text: string) {
    this.#reader = new YamlReader(text);
  }

  /** The next token, without taking it. */
  peek(): Token {
    while (this.#head === this.#tokens.length || this.#headMayBeKey()) this.#fetch();
    return this.#tokens[this.#head]!;
  }

  skip(): void {
    this.#head++;
    this.#parsed++;
    if (this.#head < 512) return;
    this.#tokens = this.#tokens.slice(this.#head);
    this.#head = 0;
  }

  #headMayBeKey(): boolean {
    const key = this.#mayBeKeys.get(this.#parsed);
    return key !== undefined && this.#isValid(key);
  }

  #isValid(key: SimpleKey): boolean {
    if (!key.possible) return false;
    if (key.line === this.#reader.line && key.position + SIMPLE_KEY_MAX >= this.#reader.position) return true;
    if (key.required) this.#reader.fail("could not find expected ':'", key.line);
    key.possible = false;
    this.#mayBeKeys.delete(key.token);
    return false;
  }

  #saveKey(): void {
    if (!this.#simpleKeyAllowed) return;
    this.#removeKey();
    const key: SimpleKey = {
      possible: true,
      required: this.#flow === 0 && this.#indent === this.#reader.column,
      token: this.#parsed + this.#tokens.length - this.#head,
      position: this.#reader.position,
      line: this.#reader.line,
      column: this.#reader.column,
    };
    this.#simpleKeys[this.#simpleKeys.length - 1] = key;
    this.#mayBeKeys.set(key.token, key);
  }

  #removeKey(): void {
    const key = this.#simpleKeys.at(-1)!;
    if (!key.possible) return;
    if (key.required) this.#reader.fail("could not find expected ':'", key.line);
    key.possible = false;
    this.#mayBeKeys.delete(key.token);
  }

  #push(type: TokenType, line: number, value = "", plain = false): void {
    this.#tokens.push({ type, line, value, handle: "", plain, values: NO_VALUES });
  }

  /** Opens a block where `column` is deeper than the present one; the block begins before token `number`, or with the next token. */
  #rollIndent(column: number, type: TokenType, line: number, number = -1): void {
    if (this.#flow > 0 || this.#indent >= column) return;
    this.#indents.push(this.#indent);
    this.#indent = column;
    if (this.#indents.length > LEVELS_MAX)
      this.#reader.fail(`exceeded max depth of ${LEVELS_MAX}`, this.#simpleKeys.at(-1)!.line);
    const token: Token = { type, line, value: "", handle: "", plain: false, values: NO_VALUES };
    if (number < 0) this.#tokens.push(token);
    else this.#tokens.splice(this.#head + number - this.#parsed, 0, token);
  }

  #unrollIndent(column: number): void {
    if (this.#flow > 0) return;
    while (this.#indent > column) {
      this.#push("block end", this.#reader.line);
      this.#indent = this.#indents.pop()!;
    }
  }

  #fetch(): void {
    if (this.#ended) return this.#push("stream end", this.#reader.line);
    this.#toNextToken();
    this.#unrollIndent(this.#reader.column);
    const code = this.#reader.code();
    if (this.#reader.isAtEnd) return this.#fetchEnd();
    if (this.#reader.column === 0) {
      if (code === PERCENT) return this.#fetchDirective();
      if (this.#reader.atDocumentMark())
        return this.#fetchDocumentMark(code === MINUS ? "document start" : "document end");
    }
    const next = this.#reader.code(1);
    switch (code) {
      case OPEN:
        return this.#fetchFlowStart("flow sequence");
      case OPEN_CURLY:
        return this.#fetchFlowStart("flow mapping");
      case CLOSE:
        return this.#fetchFlowEnd("flow sequence end");
      case CLOSE_CURLY:
        return this.#fetchFlowEnd("flow mapping end");
      case COMMA:
        this.#removeKey();
        this.#simpleKeyAllowed = true;
        return this.#fetchIndicator("flow entry");
      case MINUS:
        if (isBlankOrEnd(next)) return this.#fetchEntry();
        break;
      case QUESTION:
        if (this.#flow > 0 || isBlankOrEnd(next)) return this.#fetchKey();
        break;
      case COLON:
        if (this.#flow > 0 || isBlankOrEnd(next)) return this.#fetchValue();
        break;
      case STAR:
        return this.#fetchAnchor("alias");
      case AMPERSAND:
        return this.#fetchAnchor("anchor");
      case EXCLAMATION:
        return this.#fetchTag();
      case PIPE:
      case GREATER:
        if (this.#flow > 0) break;
        this.#removeKey();
        this.#simpleKeyAllowed = true;
        return this.#fetchBlockScalar(code === PIPE);
      case SINGLE:
      case DOUBLE:
        this.#saveKey();
        this.#simpleKeyAllowed = false;
        return this.#fetchQuoted(code);
    }
    const startsNothing =
      isBlankOrEnd(code) ||
      closesOrSeparates(code) ||
      code === COLON ||
      code === HASH ||
      code === PIPE ||
      code === GREATER ||
      code === PERCENT ||
      code === AT ||
      code === BACKTICK ||
      (code === MINUS && isBlank(next));
    const isPlain = !startsNothing || (this.#flow === 0 && (code === QUESTION || code === COLON));
    if (!isPlain) this.#reader.fail("found character that cannot start any token", this.#reader.line);
    this.#saveKey();
    this.#simpleKeyAllowed = false;
    this.#fetchPlain();
  }

  #toNextToken(): void {
    for (;;) {
      for (;;) {
        const code = this.#reader.code();
        if (code !== SPACE && (code !== TAB || (this.#flow === 0 && this.#simpleKeyAllowed))) break;
        this.#reader.position++;
      }
      if (this.#reader.code() === HASH) while (!isBreakOrEnd(this.#reader.code())) this.#reader.position++;
      if (!isBreak(this.#reader.code())) return;
      this.#reader.skipLine();
      if (this.#flow === 0) this.#simpleKeyAllowed = true;
    }
  }

  #fetchEnd(): void {
    this.#reader.endLine();
    this.#unrollIndent(-1);
    this.#removeKey();
    this.#simpleKeyAllowed = false;
    this.#ended = true;
    this.#push("stream end", this.#reader.line);
  }

  #fetchIndicator(type: TokenType, length = 1): void {
    this.#push(type, this.#reader.line);
    this.#reader.position += length;
  }

  #fetchDocumentMark(type: TokenType): void {
    this.#unrollIndent(-1);
    this.#removeKey();
    this.#simpleKeyAllowed = false;
    this.#fetchIndicator(type, 3);
  }

  #fetchFlowStart(type: TokenType): void {
    this.#saveKey();
    const { length } = this.#tokens;
    this.#simpleKeys.push({
      possible: false,
      required: false,
      token: this.#parsed + length - this.#head,
      position: this.#reader.position,
      line: this.#reader.line,
      column: this.#reader.column,
    });
    if (++this.#flow > LEVELS_MAX) this.#reader.fail(`exceeded max depth of ${LEVELS_MAX}`, this.#reader.line);
    this.#simpleKeyAllowed = true;
    this.#fetchIndicator(type);
  }

  #fetchFlowEnd(type: TokenType): void {
    this.#removeKey();
    if (this.#flow > 0) {
      this.#flow--;
      this.#mayBeKeys.delete(this.#simpleKeys.pop()!.token);
    }
    this.#simpleKeyAllowed = false;
    this.#fetchIndicator(type);
  }

  #fetchEntry(): void {
    if (this.#flow === 0) {
      if (!this.#simpleKeyAllowed)
        this.#reader.fail("block sequence entries are not allowed in this context", this.#reader.line);
      this.#rollIndent(this.#reader.column, "block sequence", this.#reader.line);
    }
    this.#removeKey();
    this.#simpleKeyAllowed = true;
    this.#fetchIndicator("entry");
  }

  #fetchKey(): void {
    if (this.#flow === 0) {
      if (!this.#simpleKeyAllowed) this.#reader.fail("mapping keys are not allowed in this context", this.#reader.line);
      this.#rollIndent(this.#reader.column, "block mapping", this.#reader.line);
    }
    this.#removeKey();
    this.#simpleKeyAllowed = this.#flow === 0;
    this.#fetchIndicator("key");
  }

  #fetchValue(): void {
    const key = this.#simpleKeys.at(-1)!;
    if (this.#isValid(key)) {
      this.#tokens.splice(this.#head + key.token - this.#parsed, 0, {
        type: "key",
        line: key.line,
        value: "",
        handle: "",
        plain: false,
        values: NO_VALUES,
      });
      this.#rollIndent(key.column, "block mapping", key.line, key.token);
      key.possible = false;
      this.#mayBeKeys.delete(key.token);
      this.#simpleKeyAllowed = false;
    } else {
      if (this.#flow === 0) {
        if (!this.#simpleKeyAllowed)
          this.#reader.fail("mapping values are not allowed in this context", this.#reader.line);
        this.#rollIndent(this.#reader.column, "block mapping", this.#reader.line);
      }
      this.#simpleKeyAllowed = this.#flow === 0;
    }
    this.#fetchIndicator("value");
  }

  #fetchAnchor(type: "alias" | "anchor"): void {
    this.#saveKey();
    this.#simpleKeyAllowed = false;
    this.#reader.position++;
    const value = this.#reader.word();
    const code = this.#reader.code();
    const ends = isBlankOrEnd(code) || "?:,]}%@`".includes(String.fromCharCode(code));
    if (value === "" || !ends)
      this.#reader.fail("did not find expected alphabetic or numeric character", this.#reader.line);
    this.#push(type, this.#reader.line, value);
  }

  #fetchTag(): void {
    this.#saveKey();
    this.#simpleKeyAllowed = false;
    let handle = "";
    let value: string;
    if (this.#reader.code(1) === LESS) {
      this.#reader.position += 2;
      value = this.#tagUri("");
      if (this.#reader.code() !== GREATER) this.#reader.fail("did not find the expected '>'", this.#reader.line);
      this.#reader.position++;
    } else {
      handle = this.#tagHandle(false);
      if (handle.length > 1 && handle.endsWith("!")) value = this.#tagUri("");
      else {
        value = this.#tagUri(handle);
        handle = value === "" ? "" : "!";
        if (value === "") value = "!";
      }
    }
    if (!isBlankOrEnd(this.#reader.code()))
      this.#reader.fail("did not find expected whitespace or line break", this.#reader.line);
    this.#tokens.push({ type: "tag", line: this.#reader.line, value, handle, plain: false, values: NO_VALUES });
  }

  #tagHandle(isDirective: boolean): string {
    if (this.#reader.code() !== EXCLAMATION) this.#reader.fail("did not find expected '!'", this.#reader.line);
    this.#reader.position++;
    const handle = `!${this.#reader.word()}`;
    if (this.#reader.code() === EXCLAMATION) {
      this.#reader.position++;
      return `${handle}!`;
    }
    if (isDirective && handle !== "!") this.#reader.fail("did not find expected '!'", this.#reader.line);
    return handle;
  }

  #tagUri(head: string): string {
    const start = this.#reader.position;
    while (
      isWord(this.#reader.code()) ||
      (this.#reader.code() > 0 && ";/?:@&=+$,.!~*'()[]%".includes(this.#reader.text[this.#reader.position]!))
    )
      this.#reader.position++;
    const raw = this.#reader.text.slice(start, this.#reader.position);
    if (raw === "" && head === "") this.#reader.fail("did not find expected tag URI", this.#reader.line);
    try {
      return head.slice(1) + decodeURIComponent(raw);
    } catch {
      return this.#reader.fail("did not find URI escaped octet", this.#reader.line);
    }
  }

  #fetchDirective(): void {
    this.#unrollIndent(-1);
    this.#removeKey();
    this.#simpleKeyAllowed = false;
    const line = this.#reader.line;
    this.#reader.position++;
    const value = this.#reader.word();
    if (value === "") this.#reader.fail("could not find expected directive name", line);
    if (!isBlankOrEnd(this.#reader.code())) this.#reader.fail("found unexpected non-alphabetical character", line);
    this.#reader.skipBlanks();
    let values: readonly string[];
    if (value === "YAML") {
      const major = this.#versionNumber();
      if (this.#reader.code() !== DOT) this.#reader.fail("did not find expected digit or '.' character", line);
      this.#reader.position++;
      values = [major, this.#versionNumber()];
    } else if (value === "TAG") {
      const handle = this.#tagHandle(true);
      if (!isBlank(this.#reader.code())) this.#reader.fail("did not find expected whitespace", line);
      this.#reader.skipBlanks();
      values = [handle, this.#tagUri("")];
      if (!isBlankOrEnd(this.#reader.code())) this.#reader.fail("did not find expected whitespace or line break", line);
    } else return this.#reader.fail("found unknown directive name", line);
    this.#reader.toLineEnd(line);
    this.#tokens.push({ type: "directive", line, value, handle: "", plain: false, values });
  }

  #versionNumber(): string {
    const start = this.#reader.position;
    while (isDigit(this.#reader.code()))
      if (++this.#reader.position - start > 2)
        this.#reader.fail("found extremely long version number", this.#reader.line);
    if (this.#reader.position === start) this.#reader.fail("did not find expected version number", this.#reader.line);
    return String(Number(this.#reader.text.slice(start, this.#reader.position)));
  }

  #fetchBlockScalar(literal: boolean): void {
    const { line } = this.#reader;
    this.#push("scalar", line, readBlockScalar(this.#reader, literal, this.#indent));
  }

  #fetchQuoted(quote: number): void {
    const { line } = this.#reader;
    this.#push("scalar", line, readQuoted(this.#reader, quote));
  }

  #fetchPlain(): void {
    const { line } = this.#reader;
    const { value, endsInNewLine } = readPlain(this.#reader, this.#indent, this.#flow > 0);
    this.#push("scalar", line, value, true);
    if (endsInNewLine) this.#simpleKeyAllowed = true;
  }
}
