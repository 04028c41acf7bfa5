/**
 * Expressions as Kubernetes has them: the front door of this folder.
 *
 * `compile(kubernetesEnvironment("new").withVariables({ self: … }), text)` gives a checked expression or complaints; `programOf` makes it
 * run, `program.run(values, limit)` runs it and says what it cost, or throws an `EvaluationError` with the cost so far. `estimateCost` says
 * beforehand what it may cost.
 *
 * A new expression may only use what the release before also knows, so that a rollback can still read it; what is stored already may use
 * everything.
 *
 * Upstream: staging/src/k8s.io/apiserver/pkg/cel/environment/base.go, pkg/apis/cel/config.go
 */
import type { Checked } from "./checker.ts";
import { Environment, type Library } from "./environment.ts";
import { authorizer } from "./libraries/authorizer.ts";
import { lists, listsExtension, sets } from "./libraries/lists.ts";
import { network } from "./libraries/network.ts";
import { optionals, twoVariableComprehensions } from "./libraries/optionals.ts";
import { standard } from "./libraries/standard.ts";
import { strings } from "./libraries/strings.ts";
import { expressions, formats, quantities, versions } from "./libraries/values.ts";
import { Program } from "./program.ts";
import { runCost } from "./run-cost.ts";

/** In the order in which upstream declares them, each with the minor version that brought it. */
const LIBRARIES: readonly (readonly [since: number, library: Library])[] = [
  [0, standard],
  [0, network],
  [0, expressions],
  [0, lists],
  [27, authorizer],
  [28, optionals],
  [28, quantities],
  [29, strings],
  [29, sets],
  [31, formats],
  [32, twoVariableComprehensions],
  [33, versions],
  [34, listsExtension],
];

/** The release before this one. */
const COMPATIBLE_WITH = 35;

/** One evaluation of one expression may cost so much. */
export const PER_CALL_LIMIT = 1_000_000;
/** All expressions of one object, of one policy with one binding and parameter. */
export const COST_BUDGET = 10_000_000;
export const MATCH_CONDITIONS_BUDGET = 2_500_000;
/** The longest request, in bytes, and so the largest thing an expression sees. */
export const MAX_REQUEST_BYTES = 3 * 1024 * 1024;

const environment = (upTo: number): Environment =>
  Environment.of(...LIBRARIES.filter(([since]) => since <= upTo).map(([, library]) => library));
const STORED = environment(Infinity);
const NEW = environment(COMPATIBLE_WITH);

/** Whether an expression is there already, and so may use more. */
export type Age = "new" | "stored";

export function kubernetesEnvironment(age: Age = "stored"): Environment {
  return age === "new" ? NEW : STORED;
}

/** Throws a `CelError` where the expression can't be made to run: a constant that doesn't convert, a pattern that isn't one. */
export function programOf(env: Environment, checked: Checked): Program {
  return new Program(env, checked, runCost);
}
