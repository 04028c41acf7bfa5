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
    const copy = (inner: Expr): Expr => this.copy(inner);
    switch (expr.kind) {
      case "ident":
      case "literal":
        return { ...expr, id };
      case "select":
        return { ...expr, id, operand: copy(expr.operand) };
      case "call":
        return { ...expr, id, target: expr.target && copy(expr.target), args: expr.args.map(copy) };
      case "list":
        return { ...expr, id, elements: expr.elements.map(copy) };
      case "map":
        return {
          ...expr,
          id,
          entries: expr.entries.map((entry) => ({
            ...entry,
            id: this.id(),
            key: copy(entry.key),
            value: copy(entry.value),
          })),
        };
      case "struct":
        return {
          ...expr,
          id,
          fields: expr.fields.map((field) => ({ ...field, id: this.id(), value: copy(field.value) })),
        };
      case "comprehension":
        return {
          ...expr,
          id,
          range: copy(expr.range),
          initial: copy(expr.initial),
          condition: copy(expr.condition),
          step: copy(expr.step),
          result: copy(expr.result),
        };
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
/** Has no place in the text. */
class TooDeep extends Error {}

const MAX_DEPTH = 250;
const MAX_NODES = 500_000;
/** Code points. */
const MAX_LENGTH = 100_000;
/** What an expression may start with; with more that may stand in its place, in the order of the grammar. */
const anything = (more = ""): string =>
  `{${["[", "]", "{", "}", "(", ")", ".", ",", "-", "!", "?"]
    .filter((token) => "[{(.-!".includes(token) || more.includes(token))
    .map((token) => `'${token}'`)
    .join(", ")}, 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}`;
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
    if (error instanceof TooDeep) return { ok: false, message: `ERROR: <input>:-1:0: ${error.message}` };
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
  readonly #closers: string[] = [];
  /** How deep operators, selections and calls are nested inside, by id. */
  readonly #heights = new Map<number, number>();
  #at = 0;
  /** How deep we are in each of the grammar's rules that hold themselves. */
  readonly #depth = { expr: 0, relation: 0, calc: 0 };
  nextId = 1;

  constructor(source: Source, tokens: readonly Token[], macros: readonly Macro[], issues: Issue[]) {
    this.#source = source;
    this.#tokens = tokens;
    this.#macros = macros;
    this.#issues = issues;
  }

  whole(): Expr {
    const expr = this.#operand();
    const rest = this.#peek();
    if (rest.kind !== "end")
      this.#fail(
        rest.offset,
        `Syntax error: ${this.#ahead().kind === "end" ? "extraneous" : "mismatched"} input '${rest.text}' expecting <EOF>`,
      );
    return expr;
  }

  #isStart(token: Token): boolean {
    if (token.kind === "operator") return "[{(.-!".includes(token.text);
    return token.kind !== "end" && token.kind !== "escaped" && token.text !== "in";
  }
  /** The token after the next. */
  #ahead(): Token {
    return this.#tokens[this.#at + 1] ?? this.#tokens.at(-1)!;
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
  /**
   * Goes on after a mistake of one token: one too many is skipped, one that is missing is taken for granted where `mayMiss` and the next
   * could follow it.
   */
  #expect(operator: string, expecting = `'${operator}'`, mayMiss = false): Token {
    const token = this.#accept(operator);
    if (token !== undefined) return token;
    const found = this.#peek();
    const complain = (words: string) => this.#issues.push({ offset: found.offset, message: `Syntax error: ${words}` });
    const ahead = this.#ahead();
    if (found.kind !== "end" && ahead.kind === "operator" && ahead.text === operator) {
      complain(`extraneous input '${found.text}' expecting ${expecting}`);
      this.#at += 2;
      return ahead;
    }
    if (mayMiss && this.#mayFollow(operator, found)) {
      complain(`missing '${operator}' at '${found.text}'`);
      return found;
    }
    return this.#fail(found.offset, `Syntax error: mismatched input '${found.text}' expecting ${expecting}`);
  }
  #mayFollow(operator: string, found: Token): boolean {
    if (operator === ":") return this.#isStart(found);
    const outer = this.#closers.at(-1);
    if (outer === undefined) return found.kind === "end";
    return found.kind === "operator" && (found.text === outer || found.text === ",");
  }
  /** What `read` reads stands between brackets of which `closer` is the second. */
  #within<T>(closer: string, read: () => T): T {
    this.#closers.push(closer);
    const result = read();
    this.#closers.pop();
    return result;
  }
  #fail(offset: number, message: string): never {
    this.#issues.push({ offset, message });
    throw new SyntaxFailure();
  }
  /** Macros that copy what they are applied to could double it again and again. */
  #nextId(): number {
    if (this.nextId > MAX_NODES) throw new TooDeep("expression is too large");
    return this.nextId++;
  }
  #id(offset: number): number {
    const id = this.#nextId();
    this.#source.offsets.set(id, offset);
    return id;
  }
  #call(offset: number, name: string, args: readonly Expr[]): Expr {
    return this.#tall({ id: this.#id(offset), kind: "call", name, target: undefined, args }, args, 0);
  }

  #expr(): Expr {
    return this.#deeper("expr", () => this.#conditional());
  }

  #deeper(rule: "expr" | "relation" | "calc", read: () => Expr): Expr {
    if (++this.#depth[rule] > MAX_DEPTH) throw new TooDeep(`expression recursion limit exceeded: ${MAX_DEPTH}`);
    const expr = read();
    this.#depth[rule]--;
    return expr;
  }

  /** Notes how high the tree is with this on top of the parts. */
  #tall(expr: Expr, parts: readonly Expr[], own: number): Expr {
    let height = 0;
    for (const { id } of parts) height = Math.max(height, this.#heights.get(id) ?? 0);
    height += own;
    if (height > MAX_DEPTH) throw new TooDeep("max recursion depth exceeded");
    if (height > 0) this.#heights.set(expr.id, height);
    return expr;
  }

  #conditional(): Expr {
    const condition = this.#chain("||", OPERATORS.or, () => this.#chain("&&", OPERATORS.and, () => this.#relation()));
    const question = this.#accept("?");
    let expr = condition;
    if (question !== undefined) {
      const id = this.#id(question.offset);
      const then = this.#chain("||", OPERATORS.or, () => this.#chain("&&", OPERATORS.and, () => this.#relation()));
      this.#expect(":", undefined, true);
      const otherwise = this.#expr();
      const args = [condition, then, otherwise];
      expr = this.#tall({ id, kind: "call", name: OPERATORS.conditional, target: undefined, args }, args, 1);
    }
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
      const args = [build(from, middle), build(middle + 1, to)];
      return this.#tall({ id, kind: "call", name, target: undefined, args }, args, 0);
    };
    return build(0, terms.length - 1);
  }

  #binary(rule: "relation" | "calc", operators: Readonly<Record<string, string>>, next: () => Expr): Expr {
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
      const args = [left, this.#deeper(rule, next)];
      left = this.#tall({ id, kind: "call", name, target: undefined, args }, args, 1);
    }
  }
  #relation(): Expr {
    const product = () => this.#binary("calc", PRODUCTS, () => this.#unary());
    const sum = () => this.#deeper("calc", () => this.#binary("calc", SUMS, product));
    return this.#deeper("relation", () => this.#binary("relation", RELATIONS, sum));
  }

  #unary(): Expr {
    const start = this.#peek();
    if (this.#is("!")) {
      let count = 0;
      while (this.#accept("!") !== undefined) count++;
      const next = this.#peek();
      if (!this.#isStart(next))
        this.#fail(next.offset, `Syntax error: extraneous input '${next.text}' expecting ${anything()}`);
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
      const end = this.#peek();
      if (end.kind === "end")
        this.#issues.push({ offset: end.offset, message: "Syntax error: no viable alternative at input '-'" });
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
        const field = this.#field(isOptional ? "{IDENTIFIER, ESC_IDENTIFIER}" : undefined);
        const open = isOptional ? undefined : this.#accept("(");
        if (open !== undefined) {
          const id = this.#id(open.offset);
          const args = this.#arguments();
          const parts = [expr, ...args];
          expr = this.#tall(this.#expandOr(id, field.text, expr, args, open.offset), parts, 1);
        } else if (isOptional) {
          const id = this.#id(dot.offset);
          const name: Expr = { id: this.#id(field.offset), kind: "literal", value: field.text };
          const args = [expr, name];
          expr = this.#tall({ id, kind: "call", name: OPERATORS.optSelect, target: undefined, args }, args, 1);
        } else {
          const operand = expr;
          const id = this.#id(dot.offset);
          expr = this.#tall({ id, kind: "select", operand, field: field.text, testOnly: false }, [operand], 1);
        }
        continue;
      }
      const bracket = this.#accept("[");
      if (bracket === undefined) return expr;
      const id = this.#id(bracket.offset);
      const name = this.#accept("?") === undefined ? OPERATORS.index : OPERATORS.optIndex;
      const index = this.#within("]", () => this.#operand(name === OPERATORS.index ? "?" : ""));
      this.#expect("]", undefined, true);
      const args = [expr, index];
      expr = this.#tall({ id, kind: "call", name, target: undefined, args }, args, 1);
    }
  }

  #field(expecting?: string): Token {
    const token = this.#peek();
    if (token.kind === "escaped") {
      this.#issues.push({ offset: token.offset, message: "unsupported syntax: '`'" });
    } else if (token.kind !== "ident" || WORDS.has(token.text)) {
      if (expecting !== undefined) {
        this.#issues.push({
          offset: token.offset,
          message: `Syntax error: mismatched input '${token.text}' expecting ${expecting}`,
        });
        return this.#fail(token.offset, "unsupported ident kind");
      }
      this.#noAlternative(token);
      // A word of the language is taken for the name it can't be; an expression would go on behind it.
      if (token.kind === "ident") {
        const next = this.#ahead();
        if (next.kind === "end")
          this.#fail(next.offset, `Syntax error: mismatched input '${next.text}' expecting ${anything()}`);
      }
      throw new SyntaxFailure();
    }
    this.#at++;
    return token;
  }
  #noAlternative(token: Token): void {
    this.#issues.push({
      offset: token.offset,
      message: `Syntax error: no viable alternative at input '.${token.kind === "end" ? "" : token.text}'`,
    });
  }

  #arguments(): readonly Expr[] {
    const args: Expr[] = [];
    if (this.#accept(")") !== undefined) return args;
    this.#unexpected(")");
    if (this.#accept(")") !== undefined) return args;
    this.#within(")", () => {
      do args.push(this.#operand());
      while (this.#accept(",") !== undefined);
    });
    this.#expect(")", undefined, true);
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
      case "bytes":
        this.#at++;
        return { id: this.#id(token.offset), kind: "literal", value: token.value! };
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
          const inner = this.#within(")", () => this.#operand());
          this.#expect(")", undefined, true);
          return inner;
        }
        if (this.#is("[")) return this.#list();
        if (this.#is("{")) return this.#map();
        if (token.text === "-" || token.text === "!") return this.#signed(token);
    }
    this.#unexpected();
    return this.#primary();
  }

  /** Behind `!` or `-`: a number may have a sign of its own, nothing else may. */
  #signed(token: Token): Expr {
    const next = this.#ahead();
    if (token.text === "-" && (next.kind === "int" || next.kind === "double")) {
      this.#at += 2;
      return this.#number(next, token);
    }
    const at = token.text === "-" ? next : token;
    return this.#fail(at.offset, `Syntax error: no viable alternative at input '-${at.text}'`);
  }

  #operand(more = ""): Expr {
    this.#unexpected(more);
    return this.#expr();
  }

  /** A token that no expression starts with, nor is one of `more`, is skipped where the one after it would do. */
  #unexpected(more = ""): void {
    const fits = (token: Token): boolean =>
      this.#isStart(token) || (token.kind === "operator" && more.includes(token.text));
    const token = this.#peek();
    if (fits(token)) return;
    const words = `input '${token.text}' expecting ${anything(more)}`;
    if (!fits(this.#ahead()) || token.kind === "end") this.#fail(token.offset, `Syntax error: mismatched ${words}`);
    this.#issues.push({ offset: token.offset, message: `Syntax error: extraneous ${words}` });
    this.#at++;
  }

  #named(prefix: string): Expr {
    const token = this.#peek();
    if (token.kind !== "ident" || WORDS.has(token.text)) {
      this.#noAlternative(token);
      throw new SyntaxFailure();
    }
    this.#at++;
    const open = this.#is("(") ? this.#accept("(") : undefined;
    if (open !== undefined) {
      if (RESERVED.has(token.text))
        this.#issues.push({ offset: token.offset, message: `reserved identifier: ${token.text}` });
      const id = this.#id(open.offset);
      const args = this.#arguments();
      return this.#tall(this.#expandOr(id, prefix + token.text, undefined, args, open.offset), args, 0);
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
    while (!this.#is("}") && this.#accept(",") === undefined) {
      const isOptional = this.#accept("?") !== undefined;
      const found = this.#peek();
      if (found.kind !== "ident" && found.kind !== "escaped")
        this.#fail(
          found.offset,
          `Syntax error: mismatched input '${found.text}' expecting {'}', ',', '?', IDENTIFIER, ESC_IDENTIFIER}`,
        );
      const name = this.#field();
      const colon = this.#expect(":");
      fields.push({ id: this.#id(colon.offset), name: name.text, value: this.#expr(), optional: isOptional });
      if (this.#accept(",") === undefined) break;
    }
    this.#expect("}");
    const parts = fields.map(({ value }) => value);
    return this.#tall({ id, kind: "struct", type, fields }, parts, 0);
  }

  #list(): Expr {
    const open = this.#expect("[");
    const id = this.#id(open.offset);
    const elements: Expr[] = [];
    const optional = new Set<number>();
    this.#within("]", () => {
      while (!this.#is("]")) {
        if (elements.length === 0) this.#unexpected("],?");
        if (elements.length === 0 && this.#accept(",") !== undefined) break;
        if (this.#accept("?") !== undefined) optional.add(elements.length);
        elements.push(this.#expr());
        if (this.#accept(",") === undefined) break;
      }
    });
    this.#expect("]", elements.length === 0 ? undefined : "{']', ','}");
    return this.#tall({ id, kind: "list", elements, optional }, elements, 0);
  }

  #map(): Expr {
    const open = this.#expect("{");
    const id = this.#id(open.offset);
    const entries: MapEntry[] = [];
    this.#within("}", () => {
      while (!this.#is("}")) {
        if (entries.length === 0) this.#unexpected("},?");
        if (entries.length === 0 && this.#accept(",") !== undefined) break;
        const isOptional = this.#accept("?") !== undefined;
        const key = this.#expr();
        const colon = this.#expect(":", undefined, true);
        const entryId = this.#id(colon.offset);
        entries.push({ id: entryId, key, value: this.#operand(), optional: isOptional });
        if (this.#accept(",") === undefined) break;
      }
    });
    this.#expect("}", entries.length === 0 ? undefined : "{'}', ','}");
    const parts = entries.flatMap(({ key, value }) => [key, value]);
    return this.#tall({ id, kind: "map", entries }, parts, 0);
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
        () => this.#nextId(),
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
