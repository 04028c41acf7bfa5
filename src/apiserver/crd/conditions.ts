/**
 * The conditions in a definition's status: whether its names are accepted, whether it is established, and whether its group is permitted. Pure.
 * Upstream: apiextensions-apiserver/pkg/controller/{status,establish,apiapproval}.
 */
import { notConvertible, validateStructure } from "../../api/apiextensions/v1/customresourcedefinition/structural.ts";
import { jsonEqual } from "../../machinery/patch/json-value.ts";
import { type FieldError, invalid } from "../../machinery/validation/field-error.ts";
import type {
  CustomResourceDefinition,
  CustomResourceDefinitionCondition,
  CustomResourceDefinitionNames,
} from "../../api/generated/apiextensions.v1.ts";

export const NON_STRUCTURAL = "NonStructuralSchema";

type Condition = Pick<CustomResourceDefinitionCondition, "type" | "status" | "reason" | "message">;

/** The names of the group that other definitions have. */
interface Taken {
  readonly resources: ReadonlySet<string>;
  readonly kinds: ReadonlySet<string>;
}

export function takenNames(definition: CustomResourceDefinition, all: readonly CustomResourceDefinition[]): Taken {
  const resources = new Set<string>();
  const kinds = new Set<string>();
  for (const { metadata, spec, status } of all) {
    const names = status?.acceptedNames;
    if (metadata.name === definition.metadata.name || spec.group !== definition.spec.group || !names) continue;
    for (const name of [names.plural, names.singular, ...(names.shortNames ?? [])]) if (name) resources.add(name);
    for (const name of [names.kind, names.listKind]) if (name) kinds.add(name);
  }
  return { resources, kinds };
}

/** The names that are the definition's own by now, and what became of the others it wants. */
export function acceptNames(
  { spec, status }: CustomResourceDefinition,
  { resources, kinds }: Taken,
): { readonly names: CustomResourceDefinitionNames; readonly condition: Condition } {
  const wanted = spec.names;
  const has = status?.acceptedNames ?? { plural: "", kind: "" };
  let refused: readonly [reason: string, message: string] | undefined;
  const one = (field: "plural" | "singular" | "kind" | "listKind", taken: ReadonlySet<string>, reason: string) => {
    const name = wanted[field] ?? "";
    if (name === (has[field] ?? "") || !taken.has(name)) return name;
    refused = [reason, inUse(name)];
    return has[field] ?? "";
  };
  const plural = one("plural", resources, "PluralConflict");
  const singular = one("singular", resources, "SingularConflict");
  let { shortNames } = wanted;
  const clashes = (wanted.shortNames ?? []).filter((name) => !has.shortNames?.includes(name) && resources.has(name));
  if (clashes.length > 0) {
    const words = [...new Set(clashes.map(inUse))];
    refused = ["ShortNamesConflict", words.length === 1 ? words[0]! : `[${words.join(", ")}]`];
    ({ shortNames } = has);
  }
  const kind = one("kind", kinds, "KindConflict");
  const listKind = one("listKind", kinds, "ListKindConflict");
  return {
    names: {
      plural,
      ...(singular !== "" && { singular }),
      ...(shortNames !== undefined && { shortNames }),
      kind,
      ...(listKind !== "" && { listKind }),
      ...(wanted.categories !== undefined && { categories: wanted.categories }),
    },
    condition:
      refused === undefined
        ? { type: "NamesAccepted", status: "True", reason: "NoConflicts", message: "no conflicts found" }
        : { type: "NamesAccepted", status: "False", reason: refused[0], message: refused[1] },
  };
}

const inUse = (name: string): string => `${JSON.stringify(name)} is already in use`;

/** Once established, always established: a name that is refused later doesn't take the kind away. */
export function established(definition: CustomResourceDefinition, names: Condition): Condition {
  const before = definition.status?.conditions?.find(({ type }) => type === "Established");
  if (before?.status === "True") return before;
  return names.status === "True"
    ? {
        type: "Established",
        status: "True",
        reason: "InitialNamesAccepted",
        message: "the initial names have been accepted",
      }
    : { type: "Established", status: "False", reason: "NotAccepted", message: "not all names are accepted" };
}

