/**
 * Evaluates the rules of a schema on an object. Programs are made once for each schema, and only parts of the object that have rules are visited.
 * Upstream: staging/src/k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel/validation.go
 */
import {
  duplicate,
  type FieldError,
  fieldForbidden,
  invalid,
  invalidOmitted,
  required,
} from "../../validation/field-error.ts";
import { COST_BUDGET, PER_CALL_LIMIT } from "../kubernetes.ts";
import type { Activation } from "../frame.ts";
import { EvaluationError, type Program } from "../program.ts";
import { Optional } from "../values.ts";
import { type CompiledRule, compileRules, STORED_RULES } from "./compile.ts";
import { type Correlated, OldItems } from "./correlation.ts";
import { isEmbedded, itemsOf, propertyOf, type Rule, type RuleSchema, rulesOf, valuesOf } from "./schema.ts";
import { declare } from "./types.ts";
import { schemaValue, Shape } from "./values.ts";

interface Validator {
  readonly schema: RuleSchema;
  readonly shape: Shape;
  /** Compiled the first time they are needed. */
  rules(): readonly CompiledRule[];
  readonly allOf: readonly Validator[];
  readonly items?: Validator;
  readonly values?: Validator;
  readonly properties: ReadonlyMap<string, Validator>;
}

/** The old value where there is one to compare with. Undefined and null are none. */
interface Step {
  readonly correlated: Correlated | undefined;
  readonly parent: Correlated | undefined;
}

const MAX_MESSAGE_BYTES = 5120;
const OUT_OF_BUDGET = "validation failed due to running out of cost budget, no further validation rules will be run";

export class ObjectRules {
  readonly #root: Validator | undefined;

  constructor(schema: RuleSchema, isRoot = true) {
    this.#root = anyRules(schema) ? validator(schema, schema, isRoot) : undefined;
  }

  /** `correlated` is the object beside what it was; without it every failure is an error. */
  validate(
    object: unknown,
    old: unknown,
    options: {
      readonly path?: string;
      readonly correlated?: Correlated | undefined;
      readonly budget?: number;
      readonly warn?: ((text: string) => void) | undefined;
    } = {},
  ): FieldError[] {
    if (this.#root === undefined) return [];
    const run = new Run(options.budget ?? COST_BUDGET, options.warn ?? (() => {}));
    run.visit(this.#root, options.path ?? "", object, old, { correlated: options.correlated, parent: undefined });
    return run.errors;
  }

  get isEmpty(): boolean {
    return this.#root === undefined;
  }
}

/** Rules inside `allOf` alone don't count. */
function anyRules(schema: RuleSchema | undefined): boolean {
  if (schema === undefined) return false;
  return (
    rulesOf(schema).length > 0 ||
    anyRules(itemsOf(schema)) ||
    anyRules(valuesOf(schema)) ||
    Object.values(schema.properties ?? {}).some(anyRules)
  );
}

/** `rules` says which rules there are, `schema` what the values are: they differ inside `allOf`. */
function validator(rules: RuleSchema, schema: RuleSchema, isRoot: boolean): Validator | undefined {
  const [ruleItems, items] = [itemsOf(rules), itemsOf(schema)];
  const [ruleValues, values] = [valuesOf(rules), valuesOf(schema)];
  const properties = new Map<string, Validator>();
  for (const [name, inner] of Object.entries(rules.properties ?? {})) {
    const property = propertyOf(schema, name);
    // What has no type isn't seen by rules, nor is anything inside.
    if (property === undefined || declare(property, isEmbedded(property), "object") === undefined) continue;
    const made = validator(inner, property, isEmbedded(property));
    if (made !== undefined) properties.set(name, made);
  }
  const ofItems = ruleItems && items && validator(ruleItems, items, isEmbedded(items));
  const ofValues = ruleValues && values && validator(ruleValues, values, isEmbedded(values));
  const allOf = (rules.allOf ?? []).flatMap((inner) => validator(inner, schema, isRoot) ?? []);
  const own = rulesOf(rules);
  if (own.length === 0 && !ofItems && !ofValues && properties.size === 0 && allOf.length === 0) return undefined;
  let compiled: readonly CompiledRule[] | undefined;
  return {
    schema,
    shape: new Shape(schema, isRoot),
    rules: () => (compiled ??= own.length === 0 ? [] : (compileRules(schema, own, isRoot, STORED_RULES)?.rules ?? [])),
    allOf,
    ...(ofItems && { items: ofItems }),
    ...(ofValues && { values: ofValues }),
    properties,
  };
}

/** Ends the run: what is there of errors is all there will be. */
class Stop extends Error {}

class Run {
  readonly errors: FieldError[] = [];
  #budget: number;
  readonly #warn: (text: string) => void;

  constructor(budget: number, warn: (text: string) => void) {
    this.#budget = budget;
    this.#warn = warn;
  }

  visit(at: Validator, path: string, value: unknown, old: unknown, step: Step): void {
    try {
      this.#visit(at, path, value, old, step);
    } catch (error) {
      if (!(error instanceof Stop)) throw error;
    }
  }

  #visit(at: Validator, path: string, value: unknown, old: unknown, step: Step): void {
    if (value === null || value === undefined) return;
    this.#runRules(at, path, value, old, step);
    // What the rules of `allOf` find is only passed over for a parent's sake.
    for (const inner of at.allOf) this.#visit(inner, path, value, old, { correlated: undefined, parent: step.parent });
    if (Array.isArray(value)) this.#visitItems(at, path, value, old, step);
    else if (typeof value === "object")
      this.#visitEntries(at, path, value as Readonly<Record<string, unknown>>, old, step);
  }

  #visitItems(at: Validator, path: string, value: readonly unknown[], old: unknown, step: Step): void {
    if (at.items === undefined) return;
    const before = new OldItems(at.schema, Array.isArray(old) ? old : []);
    for (let i = 0; i < value.length; i++) {
      const inner =
        step.correlated === undefined ? step : { correlated: step.correlated.index(i), parent: step.correlated };
      this.#visit(at.items, `${path}[${i}]`, value[i], before.find(value[i]), inner);
    }
  }

