/**
 * Field selectors: `metadata.name=a,status.phase!=Running`. The resource decides which fields can be selected.
 * Upstream: staging/src/k8s.io/apimachinery/pkg/fields/selector.go
 */
import { SelectorError } from "./labels.ts";

export interface FieldRequirement {
  readonly field: string;
  readonly operator: "=" | "!=";
  readonly value: string;
}

/** A conjunction of requirements; without any it matches everything. */
class FieldSelector {
  readonly requirements: readonly FieldRequirement[];

  constructor(requirements: readonly FieldRequirement[]) {
    this.requirements = requirements;
  }

  get isEmpty(): boolean {
    return this.requirements.length === 0;
  }

  /** `valueOf` gives a field's value; a field that isn't there is empty. */
  matches(valueOf: (field: string) => string | undefined): boolean {
    for (const { field, operator, value } of this.requirements)
      if (((valueOf(field) ?? "") === value) !== (operator === "=")) return false;
    return true;
  }

  /** The value that a field must have, where a requirement says so. */
  exactValue(field: string): string | undefined {
    return this.requirements.find((r) => r.field === field && r.operator === "=")?.value;
  }

  toString(): string {
    return this.requirements.map((r) => `${r.field}${r.operator}${escapeValue(r.value)}`).join(",");
  }
}

const ALL_FIELDS = new FieldSelector([]);

export function parseFieldSelector(text: string): FieldSelector {
  const requirements: FieldRequirement[] = [];
  for (const term of splitTerms(text).sort()) {
    if (term === "") continue;
    const match = /^(.*?)(!=|==|=)(.*)$/s.exec(term);
    if (match === null) throw new SelectorError(`invalid selector: '${text}'; can't understand '${term}'`);
    const value = unescapeValue(match[3]!);
    // Nothing of nothing is anything.
    if (match[1] === "" && value === "") continue;
    requirements.push({ field: match[1]!, operator: match[2] === "!=" ? "!=" : "=", value });
  }
  return requirements.length === 0 ? ALL_FIELDS : new FieldSelector(requirements);
}

function escapeValue(value: string): string {
  return value.replaceAll(/[\\,=]/g, "\\$&");
}

/** Cuts at commas, except escaped ones. */
function splitTerms(text: string): string[] {
  const terms: string[] = [];
  let start = 0;
  for (let i = 0; i < text.length; i++) {
    if (text[i] === "\\") i++;
    else if (text[i] === ",") {
      terms.push(text.slice(start, i));
      start = i + 1;
    }
  }
  terms.push(text.slice(start));
  return terms;
}

function unescapeValue(value: string): string {
  if (!/[\\,=]/.test(value)) return value;
  let out = "";
  for (let i = 0; i < value.length; i++) {
    const c = value[i]!;
    if (c === "\\") {
      const next = value[++i];
      if (next === undefined || !"\\,=".includes(next))
        throw new SelectorError(`invalid field selector: invalid escape sequence: \\${next ?? ""}`);
      out += next;
    } else if (c === "=" || c === ",")
      throw new SelectorError(`invalid field selector: unescaped character in value: ${c}`);
    else out += c;
  }
  return out;
}
