/** The label and field selectors of a request, as predicates. */
import type { Resource } from "../../machinery/resource.ts";
import { parseFieldSelector } from "../../machinery/selector/fields.ts";
import { parseLabelSelector, SelectorError } from "../../machinery/selector/labels.ts";
import { badRequest } from "../../machinery/status.ts";

export interface Predicate {
  /** The one name that is asked for. */
  readonly name?: string;
  /** The one node that is asked for. */
  readonly nodeName?: string;
  readonly labels?: (labels: Readonly<Record<string, string>>) => boolean;
  readonly fields?: (object: any) => boolean;
}

export function parseSelection(resource: Resource, labelSelector: string, fieldSelector: string): Predicate {
  try {
    return { ...labelsOf(labelSelector), ...fieldsOf(resource, fieldSelector) };
  } catch (error) {
    if (error instanceof SelectorError) throw badRequest(error.message);
    throw error;
  }
}

/** Throws where labels aren't chosen in the words that there are for it. */
export function checkGrammar(labelSelector: string): void {
  try {
    labelsOf(labelSelector);
  } catch (error) {
    if (error instanceof SelectorError) throw badRequest(error.message);
    throw error;
  }
}

function labelsOf(text: string): Pick<Predicate, "labels"> {
  if (text.trim() === "") return {};
  const selector = parseLabelSelector(text);
  return selector.isEmpty ? {} : { labels: (labels) => selector.matches(labels) };
}

function fieldsOf(resource: Resource, text: string): Pick<Predicate, "name" | "nodeName" | "fields"> {
  if (text.trim() === "") return {};
  const selector = parseFieldSelector(text);
  const known = (field: string) =>
    field === "metadata.name" ||
    (field === "metadata.namespace" && resource.scope === "Namespaced") ||
    Object.hasOwn(resource.selectableFields, field);
  for (const { field } of selector.requirements) if (!known(field)) throw badRequest(unknownWords(resource, field));
  const name = selector.exactValue("metadata.name");
  if (name !== undefined && selector.requirements.length === 1) return { name };
  const nodeName = selector.exactValue("spec.nodeName");
  const valueOf = (object: any) => (field: string) =>
    field === "metadata.name"
      ? (object.metadata.name as string)
      : field === "metadata.namespace"
        ? ((object.metadata.namespace ?? "") as string)
        : resource.selectableFields[field]!(object);
  return {
    ...(name !== undefined && { name }),
    ...(nodeName !== undefined && nodeName !== "" && { nodeName }),
    fields: (object) => selector.matches(valueOf(object)),
  };
}

/** Kinds with fields of their own to select by have words of their own for others; the rest share theirs. */
function unknownWords(resource: Resource, field: string): string {
  if (resource.schema.name !== undefined && Object.keys(resource.selectableFields).length === 0)
    return `${JSON.stringify(field)} is not a known field selector: only "metadata.name", "metadata.namespace"`;
  if (resource.kind === "Job") return `field label ${JSON.stringify(field)} not supported for Job`;
  if (resource.kind === "ResourceSlice")
    return `field label not supported for ${resource.group}/${resource.version}, Kind=ResourceSlice: ${field}`;
  return `field label not supported: ${field}`;
}