  #visitEntries(at: Validator, path: string, value: Readonly<Record<string, unknown>>, old: unknown, step: Step): void {
    if (at.values === undefined && at.properties.size === 0) return;
    const before = typeof old === "object" && old !== null && !Array.isArray(old) ? (old as typeof value) : {};
    const inside = (name: string): Step => {
      if (step.correlated === undefined) return step;
      if (step.parent === undefined && (name === "apiVersion" || name === "kind"))
        return { correlated: undefined, parent: undefined };
      return { correlated: step.correlated.key(name), parent: step.correlated };
    };
    const oldOf = (name: string): unknown => (Object.hasOwn(before, name) ? before[name] : undefined);
    if (at.values !== undefined)
      for (const name of Object.keys(value))
        this.#visit(at.values, `${path}[${name}]`, value[name], oldOf(name), inside(name));
    for (const [name, property] of at.properties)
      if (Object.hasOwn(value, name))
        this.#visit(property, path === "" ? name : `${path}.${name}`, value[name], oldOf(name), inside(name));
  }

  #runRules(at: Validator, path: string, value: unknown, old: unknown, step: Step): void {
    const rules = at.rules();
    if (rules.length === 0) return;
    // The root has no path, and upstream shows that.
    const field = path === "" ? "<nil>" : path;
    const type = at.schema.type ?? "";
    if (this.#budget <= 0) this.#stop(field, type, OUT_OF_BUDGET);
    const self = () => schemaValue(at.shape, value);
    const hasOld = old !== null && old !== undefined;
    const plain: Activation = hasOld ? { self, oldSelf: () => schemaValue(at.shape, old) } : { self };
    const withOptional: Activation = {
      self,
      oldSelf: hasOld ? () => new Optional(schemaValue(at.shape, old)) : Optional.none,
    };
    for (const compiled of rules) {
      const { rule, program } = compiled;
      if (compiled.error !== undefined) {
        this.errors.push(invalid(field, type, `rule compile error: ${compiled.error}`));
        continue;
      }
      if (program === undefined) continue;
      const isOptional = rule.optionalOldSelf === true;
      if (compiled.usesOldSelf && !hasOld && !isOptional) continue;
      const holds = this.#holds(program, isOptional ? withOptional : plain, rule, field, type);
      if (holds !== false) continue;
      const fieldOfRule =
        compiled.fieldPath === undefined ? field : path === "" ? compiled.fieldPath : `${path}.${compiled.fieldPath}`;
      const report = (error: FieldError): void => {
        const isUnchanged = (step.correlated ?? step.parent)?.isSame === true;
        if (!compiled.usesOldSelf && isUnchanged) this.#warn(`${error.field}: ${error.message}`);
        else this.errors.push(error);
      };
      const detail =
        (compiled.message && this.#message(compiled.message, rule, plain, fieldOfRule, type, report)) ??
        messageOf(rule);
      report(failure(rule, fieldOfRule, typeof value === "object" ? undefined : value, detail));
    }
  }

  #holds(program: Program, activation: Activation, rule: Rule, field: string, type: string): boolean | undefined {
    try {
      const { value, cost } = program.run(activation, PER_CALL_LIMIT);
      this.#spend(cost, field, type, OUT_OF_BUDGET);
      return value === true;
    } catch (error) {
      if (!(error instanceof EvaluationError)) throw error;
      this.#spend(error.cost, field, type, OUT_OF_BUDGET);
      const why = error.message;
      if (error.isLimit)
        this.#stop(
          field,
          type,
          `'${why}': no further validation rules will be run due to call cost exceeds limit for rule: ${nameOf(rule)}`,
        );
      this.errors.push(
        invalid(
          field,
          type,
          why.startsWith("no such overload")
            ? `'${why}': call arguments did not match a supported operator, function or macro signature for rule: ${nameOf(rule)}`
            : `${why} evaluating rule: ${nameOf(rule)}`,
        ),
      );
      return undefined;
    }
  }

  /** Undefined where the expression gives nothing to show. */
  #message(
    program: Program,
    { messageExpression }: Rule,
    activation: Activation,
    field: string,
    type: string,
    report: (error: FieldError) => void,
  ): string | undefined {
    const stop = (why: string): never => {
      report(invalid(field, type, why));
      throw new Stop();
    };
    const spend = (cost: number) => {
      if (cost > this.#budget)
        stop(
          "messageExpression evaluation failed due to running out of cost budget, no further validation rules will be run",
        );
      this.#budget -= cost;
    };
    try {
      const { value, cost } = program.run(activation, PER_CALL_LIMIT);
      spend(cost);
      if (typeof value !== "string") return undefined;
      const text = value.trim();
      return text === "" || text.includes("\n") || Buffer.byteLength(text) > MAX_MESSAGE_BYTES ? undefined : text;
    } catch (error) {
      if (!(error instanceof EvaluationError)) throw error;
      spend(error.cost);
      if (error.isLimit)
        stop(
          `no further validation rules will be run due to call cost exceeds limit for messageExpression: ${JSON.stringify(messageExpression)}`,
        );
      return undefined;
    }
  }

  #spend(cost: number, field: string, type: string, why: string): void {
    if (cost > this.#budget) this.#stop(field, type, why);
    this.#budget -= cost;
  }
  #stop(field: string, type: string, why: string): never {
    this.errors.push(invalid(field, type, why));
    throw new Stop();
  }
}

const nameOf = ({ rule, message }: Rule): string => (message ? message : rule).trim();
const messageOf = (rule: Rule): string => (rule.message ? rule.message.trim() : `failed rule: ${nameOf(rule)}`);

/** `value` is undefined where it is too large to be shown. */
function failure({ reason }: Rule, field: string, value: unknown, detail: string): FieldError {
  switch (reason) {
    case "FieldValueForbidden":
      return fieldForbidden(field, detail);
    case "FieldValueRequired":
      return required(field, detail);
    case "FieldValueDuplicate":
      return duplicate(field, value);
    default:
      return value === undefined ? invalidOmitted(field, detail) : invalid(field, value, detail);
  }
}
