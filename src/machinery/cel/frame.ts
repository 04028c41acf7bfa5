/** What one run of a program carries: the values of its variables, and what it has spent so far. */
import { CelAbort, type CelError, type Value } from "./values.ts";

/** What variables hold. A function is asked once the variable is needed; what it throws is the variable's failure. */
export type Activation = Readonly<Record<string, Value | ((frame: Frame) => Value)>>;

/** The cost of a call by its overload; undefined for the usual 1. */
export type CallCost = (name: string, overload: string, args: readonly Value[], result: Value) => number | undefined;

/** A variable of a macro's loop: its value, the failure it stands for, or nothing yet. */
export type Slot = Value | CelError | undefined;

export interface Frame {
  readonly activation: Activation;
  readonly slots: Slot[];
  cost: number;
  readonly limit: number;
}

/** A part of an expression, ready to run. */
export type Code = (frame: Frame) => Value;

export const COST_LIMIT_EXCEEDED = "operation cancelled: actual cost limit exceeded";

export function spend(frame: Frame, cost: number): void {
  frame.cost += cost;
  if (frame.cost > frame.limit) throw new CelAbort(COST_LIMIT_EXCEEDED);
}
