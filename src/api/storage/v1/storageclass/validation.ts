/** Upstream: pkg/apis/storage/validation/validation.go */
import { checkOptionalWord, checkText, checkWord } from "../../../../machinery/validation/checks.ts";
import { type FieldError, duplicate, invalid, required } from "../../../../machinery/validation/field-error.ts";
import { isQualifiedName } from "../../../../machinery/validation/names.ts";
import { immutableField } from "../../../../machinery/validation/object-meta.ts";
import type { StorageClass } from "../../../generated/storage.v1.ts";
import { checkProvisioner, validateParameters } from "../validation.ts";
import { semanticEqual } from "../../../semantic-equal.ts";

export function validateStorageClass(storageClass: StorageClass): FieldError[] {
  const { provisioner, parameters = {}, reclaimPolicy, volumeBindingMode } = storageClass;
  const errors = [...checkProvisioner(provisioner, "provisioner"), ...validateParameters(parameters)];
  if (reclaimPolicy) errors.push(...checkWord(reclaimPolicy, "reclaimPolicy", ["Delete", "Retain"]));
  if (volumeBindingMode === undefined) errors.push(required("volumeBindingMode"));
  errors.push(...checkOptionalWord(volumeBindingMode, "volumeBindingMode", ["Immediate", "WaitForFirstConsumer"]));
  return [...errors, ...validateTopologies(storageClass.allowedTopologies ?? [])];
}

function validateTopologies(terms: NonNullable<StorageClass["allowedTopologies"]>): FieldError[] {
  return terms.flatMap(({ matchLabelExpressions = [] }, i) => {
    const path = `allowedTopologies[${i}].matchLabelExpressions`;
    const errors: FieldError[] = [];
    const repeated: FieldError[] = [];
    const keys = new Set<string>();
    const same = terms
      .slice(0, i)
      .filter((before) => semanticEqual(before.matchLabelExpressions ?? [], matchLabelExpressions)).length;
    // Upstream's list of what it has seen starts with as many empty terms as there are terms.
    const repeats = same + (matchLabelExpressions.length === 0 ? terms.length : 0);
    repeated.push(...Array.from({ length: repeats }, () => duplicate(path, "")));
    for (const [j, { key, values = [] }] of matchLabelExpressions.entries()) {
      if (values.length === 0) errors.push(required(`${path}[${j}].values`));
      for (const [k, value] of values.entries())
        if (values.indexOf(value) < k) errors.push(duplicate(`${path}[${j}].values[${k}]`, value));
      errors.push(...checkText(key, `${path}[${j}].key`, isQualifiedName));
      if (keys.has(key)) errors.push(duplicate(`${path}[${j}].key`, key));
      keys.add(key);
    }
    return [...errors, ...repeated];
  });
}

export function validateStorageClassUpdate(object: StorageClass, old: StorageClass): FieldError[] {
  return [
    ...validateStorageClass(object),
    ...(semanticEqual(object.parameters ?? {}, old.parameters ?? {})
      ? []
      : [invalid("parameters", object.parameters ?? null, "field is immutable")]),
    ...immutableField(object.provisioner, old.provisioner, "provisioner"),
    ...immutableField(object.reclaimPolicy, old.reclaimPolicy, "reclaimPolicy"),
    ...immutableField(object.volumeBindingMode, old.volumeBindingMode, "volumeBindingMode"),
  ];
}
