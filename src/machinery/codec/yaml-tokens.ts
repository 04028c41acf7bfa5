/**
 * YAML 1.1 as tokens, by libyaml's rules and with its words for what is wrong; each character is looked at once or twice, whatever the text is.
 * Upstream: go.yaml.in/yaml/v2 scannerc.go
 */
import { DecodeError } from "./decode.ts";

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

/** Where a key may have begun that is known as one only at its colon. */
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
const [TAB, LINE_FEED, RETURN, SPACE, EXCLAMATION, DOUBLE, HASH] = [9, 10, 13, 32, 33, 34, 35] as const;
const [PERCENT, AMPERSAND, SINGLE, STAR, PLUS, COMMA, MINUS, DOT, COLON] = [
  37, 38, 39, 42, 43, 44, 45, 46, 58,
] as const;
const [LESS, GREATER, QUESTION, AT, OPEN, BACKSLASH, CLOSE] = [60, 62, 63, 64, 91, 92, 93] as const;
const [BACKTICK, OPEN_CURLY, PIPE, CLOSE_CURLY] = [96, 123, 124, 125] as const;

const NO_VALUES: readonly string[] = [];
const NOT_ALLOWED = /[^\t\n\r\x20-\x7e\x85\xa0-\ufffd]/;

const isBreak = (code: number): boolean =>
  code === LINE_FEED || code === RETURN || code === 0x85 || code === 0x2028 || code === 0x2029;
const isBlank = (code: number): boolean => code === SPACE || code === TAB;
const isBreakOrEnd = (code: number): boolean => code === 0 || isBreak(code);
const isBlankOrEnd = (code: number): boolean => code === SPACE || code === TAB || isBreakOrEnd(code);
const isDigit = (code: number): boolean => code >= 48 && code <= 57;
const isWord = (code: number): boolean =>
  isDigit(code) || (code >= 65 && code <= 90) || (code >= 97 && code <= 122) || code === 95 || code === MINUS;
const closesOrSeparates = (code: number): boolean =>
  code === COMMA || code === QUESTION || code === OPEN || code === CLOSE || code === OPEN_CURLY || code === CLOSE_CURLY;

