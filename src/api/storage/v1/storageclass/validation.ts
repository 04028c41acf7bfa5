/** Upstream: pkg/apis/storage/validation/validation.go */
import { checkRequiredText, checkText, checkWord } from "../../../../machinery/validation/checks.ts";
import {
  type FieldError,
  duplicate,
  invalid,
  required,
  tooLong,
} from "../../../../machinery/validation/field-error.ts";
import { isQualifiedName } from "../../../../machinery/validation/names.ts";
import { immutableField } from "../../../../machinery/validation/object-meta.ts";
import type { StorageClass } from "../../../generated/storage.v1.ts";
import { semanticEqual } from "../../../semantic-equal.ts";

const MAX_PARAMETERS = 512;
const MAX_PARAMETER_BYTES = 256 * 1024;

export function validateStorageClass(storageClass: StorageClass): FieldError[] {
  const { provisioner, parameters = {}, reclaimPolicy, volumeBindingMode } = storageClass;
  const errors = checkRequiredText(provisioner, "provisioner", (text) => isQualifiedName(text.toLowerCase()));
  let bytes = 0;
  if (Object.keys(parameters).length > MAX_PARAMETERS) errors.push(tooLong("parameters", MAX_PARAMETERS));
  for (const [key, value] of Object.entries(parameters)) {
    if (key === "") errors.push(invalid("parameters", key, "field can not be empty."));
    bytes += Buffer.byteLength(key) + Buffer.byteLength(value);
  }
  if (bytes > MAX_PARAMETER_BYTES) errors.push(tooLong("parameters", MAX_PARAMETER_BYTES));
  errors.push(...checkWord(reclaimPolicy, "reclaimPolicy", ["Delete", "Retain"]));
  errors.push(...checkWord(volumeBindingMode, "volumeBindingMode", ["Immediate", "WaitForFirstConsumer"]));
  return [...errors, ...validateTopologies(storageClass.allowedTopologies ?? [])];
}

function validateTopologies(terms: NonNullable<StorageClass["allowedTopologies"]>): FieldError[] {
  return terms.flatMap(({ matchLabelExpressions = [] }, i) => {
    const path = `allowedTopologies[${i}].matchLabelExpressions`;
    const errors: FieldError[] = [];
    const keys = new Set<string>();
    if (terms.slice(0, i).some((before) => semanticEqual(before.matchLabelExpressions, matchLabelExpressions)))
      errors.push(duplicate(path, ""));
    for (const [j, { key, values = [] }] of matchLabelExpressions.entries()) {
      if (values.length === 0) errors.push(required(`${path}[${j}].values`));
      for (const [k, value] of values.entries())
        if (values.indexOf(value) < k) errors.push(duplicate(`${path}[${j}].values[${k}]`, value));
      errors.push(...checkText(key, `${path}[${j}].key`, isQualifiedName));
      if (keys.has(key)) errors.push(duplicate(`${path}[${j}].key`, key));
      keys.add(key);
    }
    return errors;
  });
}

export function validateStorageClassUpdate(object: StorageClass, old: StorageClass): FieldError[] {
  return [
    ...(semanticEqual(object.parameters ?? {}, old.parameters ?? {})
      ? []
      : immutableField(object.parameters, old.parameters, "parameters")),
    ...immutableField(object.provisioner, old.provisioner, "provisioner"),
    ...immutableField(object.reclaimPolicy, old.reclaimPolicy, "reclaimPolicy"),
    ...immutableField(object.volumeBindingMode, old.volumeBindingMode, "volumeBindingMode"),
  ];
}
