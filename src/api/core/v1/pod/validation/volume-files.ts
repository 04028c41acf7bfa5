/**
 * Files that volumes are made of: keys of secrets and config maps, facts about the pod.
 * Upstream: pkg/apis/core/validation/validation.go (validateKeyToPath, validateDownwardAPIVolumeFile)
 */
import { checkRequiredText } from "../../../../../machinery/validation/checks.ts";
import { type FieldError, invalid, required } from "../../../../../machinery/validation/field-error.ts";
import type { DownwardAPIVolumeFile, KeyToPath } from "../../../../generated/core.v1.ts";
import { validateFieldRef, validateResourceFieldRef, VOLUME_FIELDS } from "./downward-api.ts";
import { isNonReservedPath } from "./volume-sources.ts";

export function checkMode(mode: number | undefined, path: string): FieldError[] {
  if (mode === undefined || (mode >= 0 && mode <= 0o777)) return [];
  return [invalid(path, mode, "must be a number between 0 and 0777 (octal), both inclusive")];
}

export function validateKeyToPath({ key, path: file, mode }: KeyToPath, path: string): FieldError[] {
  return [
    ...(key ? [] : [required(`${path}.key`)]),
    ...checkRequiredText(file, `${path}.path`, isNonReservedPath),
    ...checkMode(mode, `${path}.mode`),
  ];
}

export function validateDownwardFile(file: DownwardAPIVolumeFile, path: string): FieldError[] {
  const errors = checkRequiredText(file.path, `${path}.path`, isNonReservedPath);
  if (file.fieldRef !== undefined) {
    errors.push(...validateFieldRef(file.fieldRef, `${path}.fieldRef`, VOLUME_FIELDS));
    if (file.resourceFieldRef !== undefined)
      errors.push(invalid(path, "resource", "fieldRef and resourceFieldRef can not be specified simultaneously"));
  } else if (file.resourceFieldRef !== undefined)
    errors.push(...validateResourceFieldRef(file.resourceFieldRef, `${path}.resourceFieldRef`, true));
  else errors.push(required(path, "one of fieldRef and resourceFieldRef is required"));
  return [...errors, ...checkMode(file.mode, `${path}.mode`)];
}
