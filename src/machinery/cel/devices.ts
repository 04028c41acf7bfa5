/**
 * Expressions that choose devices by their driver, their attributes and their capacity.
 * Upstream: staging/src/k8s.io/dynamic-resource-allocation/cel/compile.go
 */
import type { StructType } from "./environment.ts";
import type { Environment } from "./environment.ts";
import { estimateCost } from "./estimate.ts";
import type { SizeOf } from "./library-costs.ts";
import { compile } from "./expression.ts";
import { type Age, kubernetesEnvironment, programOf } from "./kubernetes.ts";
import { QUANTITY } from "./libraries/values.ts";
import { BIND } from "./macros.ts";
import { BOOL, DYN, equalTypes, map, STRING, struct, type Type, typeText } from "./types.ts";
import { CelError } from "./values.ts";

const DEVICE = struct("kubernetes.DRADevice");
const FIELDS: Readonly<Record<string, Type>> = {
  driver: STRING,
  allowMultipleAllocations: BOOL,
  attributes: map(STRING, map(STRING, DYN)),
  capacity: map(STRING, map(STRING, QUANTITY)),
};

const structType = (name: string): StructType | undefined =>
  name === DEVICE.name
    ? { type: DEVICE, field: (field) => (Object.hasOwn(FIELDS, field) ? FIELDS[field] : undefined) }
    : undefined;

const deviceEnvironment = (age: Age): Environment =>
  kubernetesEnvironment(age)
    .with({ macros: [BIND] })
    .withStructs(structType)
    .withVariables({ device: DEVICE });

/** One selector on one device may cost so much. */
const COST_LIMIT = 1_000_000;
const LONGEST_DOMAIN = 63;
const LONGEST_NAME = 32;
const MOST_ATTRIBUTES = 32;
const LONGEST_VALUE = 64;

/** How large what stands at a path below `device` may be. */
const sizeOf: SizeOf = (path) => {
  if (path[0] !== "device") return undefined;
  const max = sizeAt(path.slice(1));
  return max === undefined ? undefined : { min: 0, max };
};

function sizeAt([field, ...path]: readonly string[]): number | undefined {
  if (field === undefined) return 0;
  if (field === "driver") return path.length === 0 ? LONGEST_DOMAIN : undefined;
  if (field === "allowMultipleAllocations") return path.length === 0 ? 1 : undefined;
  if (field !== "attributes" && field !== "capacity") return undefined;
  const [domain, id, ...more] = path;
  if (domain === undefined) return MOST_ATTRIBUTES;
  if (domain === "@keys") return id === undefined ? LONGEST_DOMAIN : undefined;
  if (domain !== "@values" && domain !== "@items") return undefined;
  if (id === undefined) return MOST_ATTRIBUTES;
  if (more.length > 0) return undefined;
  if (id === "@keys") return LONGEST_NAME;
  if (field === "attributes") return LONGEST_VALUE;
  return id === "@values" || id === "@items" ? 0 : undefined;
}

export type SelectorProblem =
  | { readonly kind: "invalid" | "internal"; readonly message: string }
  | { readonly kind: "forbidden"; readonly message: string };

/** What is wrong with an expression that is to choose devices. */
export function selectorProblem(expression: string, age: Age): SelectorProblem | undefined {
  const env = deviceEnvironment(age);
  const compiled = compile(env, expression);
  if (!compiled.ok) return { kind: "invalid", message: `compilation failed: ${compiled.message}` };
  const { checked } = compiled;
  if (![BOOL, DYN].some((type) => equalTypes(type, checked.type)))
    return { kind: "invalid", message: `must evaluate to bool or the unknown type, not ${typeText(checked.type)}` };
  try {
    programOf(env, checked);
  } catch (error) {
    if (!(error instanceof CelError)) throw error;
    return { kind: "internal", message: `program instantiation failed: ${error.message}` };
  }
  if (estimateCost(checked, sizeOf).max > COST_LIMIT)
    return { kind: "forbidden", message: "too complex, exceeds cost limit" };
  return undefined;
}
