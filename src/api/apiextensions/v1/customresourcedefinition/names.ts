/** The names of a kind. Upstream: pkg/apis/apiextensions/validation/validation.go, ValidateCustomResourceDefinitionNames */
import { type FieldError, invalid, required } from "../../../../machinery/validation/field-error.ts";
import { isDns1035Label } from "../../../../machinery/validation/names.ts";
import type { CustomResourceDefinitionNames } from "../../../generated/apiextensions.v1.ts";

const NEEDED = ["plural", "singular", "kind", "listKind"] as const;

export function validateNeededNames(names: CustomResourceDefinitionNames, path: string): FieldError[] {
  return NEEDED.flatMap((name) => (names[name] ? [] : [required(`${path}.${name}`)]));
}

export function validateNames(names: CustomResourceDefinitionNames | undefined, path: string): FieldError[] {
  if (names === undefined) return [];
  const { plural, singular, kind, listKind, shortNames = [], categories = [] } = names;
  const label = (text: string | undefined, field: string) => (text ? checkLabel(text, `${path}.${field}`) : []);
  const mixed = (text: string | undefined, field: string) => {
    if (!text) return [];
    const wrong = isDns1035Label(text.toLowerCase());
    if (wrong.length === 0) return [];
    const words = `may have mixed case, but should otherwise match: ${wrong.join(",")}`;
    return [invalid(`${path}.${field}`, text, words)];
  };
  return [
    ...label(plural, "plural"),
    ...label(singular, "singular"),
    ...mixed(kind, "kind"),
    ...mixed(listKind, "listKind"),
    ...shortNames.flatMap((name, i) => checkLabel(name, `${path}.shortNames[${i}]`)),
    ...(kind && kind === listKind
      ? [invalid(`${path}.listKind`, listKind, "kind and listKind may not be the same")]
      : []),
    ...categories.flatMap((name, i) => checkLabel(name, `${path}.categories[${i}]`)),
  ];
}

export function checkLabel(text: string, path: string): FieldError[] {
  const wrong = isDns1035Label(text);
  return wrong.length === 0 ? [] : [invalid(path, text, wrong.join(","))];
}
