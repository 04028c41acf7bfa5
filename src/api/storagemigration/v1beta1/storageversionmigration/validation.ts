/** Upstream: pkg/apis/storagemigration/validation/validation.go */
import { isTrue } from "../../../../machinery/meta/conditions.ts";
import { validateConditions } from "../../../../machinery/validation/conditions.ts";
import { type FieldError, invalid, required } from "../../../../machinery/validation/field-error.ts";
import { isDns1035Label, isDns1123Subdomain } from "../../../../machinery/validation/names.ts";
import type { StorageVersionMigration } from "../../../generated/storagemigration.v1beta1.ts";
import { internalValue } from "../../../internal-value.ts";
import { semanticEqual } from "../../../semantic-equal.ts";

export function validateMigration({ spec }: StorageVersionMigration): FieldError[] {
  const { group = "", resource = "" } = spec?.resource ?? {};
  const errors: FieldError[] = [];
  const check = (field: string, value: string, problems: readonly string[]) => {
    if (problems.length > 0) errors.push(invalid(`spec.resource.${field}`, value, problems.join(",")));
  };
  if (resource === "") errors.push(required("spec.resource.resource", "resource is required to be set"));
  else check("resource", resource, isDns1035Label(resource));
  if (group !== "") check("group", group, isDns1123Subdomain(group));
  return errors;
}

export function validateMigrationUpdate(object: StorageVersionMigration, old: StorageVersionMigration): FieldError[] {
  const errors = validateMigration(object);
  if (!semanticEqual(object.spec, old.spec)) {
    const shown = internalValue(object.spec, "io.k8s.api.storagemigration.v1beta1.StorageVersionMigrationSpec");
    errors.push(invalid("spec", shown, "field is immutable"));
  }
  return errors;
}

export function validateMigrationStatus(
  { status }: StorageVersionMigration,
  { status: before }: StorageVersionMigration,
): FieldError[] {
  const errors: FieldError[] = [];
  const path = "status.resourceVersion";
  const version = status?.resourceVersion ?? "";
  if (version !== "" && !/^[1-9][0-9]*$/.test(version)) errors.push(invalid(path, version, malformed(version)));
  errors.push(...validateConditions(status?.conditions, "status.conditions"));
  if (before?.resourceVersion && before.resourceVersion !== version)
    errors.push(invalid(path, version, "field is immutable"));
  const clash = (words: string) => errors.push(invalid("status.conditions", status?.conditions ?? null, words));
  const [succeeded, failed] = [isTrue(status, "Succeeded"), isTrue(status, "Failed")];
  if (succeeded && failed) clash("Both success and failed conditions cannot be true at the same time");
  if (isTrue(before, "Succeeded") && !succeeded) clash("Success condition cannot be set to false once it is true");
  if (isTrue(before, "Failed") && !failed) clash("Failed condition cannot be set to false once it is true");
  return errors;
}

const malformed = (version: string): string => `resource version is not well formed: ${version}`;
