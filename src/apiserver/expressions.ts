/**
 * The CEL expressions of the authentication and authorization configuration: over the claims of a token, the user made from them, and the request
 * that is to be authorized.
 * Upstream: pkg/authentication/cel, pkg/authorization/cel
 */
import { compileExpression } from "../machinery/cel/admission.ts";
import { type Expr, OPERATORS, visit } from "../machinery/cel/ast.ts";
import type { Environment, StructType } from "../machinery/cel/environment.ts";
import { compile as parseAndCheck } from "../machinery/cel/expression.ts";
import { kubernetesEnvironment, PER_CALL_LIMIT } from "../machinery/cel/kubernetes.ts";
import { BOOL, DYN, list, map, STRING, struct, type Type } from "../machinery/cel/types.ts";
import { ListValue, MapValue, type Value } from "../machinery/cel/values.ts";

export type Compiled =
  | {
      /** Throws what went wrong, without the expression itself. */
      readonly evaluate: (input: unknown) => unknown;
      /** Whether `variable.field` stands in it. */
      uses(variable: string, field: string): boolean;
      /** Whether a field of that name is selected of anything. */
      selects(field: string): boolean;
    }
  | { readonly error: string };

export interface ExpressionCompiler {
  /** Over `claims`: a boolean where a rule asks for one. */
  claims(expression: string, returns: "bool" | "any"): Compiled;
  /** Over `user`, to a boolean. */
  user(expression: string): Compiled;
  /** Over `request`, the spec of an access review, to a boolean. */
  review(expression: string): Compiled;
}

const USER = struct("kubernetes.UserInfo");
const REVIEW = struct("kubernetes.SubjectAccessReviewSpec");
const RESOURCE = struct("kubernetes.ResourceAttributes");
const PATH = struct("kubernetes.NonResourceAttributes");
const FIELDS = struct("kubernetes.FieldSelectorAttributes");
const LABELS = struct("kubernetes.LabelSelectorAttributes");
const REQUIREMENT = struct("kubernetes.SelectorRequirement");
const EXTRA = map(STRING, list(STRING));

const STRUCTS: Readonly<Record<string, Readonly<Record<string, Type>>>> = {
  [USER.name]: { username: STRING, uid: STRING, groups: list(STRING), extra: EXTRA },
  [REVIEW.name]: {
    resourceAttributes: RESOURCE,
    nonResourceAttributes: PATH,
    user: STRING,
    groups: list(STRING),
    extra: EXTRA,
    uid: STRING,
  },
  [RESOURCE.name]: {
    namespace: STRING,
    verb: STRING,
    group: STRING,
    version: STRING,
    resource: STRING,
    subresource: STRING,
    name: STRING,
    fieldSelector: FIELDS,
    labelSelector: LABELS,
  },
  [PATH.name]: { path: STRING, verb: STRING },
  [FIELDS.name]: { rawSelector: STRING, requirements: list(REQUIREMENT) },
  [LABELS.name]: { rawSelector: STRING, requirements: list(REQUIREMENT) },
  [REQUIREMENT.name]: { key: STRING, operator: STRING, values: list(STRING) },
};

function structType(name: string): StructType | undefined {
  const fields = Object.hasOwn(STRUCTS, name) ? STRUCTS[name]! : undefined;
  if (fields === undefined) return undefined;
  return { type: struct(name), field: (field) => (Object.hasOwn(fields, field) ? fields[field] : undefined) };
}

export function expressionCompiler(): ExpressionCompiler {
  const base = kubernetesEnvironment().withStructs(structType);
  const claims = base.withVariables({ claims: map(STRING, DYN) });
  const user = base.withVariables({ user: USER });
  const request = base.withVariables({ request: REVIEW });
  return {
    claims: (text, returns) => withoutType(compiled(claims, "claims", text, returns === "bool" ? [BOOL] : [])),
    user: (text) => withoutType(compiled(user, "user", text, [BOOL])),
    review: (text) => compiled(request, "request", text, [BOOL]),
  };
}

/** Here upstream doesn't say what an expression gives in place of a boolean. */
function withoutType(result: Compiled): Compiled {
  return "error" in result ? { error: result.error.replace(/^(must evaluate to bool) but got .*$/s, "$1") } : result;
}

function compiled(env: Environment, variable: string, text: string, types: readonly Type[]): Compiled {
  const result = compileExpression(env, text, types);
  if (!result.ok) return { error: result.message };
  const checked = parseAndCheck(env, text);
  const selections = checked.ok ? selectionsOf(checked.checked.expr) : [];
  return {
    evaluate: (input) => plain(result.program.run({ [variable]: valueOf(input) }, PER_CALL_LIMIT).value),
    uses: (name, field) => selections.some((one) => one.of === name && one.field === field),
    selects: (field) => selections.some((one) => one.field === field),
  };
}

interface Selection {
  /** The variable it is selected of; undefined for anything else. */
  readonly of: string | undefined;
  readonly field: string;
}

function selectionsOf(expr: Expr): readonly Selection[] {
  const found: Selection[] = [];
  const nameOf = (operand: Expr) => (operand.kind === "ident" ? operand.name : undefined);
  visit(expr, (node) => {
    if (node.kind === "select") found.push({ of: nameOf(node.operand), field: node.field });
    if (node.kind !== "call" || node.name !== OPERATORS.optSelect || node.args.length !== 2) return;
    const [operand, field] = node.args as [Expr, Expr];
    if (field.kind === "literal" && typeof field.value === "string")
      found.push({ of: nameOf(operand), field: field.value });
  });
  return found;
}

/** Numbers of tokens are doubles, as Go reads JSON; names with dots and dashes are written `a__dot__b`. */
function valueOf(json: unknown): Value {
  if (typeof json === "string" || typeof json === "boolean" || typeof json === "number") return json;
  if (Array.isArray(json)) return new Items(json);
  return typeof json === "object" && json !== null ? new Entries(json as Record<string, unknown>) : null;
}

class Items extends ListValue {
  readonly #items: readonly unknown[];
  constructor(items: readonly unknown[]) {
    super();
    this.#items = items;
  }
  override get size(): number {
    return this.#items.length;
  }
  override at(index: number): Value {
    return valueOf(this.#items[index]);
  }
}

class Entries extends MapValue {
  readonly #entries: Readonly<Record<string, unknown>>;
  constructor(entries: Readonly<Record<string, unknown>>) {
    super();
    this.#entries = entries;
  }
  override get size(): number {
    return Object.keys(this.#entries).length;
  }
  override get(key: Value): Value | undefined {
    if (typeof key !== "string") return undefined;
    const name = unescaped(key);
    return Object.hasOwn(this.#entries, name) ? valueOf(this.#entries[name]) : undefined;
  }
  override keys(): Iterable<Value> {
    return Object.keys(this.#entries);
  }
}

const ESCAPES: Readonly<Record<string, string>> = { underscores: "__", dot: ".", dash: "-", slash: "/" };
const RESERVED =
  /^__(true|false|null|in|as|break|const|continue|else|for|function|if|import|let|loop|package|namespace|return|var|void|while)__$/;

function unescaped(key: string): string {
  const word = RESERVED.exec(key)?.[1];
  return word ?? key.replaceAll(/__(underscores|dot|dash|slash)__/g, (_, name: string) => ESCAPES[name]!);
}

/** What a rule gave, without CEL's own types around it; those that nobody here can use stay as they are. */
function plain(value: Value): unknown {
  return value instanceof ListValue ? [...value].map(plain) : value;
}
