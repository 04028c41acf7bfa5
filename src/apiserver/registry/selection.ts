/** Label and field selectors of a request, as predicates. */
import type { Resource } from "../../machinery/resource.ts";
import { badRequest } from "../../machinery/status.ts";

export interface Predicate {
  /** The one name that is asked for. */
  readonly name?: string;
  readonly labels?: (labels: Readonly<Record<string, string>>) => boolean;
  readonly fields?: (object: any) => boolean;
}

export function parseSelection(resource: Resource, labelSelector: string, fieldSelector: string): Predicate {
  const { name, fields } = parseFields(resource, fieldSelector);
  const labels = parseLabels(labelSelector);
  return { ...(name !== undefined && { name }), ...(labels && { labels }), ...(fields && { fields }) };
}

type LabelTest = (labels: Readonly<Record<string, string>>) => boolean;

export function parseLabels(text: string): LabelTest | undefined {
  if (text.trim() === "") return undefined;
  const tests: LabelTest[] = [];
  for (const part of text.split(/,(?![^(]*\))/).map((p) => p.trim())) {
    const set = /^(\S+)\s+(in|notin)\s+\(([^)]*)\)$/.exec(part);
    if (set !== null) {
      const values = new Set(set[3]!.split(",").map((value) => value.trim()));
      const key = set[1]!;
      const isIn = set[2] === "in";
      tests.push((labels) => (labels[key] !== undefined && values.has(labels[key])) === isIn);
      continue;
    }
    const pair = /^([^=!\s]+)\s*(==|=|!=)\s*(\S*)$/.exec(part);
    if (pair !== null) {
      const [, key, operator, value] = pair as unknown as [string, string, string, string];
      tests.push((labels) => (labels[key] === value) === (operator !== "!="));
      continue;
    }
    const absent = part.startsWith("!");
    const key = absent ? part.slice(1).trim() : part;
    if (!/^[A-Za-z0-9][-A-Za-z0-9_./]*$/.test(key))
      throw badRequest(`unable to parse requirement: found '${part}', expected: identifier`);
    tests.push((labels) => (labels[key] !== undefined) !== absent);
  }
  return (labels) => tests.every((test) => test(labels));
}

function parseFields(resource: Resource, text: string): { name?: string; fields?: (object: any) => boolean } {
  if (text.trim() === "") return {};
  let name: string | undefined;
  const tests: ((object: any) => boolean)[] = [];
  for (const part of text.split(/(?<!\\),/)) {
    if (part === "") continue;
    const match = /^(.*?)(==|!=|=)(.*)$/.exec(part);
    if (match === null) throw badRequest(`invalid selector: '${text}'; can't understand '${part}'`);
    const [, field, operator, raw] = match as unknown as [string, string, string, string];
    const value = raw.replaceAll(/\\([\\,=])/g, "$1");
    const wanted = operator !== "!=";
    if (field === "metadata.name") {
      if (wanted && name === undefined) name = value;
      else tests.push((object) => (object.metadata.name === value) === wanted);
    } else if (field === "metadata.namespace") {
      tests.push((object) => ((object.metadata.namespace ?? "") === value) === wanted);
    } else {
      const read = resource.selectableFields[field];
      if (read === undefined) throw badRequest(`field label not supported: ${field}`);
      tests.push((object) => (read(object) === value) === wanted);
    }
  }
  return {
    ...(name !== undefined && { name }),
    ...(tests.length > 0 && { fields: (object: any) => tests.every((test) => test(object)) }),
  };
}
