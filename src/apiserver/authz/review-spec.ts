/** An authorization question in the form of a SubjectAccessReview: for webhooks, and for the expressions that select among them. */
import { parseFieldSelector } from "../../machinery/selector/fields.ts";
import type { LabelOperator } from "../../machinery/selector/labels.ts";
import { parseLabelSelector, SelectorError } from "../../machinery/selector/labels.ts";
import type { Attributes } from "./authorizer.ts";

export interface SelectorRequirement {
  readonly key: string;
  readonly operator: "In" | "NotIn" | "Exists" | "DoesNotExist";
  readonly values?: readonly string[];
}

export interface ReviewSpec {
  readonly resourceAttributes?: {
    readonly namespace?: string;
    readonly verb?: string;
    readonly group?: string;
    readonly version?: string;
    readonly resource?: string;
    readonly subresource?: string;
    readonly name?: string;
    readonly fieldSelector?: { readonly requirements: readonly SelectorRequirement[] };
    readonly labelSelector?: { readonly requirements: readonly SelectorRequirement[] };
  };
  readonly nonResourceAttributes?: { readonly path?: string; readonly verb?: string };
  readonly user?: string;
  readonly groups?: readonly string[];
  readonly extra?: Readonly<Record<string, readonly string[]>>;
  readonly uid?: string;
}

/** Empty fields are left out, as Go leaves them. */
export function reviewSpec(attributes: Attributes): ReviewSpec {
  const { user, verb, path, resourceRequest } = attributes;
  const { namespace, group, version, resource, subresource, name } = attributes;
  const fields = fieldRequirements(attributes.fieldSelector ?? "");
  const labels = labelRequirements(attributes.labelSelector ?? "");
  return {
    ...(resourceRequest
      ? {
          resourceAttributes: {
            ...filled({ namespace, verb, group, version, resource, subresource, name }),
            ...(fields.length > 0 && { fieldSelector: { requirements: fields } }),
            ...(labels.length > 0 && { labelSelector: { requirements: labels } }),
          },
        }
      : { nonResourceAttributes: filled({ path, verb }) }),
    ...filled({ user: user.name }),
    ...(user.groups.length > 0 && { groups: user.groups }),
    ...(user.extra !== undefined && Object.keys(user.extra).length > 0 && { extra: user.extra }),
    ...filled({ uid: user.uid ?? "" }),
  };
}

function filled<K extends string>(fields: Readonly<Record<K, string>>): Partial<Record<K, string>> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== "")) as Partial<Record<K, string>>;
}

/** A selector that can't be read asks for everything. */
function fieldRequirements(text: string): readonly SelectorRequirement[] {
  if (text === "") return [];
  const parsed = readable(() => parseFieldSelector(text).requirements) ?? [];
  return parsed.map(({ field, operator, value }) => ({
    key: field,
    operator: operator === "=" ? "In" : "NotIn",
    values: [value],
  }));
}

const OPERATORS: Partial<Record<LabelOperator, SelectorRequirement["operator"]>> = {
  "=": "In",
  "==": "In",
  in: "In",
  "!=": "NotIn",
  notin: "NotIn",
  exists: "Exists",
  "!": "DoesNotExist",
};

function labelRequirements(text: string): readonly SelectorRequirement[] {
  if (text === "") return [];
  return (readable(() => parseLabelSelector(text).requirements) ?? []).flatMap(({ key, operator, values }) => {
    const known = OPERATORS[operator];
    return known === undefined ? [] : [{ key, operator: known, ...(values.length > 0 && { values }) }];
  });
}

function readable<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof SelectorError) return undefined;
    throw error;
  }
}
