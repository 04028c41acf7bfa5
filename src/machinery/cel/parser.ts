/**
 * Tokens into a tree, by recursive descent; macros are expanded on the way, each call that has a macro's name and number of arguments.
 *
 * Upstream: github.com/google/cel-go parser/parser.go
 */
import { ACCUMULATOR, OPERATORS, type Expr, type MapEntry, type StructField } from "./ast.ts";
import { tokenize, type Token } from "./lexer.ts";
import { Source, type Issue } from "./source.ts";
import { Uint, type Value } from "./values.ts";

/** Builds what a macro stands for. Ids are taken from where the macro is written. */
export class Builder {
  readonly #source: Source;
  readonly #offset: () => number;
  #next: () => number;
  constructor(source: Source, next: () => number, offset: () => number) {
    this.#source = source;
    this.#next = next;
    this.#offset = offset;
  }
  id(): number {
    const id = this.#next();
    this.#source.offsets.set(id, this.#offset());
    return id;
  }
  literal(value: Value): Expr {
    return { id: this.id(), kind: "literal", value };
  }
  ident(name: string): Expr {
    return { id: this.id(), kind: "ident", name };
  }
  accumulator(): Expr {
    return this.ident(ACCUMULATOR);
  }
  call(name: string, ...args: readonly Expr[]): Expr {
    return { id: this.id(), kind: "call", name, target: undefined, args };
  }
  member(name: string, target: Expr, ...args: readonly Expr[]): Expr {
    return { id: this.id(), kind: "call", name, target, args };
  }
  list(...elements: readonly Expr[]): Expr {
    return { id: this.id(), kind: "list", elements, optional: new Set() };
  }
  map(): Expr {
    return { id: this.id(), kind: "map", entries: [] };
  }
  loop(
    range: Expr,
    variable: string,
    second: string | undefined,
    parts: {
      readonly initial: Expr;
      readonly condition: Expr;
      readonly step: Expr;
      readonly result: Expr;
      readonly accumulator?: string;
    },
  ): Expr {
    return { id: this.id(), kind: "comprehension", range, variable, second, accumulator: ACCUMULATOR, ...parts };
  }
  /** A copy with ids of its own, for what a macro needs twice. */
  copy(expr: Expr): Expr {
    const id = this.#next();
    this.#source.offsets.set(id, this.#source.at(expr.id));
    switch (expr.kind) {
      case "ident":
      case "literal":
        return { ...expr, id };
      case "select":
        return { ...expr, id, operand: this.copy(expr.operand) };
      default:
        return { ...expr, id };
    }
  }
}

export interface Macro {
  readonly name: string;
  readonly args: number;
  /** Of `target.name(…)`. */
  readonly isMember: boolean;
  /** Undefined leaves the call as it is; `fail` gives up with a message. */
  expand(
    b: Builder,
    target: Expr | undefined,
    args: readonly Expr[],
    fail: (at: Expr, message: string) => never,
  ): Expr | undefined;
}

export type Parsed =
  | { readonly ok: true; readonly source: Source; readonly expr: Expr; readonly nextId: number }
  | { readonly ok: false; readonly message: string };

class SyntaxFailure extends Error {}

const MAX_DEPTH = 250;
/** Code points. */
const MAX_LENGTH = 100_000;
const ANYTHING =
  "{'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}";
const RESERVED = new Set([
  "as",
  "break",
  "const",
  "continue",
  "else",
  "for",
  "function",
  "if",
  "import",
  "let",
  "loop",
  "package",
  "namespace",
  "return",
  "var",
  "void",
  "while",
]);
const WORDS = new Set(["true", "false", "null", "in"]);
const RELATIONS: Readonly<Record<string, string>> = {
  "<": OPERATORS.less,
  "<=": OPERATORS.lessEquals,
  ">": OPERATORS.greater,
  ">=": OPERATORS.greaterEquals,
  "==": OPERATORS.equals,
  "!=": OPERATORS.notEquals,
  in: OPERATORS.in,
};
const SUMS: Readonly<Record<string, string>> = { "+": OPERATORS.add, "-": OPERATORS.subtract };
const PRODUCTS: Readonly<Record<string, string>> = {
  "*": OPERATORS.multiply,
  "/": OPERATORS.divide,
  "%": OPERATORS.modulo,
};
const INT_MIN = -(2n ** 63n);
const INT_MAX = 2n ** 63n - 1n;
const UINT_MAX = 2n ** 64n - 1n;