export class Tokens {
  readonly #text: string;
  #position = 0;
  #line = 0;
  #lineStart = 0;
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
    const bad = NOT_ALLOWED.exec(text);
    if (bad !== null) throw new DecodeError("yaml: control characters are not allowed");
    this.#text = text.charCodeAt(0) === 0xfeff ? text.slice(1) : text;
  }

  /** The next token; it stays the next one. */
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

  get #column(): number {
    return this.#position - this.#lineStart;
  }

  #code(offset = 0): number {
    const at = this.#position + offset;
    return at < this.#text.length ? this.#text.charCodeAt(at) : 0;
  }

  #fail(problem: string, contextLine = 0): never {
    const line = this.#line > 0 ? this.#line + 1 : contextLine;
    throw new DecodeError(`yaml: ${line > 0 ? `line ${line}: ` : ""}${problem}`);
  }

  #headMayBeKey(): boolean {
    const key = this.#mayBeKeys.get(this.#parsed);
    return key !== undefined && this.#isValid(key);
  }

  #isValid(key: SimpleKey): boolean {
    if (!key.possible) return false;
    if (key.line === this.#line && key.position + SIMPLE_KEY_MAX >= this.#position) return true;
    if (key.required) this.#fail("could not find expected ':'", key.line);
    key.possible = false;
    this.#mayBeKeys.delete(key.token);
    return false;
  }

  #saveKey(): void {
    if (!this.#simpleKeyAllowed) return;
    this.#removeKey();
    const key: SimpleKey = {
      possible: true,
      required: this.#flow === 0 && this.#indent === this.#column,
      token: this.#parsed + this.#tokens.length - this.#head,
      position: this.#position,
      line: this.#line,
      column: this.#column,
    };
    this.#simpleKeys[this.#simpleKeys.length - 1] = key;
    this.#mayBeKeys.set(key.token, key);
  }

  #removeKey(): void {
    const key = this.#simpleKeys.at(-1)!;
    if (!key.possible) return;
    if (key.required) this.#fail("could not find expected ':'", key.line);
    key.possible = false;
    this.#mayBeKeys.delete(key.token);
  }

  #push(type: TokenType, line: number, value = "", plain = false): void {
    this.#tokens.push({ type, line, value, handle: "", plain, values: NO_VALUES });
  }

  /** Goes one level in where a column asks for it; `number` is the token that the level begins before. */
  #rollIndent(column: number, type: TokenType, line: number, number = -1): void {
    if (this.#flow > 0 || this.#indent >= column) return;
    this.#indents.push(this.#indent);
    this.#indent = column;
    if (this.#indents.length > LEVELS_MAX)
      this.#fail(`exceeded max depth of ${LEVELS_MAX}`, this.#simpleKeys.at(-1)!.line);
    const token: Token = { type, line, value: "", handle: "", plain: false, values: NO_VALUES };
    if (number < 0) this.#tokens.push(token);
    else this.#tokens.splice(this.#head + number - this.#parsed, 0, token);
  }

  #unrollIndent(column: number): void {
    if (this.#flow > 0) return;
    while (this.#indent > column) {
      this.#push("block end", this.#line);
      this.#indent = this.#indents.pop()!;
    }
  }

  #fetch(): void {
    if (this.#ended) return this.#push("stream end", this.#line);
    this.#toNextToken();
    this.#unrollIndent(this.#column);
    const code = this.#code();
    if (this.#position >= this.#text.length) return this.#fetchEnd();
    if (this.#column === 0) {
      if (code === PERCENT) return this.#fetchDirective();
      if (this.#atDocumentMark()) return this.#fetchDocumentMark(code === MINUS ? "document start" : "document end");
    }
    const next = this.#code(1);
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
    if (!isPlain) this.#fail("found character that cannot start any token", this.#line);
    this.#saveKey();
    this.#simpleKeyAllowed = false;
    this.#fetchPlain();
  }

  #atDocumentMark(): boolean {
    const code = this.#code();
    if (code !== MINUS && code !== DOT) return false;
    return this.#code(1) === code && this.#code(2) === code && isBlankOrEnd(this.#code(3));
  }

  #toNextToken(): void {
    for (;;) {
      for (;;) {
        const code = this.#code();
        if (code !== SPACE && (code !== TAB || (this.#flow === 0 && this.#simpleKeyAllowed))) break;
        this.#position++;
      }
      if (this.#code() === HASH) while (!isBreakOrEnd(this.#code())) this.#position++;
      if (!isBreak(this.#code())) return;
      this.#skipLine();
      if (this.#flow === 0) this.#simpleKeyAllowed = true;
    }
  }

  #skipLine(): void {
    this.#position += this.#code() === RETURN && this.#code(1) === LINE_FEED ? 2 : 1;
    this.#line++;
    this.#lineStart = this.#position;
  }

  /** A line's end as it is kept: Unicode's own separators stay, all others are one. */
  #readLine(): string {
    const code = this.#code();
    this.#skipLine();
    return code === 0x2028 || code === 0x2029 ? String.fromCharCode(code) : "\n";
  }

  #fetchEnd(): void {
    if (this.#column !== 0) {
      this.#line++;
      this.#lineStart = this.#position;
    }
    this.#unrollIndent(-1);
    this.#removeKey();
    this.#simpleKeyAllowed = false;
    this.#ended = true;
    this.#push("stream end", this.#line);
  }

  #fetchIndicator(type: TokenType, length = 1): void {
    this.#push(type, this.#line);
    this.#position += length;
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
      position: this.#position,
      line: this.#line,
      column: this.#column,
    });
    if (++this.#flow > LEVELS_MAX) this.#fail(`exceeded max depth of ${LEVELS_MAX}`, this.#line);
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
      if (!this.#simpleKeyAllowed) this.#fail("block sequence entries are not allowed in this context", this.#line);
      this.#rollIndent(this.#column, "block sequence", this.#line);
    }
    this.#removeKey();
    this.#simpleKeyAllowed = true;
    this.#fetchIndicator("entry");
  }

  #fetchKey(): void {
    if (this.#flow === 0) {
      if (!this.#simpleKeyAllowed) this.#fail("mapping keys are not allowed in this context", this.#line);
      this.#rollIndent(this.#column, "block mapping", this.#line);
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
        if (!this.#simpleKeyAllowed) this.#fail("mapping values are not allowed in this context", this.#line);
        this.#rollIndent(this.#column, "block mapping", this.#line);
      }
      this.#simpleKeyAllowed = this.#flow === 0;
    }
    this.#fetchIndicator("value");
  }

  #word(): string {
    const start = this.#position;
    while (isWord(this.#code())) this.#position++;
    return this.#text.slice(start, this.#position);
  }

  #fetchAnchor(type: "alias" | "anchor"): void {
    this.#saveKey();
    this.#simpleKeyAllowed = false;
    this.#position++;
    const value = this.#word();
    const code = this.#code();
    const ends = isBlankOrEnd(code) || "?:,]}%@`".includes(String.fromCharCode(code));
    if (value === "" || !ends) this.#fail("did not find expected alphabetic or numeric character", this.#line);
    this.#push(type, this.#line, value);
  }

  #fetchTag(): void {
    this.#saveKey();
    this.#simpleKeyAllowed = false;
    let handle = "";
    let value: string;
    if (this.#code(1) === LESS) {
      this.#position += 2;
      value = this.#tagUri("");
      if (this.#code() !== GREATER) this.#fail("did not find the expected '>'", this.#line);
      this.#position++;
    } else {
      handle = this.#tagHandle(false);
      if (handle.length > 1 && handle.endsWith("!")) value = this.#tagUri("");
      else {
        value = this.#tagUri(handle);
        handle = value === "" ? "" : "!";
        if (value === "") value = "!";
      }
    }
    if (!isBlankOrEnd(this.#code())) this.#fail("did not find expected whitespace or line break", this.#line);
    this.#tokens.push({ type: "tag", line: this.#line, value, handle, plain: false, values: NO_VALUES });
  }

  #tagHandle(isDirective: boolean): string {
    if (this.#code() !== EXCLAMATION) this.#fail("did not find expected '!'", this.#line);
    this.#position++;
    const handle = `!${this.#word()}`;
    if (this.#code() === EXCLAMATION) {
      this.#position++;
      return `${handle}!`;
    }
    if (isDirective && handle !== "!") this.#fail("did not find expected '!'", this.#line);
    return handle;
  }

  #tagUri(head: string): string {
    const start = this.#position;
    while (isWord(this.#code()) || (this.#code() > 0 && ";/?:@&=+$,.!~*'()[]%".includes(this.#text[this.#position]!)))
      this.#position++;
    const raw = this.#text.slice(start, this.#position);
    if (raw === "" && head === "") this.#fail("did not find expected tag URI", this.#line);
    try {
      return head.slice(1) + decodeURIComponent(raw);
    } catch {
      return this.#fail("did not find URI escaped octet", this.#line);
    }
  }

  #skipBlanks(): void {
    while (isBlank(this.#code())) this.#position++;
  }

  #fetchDirective(): void {
    this.#unrollIndent(-1);
    this.#removeKey();
    this.#simpleKeyAllowed = false;
    const line = this.#line;
    this.#position++;
    const value = this.#word();
    if (value === "") this.#fail("could not find expected directive name", line);
    if (!isBlankOrEnd(this.#code())) this.#fail("found unexpected non-alphabetical character", line);
    this.#skipBlanks();
    let values: readonly string[];
    if (value === "YAML") {
      const major = this.#versionNumber();
      if (this.#code() !== DOT) this.#fail("did not find expected digit or '.' character", line);
      this.#position++;
      values = [major, this.#versionNumber()];
    } else if (value === "TAG") {
      const handle = this.#tagHandle(true);
      if (!isBlank(this.#code())) this.#fail("did not find expected whitespace", line);
      this.#skipBlanks();
      values = [handle, this.#tagUri("")];
      if (!isBlankOrEnd(this.#code())) this.#fail("did not find expected whitespace or line break", line);
    } else return this.#fail("found unknown directive name", line);
    this.#toLineEnd(line);
    this.#tokens.push({ type: "directive", line, value, handle: "", plain: false, values });
  }

  #versionNumber(): string {
    const start = this.#position;
    while (isDigit(this.#code()))
      if (++this.#position - start > 2) this.#fail("found extremely long version number", this.#line);
    if (this.#position === start) this.#fail("did not find expected version number", this.#line);
    return String(Number(this.#text.slice(start, this.#position)));
  }

  /** Nothing but a comment may be left of the line. */
  #toLineEnd(contextLine: number): void {
    this.#skipBlanks();
    if (this.#code() === HASH) while (!isBreakOrEnd(this.#code())) this.#position++;
    if (!isBreakOrEnd(this.#code())) this.#fail("did not find expected comment or line break", contextLine);
    if (isBreak(this.#code())) this.#skipLine();
  }

  #fetchBlockScalar(literal: boolean): void {
    const begin = this.#line;
    this.#position++;
    let chomping = "";
    let increment = 0;
    for (let i = 0; i < 2; i++) {
      const code = this.#code();
      if (chomping === "" && (code === PLUS || code === MINUS)) chomping = code === PLUS ? "+" : "-";
      else if (increment === 0 && isDigit(code)) {
        increment = code - 48;
        if (increment === 0) this.#fail("found an indentation indicator equal to 0", begin);
      } else break;
      this.#position++;
    }
    this.#toLineEnd(begin);
    let indent = increment === 0 ? 0 : Math.max(this.#indent, 0) + increment;
    const parts: string[] = [];
    let leading = "";
    let trailing: string;
    [indent, trailing] = this.#blockBreaks(indent, begin);
    let startedBlank = false;
    while (this.#column === indent && this.#code() !== 0) {
      const blank = isBlank(this.#code());
      if (!literal && !startedBlank && !blank && leading === "\n") {
        if (trailing === "") parts.push(" ");
      } else parts.push(leading);
      parts.push(trailing);
      startedBlank = blank;
      const start = this.#position;
      while (!isBreakOrEnd(this.#code())) this.#position++;
      parts.push(this.#text.slice(start, this.#position));
      leading = this.#code() === 0 ? "" : this.#readLine();
      [indent, trailing] = this.#blockBreaks(indent, begin);
    }
    if (chomping !== "-") parts.push(leading);
    if (chomping === "+") parts.push(trailing);
    this.#push("scalar", begin, parts.join(""));
  }

  /** Empty lines before a block's next line; where its indent isn't known yet, this finds it. */
  #blockBreaks(known: number, begin: number): [indent: number, breaks: string] {
    let breaks = "";
    let deepest = 0;
    for (;;) {
      while ((known === 0 || this.#column < known) && this.#code() === SPACE) this.#position++;
      if (this.#column > deepest) deepest = this.#column;
      if ((known === 0 || this.#column < known) && this.#code() === TAB)
        this.#fail("found a tab character where an indentation space is expected", begin);
      if (!isBreak(this.#code())) break;
      breaks += this.#readLine();
    }
    return [known === 0 ? Math.max(deepest, this.#indent + 1, 1) : known, breaks];
  }

  #fetchQuoted(quote: number): void {
    const begin = this.#line;
    const single = quote === SINGLE;
    this.#position++;
    const parts: string[] = [];
    for (;;) {
      if (this.#column === 0 && this.#atDocumentMark()) this.#fail("found unexpected document indicator", begin);
      if (this.#position >= this.#text.length) this.#fail("found unexpected end of stream", begin);
      let onNewLine = false;
      let start = this.#position;
      for (let code = this.#code(); !isBlankOrEnd(code); code = this.#code()) {
        if (code === quote) {
          if (!single || this.#code(1) !== SINGLE) break;
          parts.push(this.#text.slice(start, this.#position + 1));
          this.#position += 2;
          start = this.#position;
        } else if (single || code !== BACKSLASH) this.#position++;
        else {
          parts.push(this.#text.slice(start, this.#position));
          if (isBreak(this.#code(1))) {
            this.#position++;
            this.#skipLine();
            start = this.#position;
            onNewLine = true;
            break;
          }
          parts.push(this.#escape(begin));
          start = this.#position;
        }
      }
      parts.push(this.#text.slice(start, this.#position));
      if (this.#code() === quote) break;
      parts.push(this.#foldedBlanks(onNewLine));
    }
    this.#position++;
    this.#push("scalar", begin, parts.join(""));
  }

  /** Blanks between words, or, with a line's end among them, what they come to. */
  #foldedBlanks(onNewLine: boolean): string {
    let blanks = "";
    let leading = "";
    let trailing = "";
    for (;;) {
      const start = this.#position;
      this.#skipBlanks();
      if (!onNewLine) blanks += this.#text.slice(start, this.#position);
      if (!isBreak(this.#code())) break;
      if (onNewLine) trailing += this.#readLine();
      else {
        leading = this.#readLine();
        onNewLine = true;
      }
    }
    if (!onNewLine) return blanks;
    return leading === "\n" ? trailing || " " : leading + trailing;
  }

  #escape(begin: number): string {
    const letter = this.#text[this.#position + 1] ?? "";
    const digits = letter === "x" ? 2 : letter === "u" ? 4 : letter === "U" ? 8 : 0;
    if (digits === 0) {
      const meaning = ESCAPES.get(letter);
      if (meaning === undefined) this.#fail("found unknown escape character", begin);
      this.#position += 2;
      return meaning;
    }
    this.#position += 2;
    const hex = this.#text.slice(this.#position, this.#position + digits);
    if (hex.length < digits || /[^\da-f]/i.test(hex)) this.#fail("did not find expected hexdecimal number", begin);
    const value = Number.parseInt(hex, 16);
    if ((value >= 0xd800 && value <= 0xdfff) || value > 0x10ffff)
      this.#fail("found invalid Unicode character escape code", begin);
    this.#position += digits;
    return String.fromCodePoint(value);
  }

  #fetchPlain(): void {
    const text = this.#text;
    const begin = this.#line;
    const indent = this.#indent + 1;
    const inFlow = this.#flow > 0;
    let value = "";
    let between = "";
    let onNewLine = false;
    for (;;) {
      if (this.#column === 0 && this.#atDocumentMark()) break;
      if (this.#code() === HASH) break;
      const start = this.#position;
      let at = start;
      for (; at < text.length; at++) {
        const code = text.charCodeAt(at);
        if (code === COLON) {
          if (at + 1 >= text.length || isBlankOrEnd(text.charCodeAt(at + 1))) break;
        } else if (isBlankOrEnd(code) || (inFlow && closesOrSeparates(code))) break;
      }
      this.#position = at;
      if (at > start) {
        value += between + text.slice(start, at);
        between = "";
        onNewLine = false;
      }
      if (!isBlank(this.#code()) && !isBreak(this.#code())) break;
      let leading = "";
      let trailing = "";
      for (;;) {
        const from = this.#position;
        while (isBlank(this.#code())) {
          if (onNewLine && this.#column < indent && this.#code() === TAB)
            this.#fail("found a tab character that violates indentation", begin);
          this.#position++;
        }
        if (!onNewLine) between += text.slice(from, this.#position);
        if (!isBreak(this.#code())) break;
        if (onNewLine) trailing += this.#readLine();
        else {
          leading = this.#readLine();
          onNewLine = true;
        }
      }
      if (leading !== "") between = leading === "\n" ? trailing || " " : leading + trailing;
      if (!inFlow && this.#column < indent) break;
    }
    this.#push("scalar", begin, value, true);
    if (onNewLine) this.#simpleKeyAllowed = true;
  }
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
