/**
 * A policy's variables: each is an expression that may use those before it, and is evaluated at most once and only when it is needed.
 * Upstream: staging/src/k8s.io/apiserver/pkg/admission/plugin/cel/composition.go
 */
import { type CompiledExpression, compileExpression } from "./admission.ts";
import type { Environment } from "./environment.ts";
import type { Activation } from "./frame.ts";
import { EvaluationError } from "./program.ts";
import { DYN, struct, type Type } from "./types.ts";
import { CelError, Opaque, type Value } from "./values.ts";

const VARIABLES = struct("kubernetes.variables");

export interface Variables {
  /** The environment with `variables` in it. */
  readonly env: Environment;
  readonly compiled: ReadonlyMap<string, CompiledExpression>;
}

/** An environment with `variables`, which has what `types` says by then. */
export function withVariables(base: Environment, types: ReadonlyMap<string, Type>): Environment {
  return base
    .withStructs((name) =>
      name === VARIABLES.name ? { type: VARIABLES, field: (field) => types.get(field) } : undefined,
    )
    .withVariables({ variables: VARIABLES });
}

export function compileVariables(
  base: Environment,
  variables: readonly { readonly name: string; readonly expression?: string }[],
): Variables {
  const types = new Map<string, Type>();
  const env = withVariables(base, types);
  const compiled = new Map<string, CompiledExpression>();
  for (const { name, expression = "" } of variables) {
    const one = compileExpression(env, expression, []);
    compiled.set(name, one);
    // One that doesn't compile can still be named; asking for it fails.
    types.set(name, one.ok ? one.type : DYN);
  }
  return { env, compiled };
}

/** What an evaluation has computed so far. */
export class VariableValues extends Opaque {
  override readonly type = VARIABLES;
  readonly #compiled: Variables["compiled"];
  readonly #activation: Activation;
  readonly #values = new Map<string, Value | CelError>();
  /** What computing them has cost since somebody last took it. */
  #cost = 0;

  constructor({ compiled }: Variables, activation: Activation) {
    super();
    this.#compiled = compiled;
    this.#activation = { ...activation, variables: this };
  }

  /** The variables of the request, and `variables` beside them. */
  get activation(): Activation {
    return this.#activation;
  }

  takeCost(): number {
    const cost = this.#cost;
    this.#cost = 0;
    return cost;
  }

  override equals(other: Opaque): boolean {
    return other === this;
  }

  override field(name: string): Value | undefined {
    if (!this.#compiled.has(name)) return undefined;
    let value = this.#values.get(name);
    if (value === undefined) this.#values.set(name, (value = this.#compute(name)));
    if (value instanceof CelError) throw value;
    return value;
  }

  override has(name: string): boolean {
    return this.#compiled.has(name);
  }

  #compute(name: string): Value | CelError {
    const compiled = this.#compiled.get(name)!;
    const failed = (what: string) => new CelError(`composited variable ${JSON.stringify(name)} fails to ${what}`);
    if (!compiled.ok) return failed(`compile: ${compiled.message}`);
    try {
      const { value, cost } = compiled.program.run(this.#activation);
      this.#cost += cost;
      return value;
    } catch (error) {
      if (!(error instanceof EvaluationError)) throw error;
      this.#cost += error.cost;
      return failed(`evaluate: ${error.message}`);
    }
  }
}