export function parse(text: string, macros: readonly Macro[]): Parsed {
  const source = new Source(text);
  if (text.length > MAX_LENGTH)
    return {
      ok: false,
      message: `ERROR: <input>:-1:0: expression code point size exceeds limit: size: ${[...text].length}, limit ${MAX_LENGTH}`,
    };
  const issues: Issue[] = [];
  const parser = new Parser(source, tokenize(text, issues), macros, issues);
  let expr: Expr | undefined;
  try {
    expr = parser.whole();
  } catch (error) {
    if (!(error instanceof SyntaxFailure)) throw error;
  }
  if (expr === undefined || issues.length > 0) return { ok: false, message: source.render(issues) };
  return { ok: true, source, expr, nextId: parser.nextId };
}

class Parser {
  readonly #source: Source;
  readonly #tokens: readonly Token[];
  readonly #macros: readonly Macro[];
  readonly #issues: Issue[];
  #at = 0;
  #depth = 0;
  nextId = 1;

  constructor(source: Source, tokens: readonly Token[], macros: readonly Macro[], issues: Issue[]) {
    this.#source = source;
    this.#tokens = tokens;
    this.#macros = macros;
    this.#issues = issues;
  }

  whole(): Expr {
    const expr = this.#expr();
    const rest = this.#peek();
    if (rest.kind !== "end")
      this.#fail(
        rest.offset,
        `Syntax error: ${this.#isStart(rest) ? "extraneous" : "mismatched"} input '${shown(rest)}' expecting <EOF>`,
      );
    return expr;
  }

  #isStart(token: Token): boolean {
    return token.kind !== "operator" || "[{(.-!".includes(token.text);
  }

  #peek(): Token {
    return this.#tokens[this.#at]!;
  }
  #is(operator: string): boolean {
    const token = this.#peek();
    return token.kind === "operator" && token.text === operator;
  }
  #accept(operator: string): Token | undefined {
    return this.#is(operator) ? this.#tokens[this.#at++] : undefined;
  }
  #expect(operator: string, expecting = `'${operator}'`): Token {
    const token = this.#accept(operator);
    if (token !== undefined) return token;
    const found = this.#peek();
    return this.#fail(found.offset, `Syntax error: mismatched input '${shown(found)}' expecting ${expecting}`);
  }
  #fail(offset: number, message: string): never {
    this.#issues.push({ offset, message });
    throw new SyntaxFailure();
  }
  #id(offset: number): number {
    const id = this.nextId++;
    this.#source.offsets.set(id, offset);
    return id;
  }
  #call(offset: number, name: string, args: readonly Expr[]): Expr {
    return { id: this.#id(offset), kind: "call", name, target: undefined, args };
  }

  #expr(): Expr {
    if (++this.#depth > MAX_DEPTH) this.#fail(this.#peek().offset, `expression recursion limit exceeded: ${MAX_DEPTH}`);
    const condition = this.#chain("||", OPERATORS.or, () => this.#chain("&&", OPERATORS.and, () => this.#relation()));
    const question = this.#accept("?");
    let expr = condition;
    if (question !== undefined) {
      const id = this.#id(question.offset);
      const then = this.#chain("||", OPERATORS.or, () => this.#chain("&&", OPERATORS.and, () => this.#relation()));
      this.#expect(":");
      const otherwise = this.#expr();
      expr = { id, kind: "call", name: OPERATORS.conditional, target: undefined, args: [condition, then, otherwise] };
    }
    this.#depth--;
    return expr;
  }

  /** A balanced tree: long chains stay shallow. */
  #chain(operator: string, name: string, next: () => Expr): Expr {
    const terms = [next()];
    const offsets: number[] = [];
    for (let token = this.#accept(operator); token !== undefined; token = this.#accept(operator)) {
      offsets.push(token.offset);
      terms.push(next());
    }
    const build = (from: number, to: number): Expr => {
      if (from === to) return terms[from]!;
      const middle = Math.floor((from + to - 1) / 2);
      const id = this.#id(offsets[middle]!);
      return { id, kind: "call", name, target: undefined, args: [build(from, middle), build(middle + 1, to)] };
    };
    return build(0, terms.length - 1);
  }

  #binary(operators: Readonly<Record<string, string>>, next: () => Expr): Expr {
    let left = next();
    for (;;) {
      const token = this.#peek();
      const name =
        token.kind === "operator" || (token.kind === "ident" && token.text === "in")
          ? operators[token.text]
          : undefined;
      if (name === undefined) return left;
      this.#at++;
      const id = this.#id(token.offset);
      left = { id, kind: "call", name, target: undefined, args: [left, next()] };
    }
  }
  #relation(): Expr {
    return this.#binary(RELATIONS, () => this.#binary(SUMS, () => this.#binary(PRODUCTS, () => this.#unary())));
  }

  #unary(): Expr {
    const start = this.#peek();
    if (this.#is("!")) {
      let count = 0;
      while (this.#accept("!") !== undefined) count++;
      const operand = this.#member();
      return count % 2 === 0 ? operand : this.#call(start.offset, OPERATORS.not, [operand]);
    }
    if (this.#is("-")) {
      let count = 0;
      const next = this.#tokens[this.#at + 1]!;
      if (next.kind === "int" || next.kind === "double") {
        this.#at++;
        return this.#members(this.#number(this.#tokens[this.#at++]!, start));
      }
      while (this.#accept("-") !== undefined) count++;
      const operand = this.#member();
      return count % 2 === 0 ? operand : this.#call(start.offset, OPERATORS.negate, [operand]);
    }
    return this.#member();
  }

  #member(): Expr {
    return this.#members(this.#primary());
  }

  #members(start: Expr): Expr {
    let expr = start;
    for (;;) {
      const dot = this.#accept(".");
      if (dot !== undefined) {
        const isOptional = this.#accept("?") !== undefined;
        const field = this.#field();
        const open = isOptional ? undefined : this.#accept("(");
        if (open !== undefined) {
          const id = this.#id(open.offset);
          expr = this.#expandOr(id, field.text, expr, this.#arguments(), open.offset);
        } else if (isOptional) {
          const id = this.#id(dot.offset);
          const name: Expr = { id: this.#id(field.offset), kind: "literal", value: field.text };
          expr = { id, kind: "call", name: OPERATORS.optSelect, target: undefined, args: [expr, name] };
        } else expr = { id: this.#id(dot.offset), kind: "select", operand: expr, field: field.text, testOnly: false };
        continue;
      }
      const bracket = this.#accept("[");
      if (bracket === undefined) return expr;
      const id = this.#id(bracket.offset);
      const name = this.#accept("?") === undefined ? OPERATORS.index : OPERATORS.optIndex;
      const index = this.#expr();
      this.#expect("]");
      expr = { id, kind: "call", name, target: undefined, args: [expr, index] };
    }
  }

  #field(): Token {
    const token = this.#peek();
    if (token.kind !== "ident" || WORDS.has(token.text))
      this.#fail(
        token.offset,
        `Syntax error: ${token.kind === "end" ? "mismatched input" : "no viable alternative at input"} '${token.kind === "end" ? "<EOF>' expecting {'?', IDENTIFIER, ESC_IDENTIFIER}" : `.${shown(token)}'`}`,
      );
    this.#at++;
    return token;
  }

  #arguments(): readonly Expr[] {
    const args: Expr[] = [];
    if (this.#accept(")") !== undefined) return args;
    do args.push(this.#expr());
    while (this.#accept(",") !== undefined);
    this.#expect(")");
    return args;
  }

  #primary(): Expr {
    const token = this.#peek();
    switch (token.kind) {
      case "int":
      case "uint":
      case "double":
        this.#at++;
        return this.#number(token, undefined);
      case "string":
        this.#at++;
        return { id: this.#id(token.offset), kind: "literal", value: token.text };
      case "bytes":
        this.#at++;
        return { id: this.#id(token.offset), kind: "literal", value: token.bytes! };
      case "ident":
        if (token.text === "in") break;
        if (WORDS.has(token.text)) {
          this.#at++;
          const value = token.text === "null" ? null : token.text === "true";
          return { id: this.#id(token.offset), kind: "literal", value };
        }
        return this.#named("");
      case "operator":
        if (this.#accept(".") !== undefined) return this.#named(".");
        if (this.#accept("(") !== undefined) {
          const inner = this.#expr();
          this.#expect(")");
          return inner;
        }
        if (this.#is("[")) return this.#list();
        if (this.#is("{")) return this.#map();
    }
    return this.#fail(
      token.offset,
      `Syntax error: ${this.#at > 0 && token.kind !== "end" && !this.#isStart(token) ? "extraneous" : "mismatched"} input '${shown(token)}' expecting ${ANYTHING}`,
    );
  }

  #named(prefix: string): Expr {
    const token = this.#peek();
    if (token.kind !== "ident")
      this.#fail(token.offset, `Syntax error: mismatched input '${shown(token)}' expecting IDENTIFIER`);
    this.#at++;
    const open = this.#is("(") ? this.#accept("(") : undefined;
    if (open !== undefined) {
      if (RESERVED.has(token.text))
        this.#issues.push({ offset: token.offset, message: `reserved identifier: ${token.text}` });
      const id = this.#id(open.offset);
      return this.#expandOr(id, prefix + token.text, undefined, this.#arguments(), open.offset);
    }
    const struct = this.#structAhead();
    if (struct !== undefined) {
      this.#at = struct.at;
      return this.#struct(prefix + token.text + struct.suffix);
    }
    if (RESERVED.has(token.text))
      this.#issues.push({ offset: token.offset, message: `reserved identifier: ${token.text}` });
    return { id: this.#id(token.offset), kind: "ident", name: prefix + token.text };
  }

  /** `a.b.C{`: names and dots up to a brace. */
  #structAhead(): { readonly at: number; readonly suffix: string } | undefined {
    let at = this.#at;
    let suffix = "";
    while (
      this.#tokens[at]!.kind === "operator" &&
      this.#tokens[at]!.text === "." &&
      this.#tokens[at + 1]!.kind === "ident"
    ) {
      suffix += `.${this.#tokens[at + 1]!.text}`;
      at += 2;
    }
    const brace = this.#tokens[at]!;
    return brace.kind === "operator" && brace.text === "{" ? { at, suffix } : undefined;
  }

  #struct(type: string): Expr {
    const open = this.#expect("{");
    const id = this.#id(open.offset);
    const fields: StructField[] = [];
    while (!this.#is("}")) {
      const isOptional = this.#accept("?") !== undefined;
      const name = this.#field();
      const colon = this.#expect(":");
      fields.push({ id: this.#id(colon.offset), name: name.text, value: this.#expr(), optional: isOptional });
      if (this.#accept(",") === undefined) break;
    }
    this.#expect("}");
    return { id, kind: "struct", type, fields };
  }

  #list(): Expr {
    const open = this.#expect("[");
    const id = this.#id(open.offset);
    const elements: Expr[] = [];
    const optional = new Set<number>();
    while (!this.#is("]")) {
      if (this.#accept("?") !== undefined) optional.add(elements.length);
      elements.push(this.#expr());
      if (this.#accept(",") === undefined) break;
    }
    this.#expect("]");
    return { id, kind: "list", elements, optional };
  }

  #map(): Expr {
    const open = this.#expect("{");
    const id = this.#id(open.offset);
    const entries: MapEntry[] = [];
    while (!this.#is("}")) {
      const isOptional = this.#accept("?") !== undefined;
      const key = this.#expr();
      const colon = this.#expect(":");
      const entryId = this.#id(colon.offset);
      entries.push({ id: entryId, key, value: this.#expr(), optional: isOptional });
      if (this.#accept(",") === undefined) break;
    }
    this.#expect("}");
    return { id, kind: "map", entries };
  }

  #number(token: Token, minus: Token | undefined): Expr {
    const offset = minus?.offset ?? token.offset;
    const id = this.#id(offset);
    const sign = minus === undefined ? "" : "-";
    if (token.kind === "double") {
      const value = Number(sign + token.text);
      if (!Number.isFinite(value)) this.#issues.push({ offset, message: "invalid double literal" });
      return { id, kind: "literal", value };
    }
    const magnitude = BigInt(token.text.replace(/[uU]$/, ""));
    if (token.kind === "uint") {
      if (magnitude > UINT_MAX) this.#issues.push({ offset, message: "invalid uint literal" });
      return { id, kind: "literal", value: new Uint(magnitude) };
    }
    const value = minus === undefined ? magnitude : -magnitude;
    if (value < INT_MIN || value > INT_MAX) this.#issues.push({ offset, message: "invalid int literal" });
    return { id, kind: "literal", value };
  }

  #expandOr(id: number, name: string, target: Expr | undefined, args: readonly Expr[], offset: number): Expr {
    const isMember = target !== undefined;
    const macro = this.#macros.find(
      (one) => one.name === name && one.isMember === isMember && one.args === args.length,
    );
    if (macro !== undefined) {
      const builder = new Builder(
        this.#source,
        () => this.nextId++,
        () => offset,
      );
      try {
        const expanded = macro.expand(builder, target, args, (at, message) => {
          this.#issues.push({ offset: this.#source.at(at.id), message });
          throw new MacroFailure();
        });
        if (expanded !== undefined) return expanded;
      } catch (error) {
        if (!(error instanceof MacroFailure)) throw error;
        return { id, kind: "literal", value: null };
      }
    }
    return { id, kind: "call", name, target, args };
  }
}

class MacroFailure extends Error {}

function shown(token: Token): string {
  return token.kind === "string" ? `"${token.text}"` : token.text;
}
