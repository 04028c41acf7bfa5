/** The shape of the tables of decisions. */
import type { Decision } from "../decide.ts";

export type Rows = readonly Omit<Decision, "plugin">[];

/** The rows of each plugin, by its name. */
export type DecisionTable = Readonly<Record<string, Rows>>;
