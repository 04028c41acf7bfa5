/**
 * A checked expression, ready to run any number of times.
 *
 * Upstream: github.com/google/cel-go cel/program.go
 */
import type { Checked } from "./checker.ts";
import type { Environment } from "./environment.ts";
import { type Activation, type CallCost, type Code, COST_LIMIT_EXCEEDED, type Frame, type Slot } from "./frame.ts";
import { Planner } from "./planner.ts";
import { CelAbort, CelError, type Value } from "./values.ts";

export interface Outcome {
  readonly value: Value;
  readonly cost: number;
}

/** A failed run, and what it had cost until then. */
export class EvaluationError extends Error {
  override readonly name = "EvaluationError";
  readonly cost: number;
  readonly isLimit: boolean;
  constructor(message: string, cost: number, isLimit: boolean) {
    super(message);
    this.cost = cost;
    this.isLimit = isLimit;
  }
}

export class Program {
  readonly #code: Code;
  readonly #slots: number;

  constructor(env: Environment, checked: Checked, callCost: CallCost) {
    const planner = new Planner(env, checked, callCost);
    this.#code = planner.code(checked.expr);
    this.#slots = planner.slots;
  }

  /** Throws `EvaluationError`. */
  run(activation: Activation, limit = Infinity): Outcome {
    const slots = Array.from<Slot>({ length: this.#slots });
    const frame: Frame = { activation, slots, cost: 0, limit };
    try {
      const value = this.#code(frame);
      return { value, cost: frame.cost };
    } catch (error) {
      if (error instanceof CelError) throw new EvaluationError(error.message, frame.cost, false);
      if (error instanceof CelAbort)
        throw new EvaluationError(error.message, frame.cost, error.message === COST_LIMIT_EXCEEDED);
      if (error instanceof RangeError) throw new EvaluationError("expression is nested too deeply", frame.cost, false);
      throw error;
    }
  }
}
