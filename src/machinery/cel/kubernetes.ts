/**
 * The environment that Kubernetes gives its expressions, as of 1.36.
 *
 * Upstream: staging/src/k8s.io/apiserver/pkg/cel/environment/base.go
 */
import { Environment, type Library } from "./environment.ts";
import { authorizer } from "./libraries/authorizer.ts";
import { lists, listsExtension, sets } from "./libraries/lists.ts";
import { network } from "./libraries/network.ts";
import { optionals, twoVariableComprehensions } from "./libraries/optionals.ts";
import { standard } from "./libraries/standard.ts";
import { strings } from "./libraries/strings.ts";
import { expressions, formats, quantities, versions } from "./libraries/values.ts";

/** In the order in which upstream declares them, each with the version that brought it. */
const LIBRARIES: readonly (readonly [since: string, library: Library])[] = [
  ["1.0", standard],
  ["1.0", network],
  ["1.0", expressions],
  ["1.0", lists],
  ["1.27", authorizer],
  ["1.28", optionals],
  ["1.28", quantities],
  ["1.29", strings],
  ["1.29", sets],
  ["1.31", formats],
  ["1.32", twoVariableComprehensions],
  ["1.33", versions],
  ["1.34", listsExtension],
];

/** One evaluation of one expression may cost so much. */
export const PER_CALL_LIMIT = 1_000_000;

export function kubernetesEnvironment(): Environment {
  return Environment.of(...LIBRARIES.map(([, library]) => library));
}