const APPROVED = "api-approved.kubernetes.io";
const SEE = "see https://github.com/kubernetes/enhancements/pull/1111";

/** Groups of the Kubernetes community need its approval; of others nothing is said. */
export function approval({ metadata, spec: { group } }: CustomResourceDefinition): Condition | undefined {
  if (!/(^|\.)(k8s|kubernetes)\.io$/.test(group)) return undefined;
  const annotation = metadata.annotations?.[APPROVED] ?? "";
  const type = "KubernetesAPIApprovalPolicyConformant";
  const head = `protected groups must have approval annotation "${APPROVED}"`;
  if (annotation === "") return { type, status: "False", reason: "MissingAnnotation", message: `${head}, ${SEE}` };
  if (annotation.startsWith("unapproved"))
    return {
      type,
      status: "False",
      reason: "UnapprovedAnnotation",
      message: `not approved: ${JSON.stringify(annotation)}`,
    };
  if (/^[a-zA-Z][a-zA-Z0-9+.-]*:\/\/[^/\s]+/.test(annotation))
    return { type, status: "True", reason: "ApprovedAnnotation", message: `approved in ${annotation}` };
  return {
    type,
    status: "False",
    reason: "InvalidAnnotation",
    message: `${head} with either a URL or a reason starting with "unapproved", ${SEE}`,
  };
}

/** What isn't structural, of a definition from before that was asked; undefined where all is. */
export function nonStructural({ spec }: CustomResourceDefinition): Condition | undefined {
  const type = NON_STRUCTURAL;
  const status = "True" as const;
  const errors: FieldError[] = [];
  if (spec.preserveUnknownFields === true) errors.push(invalid("spec.preserveUnknownFields", true, "must be false"));
  for (const [i, { name, schema }] of spec.versions.entries()) {
    if (schema?.openAPIV3Schema === undefined) continue;
    const odd = notConvertible(schema.openAPIV3Schema);
    if (odd !== undefined) {
      const message = `failed to check validation schema for version ${name}: ${odd}`;
      return { type, status, reason: "StructuralError", message };
    }
    errors.push(...validateStructure(schema.openAPIV3Schema, `spec.versions[${i}].schema.openAPIV3Schema`));
  }
  const texts = [...new Set(errors.map(({ field, message }) => `${field}: ${message}`))];
  if (texts.length === 0) return undefined;
  const message = texts.length === 1 ? texts[0]! : `[${texts.join(", ")}]`;
  return { type, status, reason: "Violations", message };
}

/** What isn't structural in the definitions. To tell takes a third of all that a definition costs, and each is written twice and read again each time. */
export class Structures {
  readonly #known = new Map<
    string,
    { readonly spec: CustomResourceDefinition["spec"]; readonly odd: Condition | undefined }
  >();

  oddityOf(definition: CustomResourceDefinition): Condition | undefined {
    const { metadata, spec } = definition;
    const before = this.#known.get(metadata.name);
    const odd = before !== undefined && jsonEqual(before.spec, spec) ? before.odd : nonStructural(definition);
    this.#known.set(metadata.name, { spec, odd });
    return odd;
  }

  forget(name: string): void {
    this.#known.delete(name);
  }
}

/** Conditions with new ones set: the time is that of the last change of status. The very same where nothing is new. */
export function withConditions(
  before: readonly CustomResourceDefinitionCondition[],
  wanted: readonly (Condition | undefined)[],
  now: string,
): readonly CustomResourceDefinitionCondition[] {
  return wanted.reduce<readonly CustomResourceDefinitionCondition[]>((conditions, condition) => {
    if (condition === undefined) return conditions;
    const { type, status, reason, message } = condition;
    const old = conditions.find((one) => one.type === type);
    if (old !== undefined && old.status === status && old.reason === reason && old.message === message)
      return conditions;
    const lastTransitionTime = old?.status === status ? (old.lastTransitionTime ?? now) : now;
    const set = { type, status, lastTransitionTime, reason, message } as CustomResourceDefinitionCondition;
    return old === undefined ? [...conditions, set] : conditions.map((one) => (one === old ? set : one));
  }, before);
}
