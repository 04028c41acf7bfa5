/**
 * Compiles the rules of a schema: reports what is wrong with them and what they may cost, and returns the programs.
 * Upstream: staging/src/k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel/compilation.go
 */
import type { Environment } from "../environment.ts";
import { estimateCost } from "../estimate.ts";
import type { SizeOf } from "../library-costs.ts";
import { compile } from "../expression.ts";
import { type Age, kubernetesEnvironment, MAX_REQUEST_BYTES, programOf } from "../kubernetes.ts";
import type { Program } from "../program.ts";
import { optional, type Type } from "../types.ts";
import { CelError } from "../values.ts";
import { fieldPath } from "./field-path.ts";
import type { Rule, RuleSchema } from "./schema.ts";
import { declare, type Declaration, sizesOf, structsOf } from "./types.ts";

/** Rules are written without knowing what their own type is called. */
const SELF_TYPE = "selfType";

export interface CompiledRule {
  readonly rule: Rule;
  /** Undefined where the rule is empty, or there is an error. */
  readonly program?: Program;
  readonly error?: string;
  readonly usesOldSelf: boolean;
  readonly maxCost: number;
  readonly message?: Program;
  readonly messageError?: string;
  readonly messageMaxCost: number;
  /** Below the value that the rule is on. */
  readonly fieldPath?: string;
}

export interface CompiledRules {
  readonly rules: readonly CompiledRule[];
  /** How often values of this schema fit into one request. */
  readonly maxCardinality: number;
}

/** Which texts are there already. */
export interface Ages {
  rule(text: string): Age;
  messageExpression(text: string): Age;
}
export const STORED_RULES: Ages = { rule: () => "stored", messageExpression: () => "stored" };

/** Undefined where rules see nothing of the schema. */
export function compileRules(
  schema: RuleSchema,
  rules: readonly Rule[],
  isRoot: boolean,
  ages: Ages,
): CompiledRules | undefined {
  const declaration = declare(schema, isRoot, SELF_TYPE);
  if (declaration === undefined) return undefined;
  const structs = structsOf(declaration);
  const environment = (age: Age, oldSelf: Type): Environment =>
    kubernetesEnvironment(age).withStructs(structs).withVariables({ self: declaration.type, oldSelf });
  const size = sizesOf(declaration);
  return {
    rules: rules.map((rule) => compileRule(schema, rule, declaration, environment, size, ages)),
    maxCardinality: Math.floor(MAX_REQUEST_BYTES / (declaration.minSize + 1)),
  };
}

interface Expression {
  readonly program?: Program;
  readonly error?: string;
  readonly maxCost: number;
  readonly usesOldSelf: boolean;
}

function compileRule(
  schema: RuleSchema,
  rule: Rule,
  { type }: Declaration,
  environment: (age: Age, oldSelf: Type) => Environment,
  size: SizeOf,
  ages: Ages,
): CompiledRule {
  const nothing = { rule, usesOldSelf: false, maxCost: 0, messageMaxCost: 0 };
  if (rule.rule.trim() === "") return nothing;
  const oldSelf = rule.optionalOldSelf === true ? optional(type) : type;
  const main = expression(environment(ages.rule(rule.rule), oldSelf), rule.rule, "bool", size, {
    compilation: "compilation failed: ",
    type: "cel expression must evaluate to a bool",
    instantiation: "program instantiation failed: ",
  });
  if (main.error !== undefined) return { ...nothing, error: main.error, usesOldSelf: main.usesOldSelf };
  const path = rule.fieldPath ? fieldPath(rule.fieldPath, schema) : undefined;
  const field = path?.ok === true ? { fieldPath: path.path } : {};
  const compiled = {
    rule,
    program: main.program!,
    usesOldSelf: main.usesOldSelf,
    maxCost: main.maxCost,
    messageMaxCost: 0,
  };
  if (!rule.messageExpression) return { ...compiled, ...field };
  const env = environment(ages.messageExpression(rule.messageExpression), oldSelf);
  const message = expression(env, rule.messageExpression, "string", size, {
    compilation: "messageExpression compilation failed: ",
    type: "messageExpression must evaluate to a string",
    instantiation: "messageExpression instantiation failed: ",
  });
  return message.error === undefined
    ? { ...compiled, ...field, message: message.program!, messageMaxCost: message.maxCost }
    : { ...compiled, messageError: message.error };
}

function expression(
  env: Environment,
  text: string,
  kind: "bool" | "string",
  size: SizeOf,
  words: { readonly compilation: string; readonly type: string; readonly instantiation: string },
): Expression {
  const failed = (error: string, usesOldSelf = false): Expression => ({ error, maxCost: 0, usesOldSelf });
  const compiled = compile(env, text);
  if (!compiled.ok) return failed(words.compilation + compiled.message);
  const { checked } = compiled;
  if (checked.type.kind !== kind) return failed(words.type);
  const usesOldSelf = [...checked.names.values()].includes("oldSelf");
  try {
    return { program: programOf(env, checked), maxCost: estimateCost(checked, size).max, usesOldSelf };
  } catch (error) {
    if (error instanceof CelError) return failed(words.instantiation + error.message, usesOldSelf);
    throw error;
  }
}
