/**
 * The tokens of an expression, read one after another, and how the parser recovers from a mistake. Recovery and its messages follow ANTLR's, which
 * upstream's parser is generated with: a single surplus token is skipped, a single missing one is assumed.
 */
import type { Token } from "./lexer.ts";
import type { Issue } from "./source.ts";

/** Parsing cannot go on; what is wrong is among the issues. */
export class SyntaxFailure extends Error {}

/** The tokens that may start an expression, and `more` that may stand there as well, in the order in which ANTLR lists them. */
export const expressionStart = (more = ""): string =>
  `{${["[", "]", "{", "}", "(", ")", ".", ",", "-", "!", "?"]
    .filter((token) => "[{(.-!".includes(token) || more.includes(token))
    .map((token) => `'${token}'`)
    .join(", ")}, 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}`;

/** Whether an expression can start with this token. */
export function startsExpression(token: Token): boolean {
  if (token.kind === "operator") return "[{(.-!".includes(token.text);
  return token.kind !== "end" && token.kind !== "escaped" && token.text !== "in";
}

export class TokenCursor {
  readonly #tokens: readonly Token[];
  readonly #issues: Issue[];
  /** The closing brackets of what is being read, innermost last. */
  readonly #closers: string[] = [];
  #at = 0;

  constructor(tokens: readonly Token[], issues: Issue[]) {
    this.#tokens = tokens;
    this.#issues = issues;
  }

  /** The token `distance` places from here; behind the last one it is the end. */
  peek(distance = 0): Token {
    return this.#tokens[this.#at + distance] ?? this.#tokens.at(-1)!;
  }
  skip(count = 1): void {
    this.#at += count;
  }
  is(operator: string): boolean {
    const token = this.peek();
    return token.kind === "operator" && token.text === operator;
  }
  accept(operator: string): Token | undefined {
    return this.is(operator) ? this.#tokens[this.#at++] : undefined;
  }
  /** Takes `operator`. A surplus token before it is reported and skipped; where `mayMiss`, its absence is reported and then ignored. */
  expect(operator: string, expecting = `'${operator}'`, mayMiss = false): Token {
    const token = this.accept(operator);
    if (token !== undefined) return token;
    const found = this.peek();
    const complain = (words: string) => this.#issues.push({ offset: found.offset, message: `Syntax error: ${words}` });
    const ahead = this.peek(1);
    if (found.kind !== "end" && ahead.kind === "operator" && ahead.text === operator) {
      complain(`extraneous input '${found.text}' expecting ${expecting}`);
      this.#at += 2;
      return ahead;
    }
    if (mayMiss && this.#mayFollow(operator, found)) {
      complain(`missing '${operator}' at '${found.text}'`);
      return found;
    }
    return this.fail(found.offset, `Syntax error: mismatched input '${found.text}' expecting ${expecting}`);
  }
  #mayFollow(operator: string, found: Token): boolean {
    if (operator === ":") return startsExpression(found);
    const outer = this.#closers.at(-1);
    if (outer === undefined) return found.kind === "end";
    return found.kind === "operator" && (found.text === outer || found.text === ",");
  }
  /** Reads what stands between brackets that end with `closer`. */
  within<T>(closer: string, read: () => T): T {
    this.#closers.push(closer);
    const result = read();
    this.#closers.pop();
    return result;
  }
  fail(offset: number, message: string): never {
    this.#issues.push({ offset, message });
    throw new SyntaxFailure();
  }
  /** Reports a token that can neither start an expression nor is one of `more`, and skips it if the token after it can. */
  unexpected(more = ""): void {
    const fits = (token: Token): boolean =>
      startsExpression(token) || (token.kind === "operator" && more.includes(token.text));
    const token = this.peek();
    if (fits(token)) return;
    const words = `input '${token.text}' expecting ${expressionStart(more)}`;
    if (!fits(this.peek(1)) || token.kind === "end") this.fail(token.offset, `Syntax error: mismatched ${words}`);
    this.#issues.push({ offset: token.offset, message: `Syntax error: extraneous ${words}` });
    this.#at++;
  }
}
