/**
 * Builds the syntax tree by recursive descent. A call with the name and number of arguments of a macro is expanded on the way.
 *
 * Upstream: github.com/google/cel-go parser/parser.go
 */
import { OPERATORS, type Expr, type MapEntry, type StructField } from "./ast.ts";
import { tokenize, type Token } from "./lexer.ts";
import { Builder, type Macro } from "./macro-builder.ts";
import { Source, type Issue } from "./source.ts";
import { expressionStart, startsExpression, SyntaxFailure, TokenCursor } from "./token-cursor.ts";
import { Uint } from "./values.ts";

export type Parsed =
  | { readonly ok: true; readonly source: Source; readonly expr: Expr; readonly nextId: number }
  | { readonly ok: false; readonly message: string };

/** A limit that concerns the expression as a whole, so its message names no place in it. */
class TooDeep extends Error {}

const MAX_DEPTH = 250;
const MAX_NODES = 500_000;
/** In code points. */
const MAX_LENGTH = 100_000;
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
/** ANTLR goes on behind a name that is missing where an operator stands: more errors may follow. */
const goesOn = ({ kind, text }: Token): boolean => kind === "operator" && /^(?:[-+*/%<>]|[=!<>]=|&&|\|\|)$/.test(text);

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
  const parser = new Parser(source, new TokenCursor(tokenize(text, issues), issues), macros, issues);
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
  readonly #tokens: TokenCursor;
  readonly #macros: readonly Macro[];
  readonly #issues: Issue[];
  /** How deeply operators, selections and calls are nested inside each node, by id. */
  readonly #heights = new Map<number, number>();
  /** The present depth in each of the grammar's recursive rules. */
  readonly #depth = { expr: 0, relation: 0, calc: 0 };
  nextId = 1;

  constructor(source: Source, tokens: TokenCursor, macros: readonly Macro[], issues: Issue[]) {
    this.#source = source;
    this.#tokens = tokens;
    this.#macros = macros;
    this.#issues = issues;
  }

  whole(): Expr {
    const expr = this.#operand();
    const rest = this.#tokens.peek();
    if (rest.kind !== "end")
      this.#tokens.fail(
        rest.offset,
        `Syntax error: ${this.#tokens.peek(1).kind === "end" ? "extraneous" : "mismatched"} input '${rest.text}' expecting <EOF>`,
      );
    return expr;
  }

  /** Nested macros that copy an argument could otherwise double the tree at every level. */
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

  /** Records the height of `expr`, which stands above `parts`. */
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
    const question = this.#tokens.accept("?");
    let expr = condition;
    if (question !== undefined) {
      const id = this.#id(question.offset);
      const then = this.#chain("||", OPERATORS.or, () => this.#chain("&&", OPERATORS.and, () => this.#relation()));
      this.#tokens.expect(":", undefined, true);
      const otherwise = this.#expr();
      const args = [condition, then, otherwise];
      expr = this.#tall({ id, kind: "call", name: OPERATORS.conditional, target: undefined, args }, args, 1);
    }
    return expr;
  }

  /** A chain becomes a balanced tree, so that a long one stays shallow. */
  #chain(operator: string, name: string, next: () => Expr): Expr {
    const terms = [next()];
    const offsets: number[] = [];
    for (let token = this.#tokens.accept(operator); token !== undefined; token = this.#tokens.accept(operator)) {
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
      const token = this.#tokens.peek();
      const name =
        token.kind === "operator" || (token.kind === "ident" && token.text === "in")
          ? operators[token.text]
          : undefined;
      if (name === undefined) return left;
      this.#tokens.skip();
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
    const start = this.#tokens.peek();
    if (this.#tokens.is("!")) {
      let count = 0;
      while (this.#tokens.accept("!") !== undefined) count++;
      const next = this.#tokens.peek();
      if (!startsExpression(next))
        this.#tokens.fail(next.offset, `Syntax error: extraneous input '${next.text}' expecting ${expressionStart()}`);
      const operand = this.#member();
      return count % 2 === 0 ? operand : this.#call(start.offset, OPERATORS.not, [operand]);
    }
    if (this.#tokens.is("-")) {
      let count = 0;
      const next = this.#tokens.peek(1);
      if (next.kind === "int" || next.kind === "double") {
        this.#tokens.skip(2);
        return this.#members(this.#number(next, start));
      }
      while (this.#tokens.accept("-") !== undefined) count++;
      const end = this.#tokens.peek();
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
      const dot = this.#tokens.accept(".");
      if (dot !== undefined) {
        const isOptional = this.#tokens.accept("?") !== undefined;
        const field = this.#field(isOptional ? "{IDENTIFIER, ESC_IDENTIFIER}" : undefined);
        const open = isOptional ? undefined : this.#tokens.accept("(");
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
      const bracket = this.#tokens.accept("[");
      if (bracket === undefined) return expr;
      const id = this.#id(bracket.offset);
      const name = this.#tokens.accept("?") === undefined ? OPERATORS.index : OPERATORS.optIndex;
      const index = this.#tokens.within("]", () => this.#operand(name === OPERATORS.index ? "?" : ""));
      this.#tokens.expect("]", undefined, true);
      const args = [expr, index];
      expr = this.#tall({ id, kind: "call", name, target: undefined, args }, args, 1);
    }
  }

  #field(expecting?: string): Token {
    const token = this.#tokens.peek();
    if (token.kind === "escaped") {
      this.#issues.push({ offset: token.offset, message: "unsupported syntax: '`'" });
    } else if (token.kind !== "ident" || WORDS.has(token.text)) {
      if (expecting !== undefined) {
        this.#issues.push({
          offset: token.offset,
          message: `Syntax error: mismatched input '${token.text}' expecting ${expecting}`,
        });
        return this.#tokens.fail(token.offset, "unsupported ident kind");
      }
      this.#noAlternative(token);
      // ANTLR takes a keyword for the name that it cannot be, and then expects the expression to go on.
      if (token.kind === "ident") {
        const next = this.#tokens.peek(1);
        if (next.kind === "end")
          this.#tokens.fail(
            next.offset,
            `Syntax error: mismatched input '${next.text}' expecting ${expressionStart()}`,
          );
      }
      if (goesOn(token)) return { kind: "ident", text: "", offset: token.offset };
      throw new SyntaxFailure();
    }
    this.#tokens.skip();
    return token;
  }
  #noAlternative(token: Token): void {
    // With the blanks between the dot and the token; what is no token at all has been left out.
    const before = [...this.#source.text].slice(0, token.offset);
    const between = before
      .slice(before.lastIndexOf(".") + 1)
      .filter((one) => /\s/.test(one))
      .join("");
    const input = token.kind === "end" ? between : `${between}${token.text}`;
    this.#issues.push({ offset: token.offset, message: `Syntax error: no viable alternative at input '.${input}'` });
  }

  #arguments(): readonly Expr[] {
    const args: Expr[] = [];
    if (this.#tokens.accept(")") !== undefined) return args;
    this.#tokens.unexpected(")");
    if (this.#tokens.accept(")") !== undefined) return args;
    this.#tokens.within(")", () => {
      do args.push(this.#operand());
      while (this.#tokens.accept(",") !== undefined);
    });
    this.#tokens.expect(")", undefined, true);
    return args;
  }

  #primary(): Expr {
    const token = this.#tokens.peek();
    switch (token.kind) {
      case "int":
      case "uint":
      case "double":
        this.#tokens.skip();
        return this.#number(token, undefined);
      case "string":
      case "bytes":
        this.#tokens.skip();
        return { id: this.#id(token.offset), kind: "literal", value: token.value! };
      case "ident":
        if (token.text === "in") break;
        if (WORDS.has(token.text)) {
          this.#tokens.skip();
          const value = token.text === "null" ? null : token.text === "true";
          return { id: this.#id(token.offset), kind: "literal", value };
        }
        return this.#named("");
      case "operator":
        if (this.#tokens.accept(".") !== undefined) return this.#named(".");
        if (this.#tokens.accept("(") !== undefined) {
          const inner = this.#tokens.within(")", () => this.#operand());
          this.#tokens.expect(")", undefined, true);
          return inner;
        }
        if (this.#tokens.is("[")) return this.#list();
        if (this.#tokens.is("{")) return this.#map();
        if (token.text === "-" || token.text === "!") return this.#signed(token);
    }
    this.#tokens.unexpected();
    return this.#primary();
  }

  /** After `!` or `-`: only a number may carry a sign of its own. */
  #signed(token: Token): Expr {
    const next = this.#tokens.peek(1);
    if (token.text === "-" && (next.kind === "int" || next.kind === "double")) {
      this.#tokens.skip(2);
      return this.#number(next, token);
    }
    const at = token.text === "-" ? next : token;
    return this.#tokens.fail(at.offset, `Syntax error: no viable alternative at input '-${at.text}'`);
  }

  #operand(more = ""): Expr {
    this.#tokens.unexpected(more);
    return this.#expr();
  }

  #named(prefix: string): Expr {
    const token = this.#tokens.peek();
    if (token.kind !== "ident" || WORDS.has(token.text)) {
      this.#noAlternative(token);
      if (goesOn(token)) return { id: this.#id(token.offset), kind: "ident", name: "" };
      throw new SyntaxFailure();
    }
    this.#tokens.skip();
    const open = this.#tokens.is("(") ? this.#tokens.accept("(") : undefined;
    if (open !== undefined) {
      if (RESERVED.has(token.text))
        this.#issues.push({ offset: token.offset, message: `reserved identifier: ${token.text}` });
      const id = this.#id(open.offset);
      const args = this.#arguments();
      return this.#tall(this.#expandOr(id, prefix + token.text, undefined, args, open.offset), args, 0);
    }
    const struct = this.#structAhead();
    if (struct !== undefined) {
      this.#tokens.skip(struct.tokens);
      return this.#struct(prefix + token.text + struct.suffix);
    }
    if (RESERVED.has(token.text))
      this.#issues.push({ offset: token.offset, message: `reserved identifier: ${token.text}` });
    return { id: this.#id(token.offset), kind: "ident", name: prefix + token.text };
  }

  /** `a.b.C{`: names and dots up to a brace, and how many tokens they are. */
  #structAhead(): { readonly tokens: number; readonly suffix: string } | undefined {
    let tokens = 0;
    let suffix = "";
    const isOperator = (token: Token, text: string): boolean => token.kind === "operator" && token.text === text;
    for (; isOperator(this.#tokens.peek(tokens), "."); tokens += 2) {
      const name = this.#tokens.peek(tokens + 1);
      if (name.kind !== "ident") break;
      suffix += `.${name.text}`;
    }
    return isOperator(this.#tokens.peek(tokens), "{") ? { tokens, suffix } : undefined;
  }

  #struct(type: string): Expr {
    const open = this.#tokens.expect("{");
    const id = this.#id(open.offset);
    const fields: StructField[] = [];
    while (!this.#tokens.is("}") && this.#tokens.accept(",") === undefined) {
      const isOptional = this.#tokens.accept("?") !== undefined;
      const found = this.#tokens.peek();
      if (found.kind !== "ident" && found.kind !== "escaped")
        this.#tokens.fail(
          found.offset,
          `Syntax error: mismatched input '${found.text}' expecting {'}', ',', '?', IDENTIFIER, ESC_IDENTIFIER}`,
        );
      const name = this.#field();
      const colon = this.#tokens.expect(":");
      fields.push({ id: this.#id(colon.offset), name: name.text, value: this.#expr(), optional: isOptional });
      if (this.#tokens.accept(",") === undefined) break;
    }
    this.#tokens.expect("}");
    const parts = fields.map(({ value }) => value);
    return this.#tall({ id, kind: "struct", type, fields }, parts, 0);
  }

  #list(): Expr {
    const open = this.#tokens.expect("[");
    const id = this.#id(open.offset);
    const elements: Expr[] = [];
    const optional = new Set<number>();
    this.#tokens.within("]", () => {
      while (!this.#tokens.is("]")) {
        if (elements.length === 0) this.#tokens.unexpected("],?");
        if (elements.length === 0 && this.#tokens.accept(",") !== undefined) break;
        if (this.#tokens.accept("?") !== undefined) optional.add(elements.length);
        elements.push(this.#expr());
        if (this.#tokens.accept(",") === undefined) break;
      }
    });
    this.#tokens.expect("]", elements.length === 0 ? undefined : "{']', ','}");
    return this.#tall({ id, kind: "list", elements, optional }, elements, 0);
  }

  #map(): Expr {
    const open = this.#tokens.expect("{");
    const id = this.#id(open.offset);
    const entries: MapEntry[] = [];
    this.#tokens.within("}", () => {
      while (!this.#tokens.is("}")) {
        if (entries.length === 0) this.#tokens.unexpected("},?");
        if (entries.length === 0 && this.#tokens.accept(",") !== undefined) break;
        const isOptional = this.#tokens.accept("?") !== undefined;
        const key = this.#expr();
        const colon = this.#tokens.expect(":", undefined, true);
        const entryId = this.#id(colon.offset);
        entries.push({ id: entryId, key, value: this.#operand(), optional: isOptional });
        if (this.#tokens.accept(",") === undefined) break;
      }
    });
    this.#tokens.expect("}", entries.length === 0 ? undefined : "{'}', ','}");
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
