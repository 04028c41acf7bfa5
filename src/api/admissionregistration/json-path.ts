/** Validates a text as one of kubectl's JSONPath expressions. Upstream: client-go/util/jsonpath/parser.go */

/** What is wrong with `text` as what stands between two braces; undefined where nothing is. */
export const jsonPathProblem = (text: string): string | undefined => new Reader(`{${text}}`).template();

const TERMINATOR = /[\s.,[\]$@{}]/;
const WORD = /[\p{L}\p{Nd}_]/u;
const SLICE = /^(-?\d*)(:-?\d*)?(:-?\d*)?$/;
const COMPARISON = /^([^!<>=]+)([!<>=]+)(.+?)$/s;

class Reader {
  readonly #letters: readonly string[];
  #at = 0;

  constructor(text: string) {
    this.#letters = [...text];
  }

  /** Plain text with actions in it. */
  template(): string | undefined {
    for (;;) {
      const begin = this.#letters.indexOf("{", this.#at);
      if (begin < 0) return undefined;
      this.#at = begin + 1;
      const problem = this.#action();
      if (problem !== undefined) return problem;
    }
  }

  #action(): string | undefined {
    for (let descended = false; ;) {
      const rest = this.#letters.slice(this.#at, this.#at + 3).join("");
      if (rest.startsWith("}")) {
        this.#at++;
        return undefined;
      }
      let problem: string | undefined;
      if (rest.startsWith("..")) {
        if (descended) return "invalid multiple recursive descent";
        this.#at += 2;
        descended = !WORD.test(this.#letters[this.#at] ?? "");
        if (!descended) this.#field();
        continue;
      }
      if (rest === "[?(") problem = this.#filter();
      else problem = this.#step();
      if (problem !== undefined) return problem;
      if (rest[0] !== " " && rest[0] !== "@" && rest[0] !== "$") descended = false;
    }
  }

  #step(): string | undefined {
    const letter = this.#letters[this.#at++];
    if (letter === undefined || letter === "\n" || letter === "\r") return "unclosed action";
    if (letter === " " || letter === "@" || letter === "$") return undefined;
    if (letter === "[") return this.#brackets();
    if (letter === '"' || letter === "'") return this.#quoted(letter);
    if (letter === ".") return this.#field();
    if (/[+\-\p{Nd}]/u.test(letter)) return this.#number(letter);
    if (WORD.test(letter)) {
      while (!TERMINATOR.test(this.#letters[this.#at] ?? " ")) this.#at++;
      return undefined;
    }
    const code = letter.codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0");
    const shown = /[\p{L}\p{M}\p{N}\p{P}\p{S}]/u.test(letter) ? ` '${letter}'` : "";
    return `unrecognized character in action: U+${code}${shown}`;
  }

  #field(): undefined {
    for (; !TERMINATOR.test(this.#letters[this.#at] ?? " "); this.#at++)
      if (this.#letters[this.#at] === "\\") this.#at++;
    return undefined;
  }

  #number(first: string): string | undefined {
    let text = first;
    while (/[.\p{Nd}]/u.test(this.#letters[this.#at] ?? "")) text += this.#letters[this.#at++]!;
    return /^[+-]?(\d+\.?\d*|\.\d+)$/.test(text) ? undefined : `cannot parse number ${text}`;
  }

  #quoted(end: string): string | undefined {
    for (;;) {
      const letter = this.#letters[this.#at++];
      if (letter === undefined || letter === "\n") return "unterminated quoted string";
      if (letter === end && this.#letters[this.#at - 2] !== "\\") return undefined;
    }
  }

  #brackets(): string | undefined {
    const begin = this.#at;
    for (;;) {
      const letter = this.#letters[this.#at++];
      if (letter === undefined || letter === "\n") return "unterminated array";
      if (letter === "]") break;
    }
    const text = this.#letters.slice(begin, this.#at - 1).join("");
    if (text === "*") return undefined;
    const parts = text.split(",");
    if (parts.length > 1)
      return firstOf(parts.map((part) => () => jsonPathProblem(`[${part.replace(/^ +| +$/g, "")}]`)));
    const key = /^'([^']*)'$/.exec(text);
    if (key !== null) return jsonPathProblem(`.${key[1]}`);
    const slice = SLICE.exec(text);
    if (slice === null) return `invalid array index ${text}`;
    const odd = slice
      .slice(1)
      .map((part, i) => (i > 0 ? part?.slice(1) : part))
      .find((part) => part === "-");
    return odd === undefined ? undefined : `array index ${odd} is not a number`;
  }

  #filter(): string | undefined {
    this.#at += 3;
    const begin = this.#at;
    let quote: string | undefined;
    let isClosed = false;
    for (;;) {
      const letter = this.#letters[this.#at++];
      if (letter === undefined || letter === "\n") return "unterminated filter";
      if (letter === '"' || letter === "'") {
        if (quote === undefined) quote = letter;
        else if (letter === quote && this.#letters[this.#at - 2] !== "\\") isClosed = true;
      } else if (letter === ")" && (quote !== undefined) === isClosed) break;
    }
    if (this.#letters[this.#at++] !== "]") return "unclosed array expect ]";
    const text = this.#letters.slice(begin, this.#at - 2).join("");
    const comparison = COMPARISON.exec(text);
    if (comparison === null) return jsonPathProblem(text);
    return firstOf([() => jsonPathProblem(comparison[1]!), () => jsonPathProblem(comparison[3]!)]);
  }
}

function firstOf(checks: readonly (() => string | undefined)[]): string | undefined {
  for (const check of checks) {
    const problem = check();
    if (problem !== undefined) return problem;
  }
  return undefined;
}
