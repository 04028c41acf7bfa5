/**
 * Names, versions, columns and paths of a custom kind. The schemas inside have rules of their own.
 * Upstream: staging/src/k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation
 */
import { isTrue } from "../../../../machinery/meta/conditions.ts";
import { checkRequiredText, checkText, checkWord } from "../../../../machinery/validation/checks.ts";
import {
  type FieldError,
  duplicate,
  fieldForbidden,
  invalid,
  required,
  tooMany,
} from "../../../../machinery/validation/field-error.ts";
import { isDns1035Label, isDns1123Subdomain } from "../../../../machinery/validation/names.ts";
import { immutableField } from "../../../../machinery/validation/object-meta.ts";
import { agesOf, NEW_RULES } from "./rules.ts";
import { validateSchemaRules, validateSchemas } from "./structural.ts";
import { semanticEqual } from "../../../semantic-equal.ts";
import { validateClientConfig } from "../../../admissionregistration/v1/validation.ts";
import type {
  CustomResourceDefinition,
  CustomResourceDefinitionNames,
  CustomResourceDefinitionVersion,
} from "../../../generated/apiextensions.v1.ts";

const APPROVED = "api-approved.kubernetes.io";
const APPROVAL_HELP = "see https://github.com/kubernetes/enhancements/pull/1111";

export function validateDefinition(definition: CustomResourceDefinition): FieldError[] {
  const { metadata, spec } = definition;
  const errors: FieldError[] = [];
  if (metadata.name !== `${spec.names.plural}.${spec.group}`)
    errors.push(invalid("metadata.name", metadata.name, 'must be spec.names.plural+"."+spec.group'));
  const { versions = [] } = spec;
  errors.push(
    ...validateSpec(definition),
    ...validateSchemas(versions),
    ...validateSchemaRules(versions, () => NEW_RULES),
  );
  errors.push(...validateStored(definition));
  return [...errors, ...validateApproval(definition)];
}

export function validateDefinitionUpdate(
  definition: CustomResourceDefinition,
  old: CustomResourceDefinition,
): FieldError[] {
  const errors = [...validateSpec(definition), ...validateStored(definition)];
  // A definition from before the rule stays as it is.
  if (validateSchemas(old.spec.versions ?? []).length === 0) errors.push(...validateSchemasUpdate(definition, old));
  const established = isTrue(old.status, "Established");
  if (established === true) {
    errors.push(...immutableField(definition.spec.scope, old.spec.scope, "spec.scope"));
    errors.push(...immutableField(definition.spec.names.kind, old.spec.names.kind, "spec.names.kind"));
  }
  errors.push(...immutableField(definition.spec.group, old.spec.group, "spec.group"));
  errors.push(...immutableField(definition.spec.names.plural, old.spec.names.plural, "spec.names.plural"));
  return errors;
}

function validateSchemasUpdate({ spec }: CustomResourceDefinition, old: CustomResourceDefinition): FieldError[] {
  const { versions = [] } = spec;
  const before = old.spec.versions ?? [];
  const schemaOf = (all: readonly CustomResourceDefinitionVersion[], version: string) =>
    all.find(({ name }) => name === version)?.schema;
  const ages = agesOf(old.spec);
  return [
    ...validateSchemas(versions),
    ...validateSchemaRules(versions, (version) => ({
      ages,
      costIsKnown: semanticEqual(schemaOf(versions, version), schemaOf(before, version)),
    })),
  ];
}

function validateSpec({ spec }: CustomResourceDefinition): FieldError[] {
  const errors: FieldError[] = [];
  if (!spec.group) errors.push(required("spec.group"));
  else {
    const messages = checkText(spec.group, "spec.group", isDns1123Subdomain);
    errors.push(...messages);
    if (messages.length === 0 && !spec.group.includes("."))
      errors.push(invalid("spec.group", spec.group, "should be a domain with at least one dot"));
  }
  errors.push(...checkWord(spec.scope, "spec.scope", ["Cluster", "Namespaced"]));
  if (spec.preserveUnknownFields === true)
    errors.push(
      invalid(
        "spec.preserveUnknownFields",
        true,
        "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead",
      ),
    );
  const versions = spec.versions ?? [];
  for (const [i, version] of versions.entries()) errors.push(...validateVersion(version, `spec.versions[${i}]`));
  if (new Set(versions.map(({ name }) => name)).size !== versions.length)
    errors.push(invalid("spec.versions", versions, "must contain unique version names"));
  if (versions.filter(({ storage }) => storage === true).length !== 1)
    errors.push(invalid("spec.versions", versions, "must have exactly one version marked as storage version"));
  errors.push(...validateNames(spec.names, "spec.names"));
  return [...errors, ...validateConversion(spec)];
}

function validateNames(names: CustomResourceDefinitionNames, path: string): FieldError[] {
  const mixed = (text: string | undefined, field: string) => {
    if (!text) return [required(`${path}.${field}`)];
    return isDns1035Label(text.toLowerCase()).map((message) =>
      invalid(`${path}.${field}`, text, `may have mixed case, but should otherwise match: ${message}`),
    );
  };
  const errors = [
    ...checkRequiredText(names.plural, `${path}.plural`, isDns1035Label),
    ...checkRequiredText(names.singular, `${path}.singular`, isDns1035Label),
    ...mixed(names.kind, "kind"),
    ...mixed(names.listKind, "listKind"),
  ];
  for (const list of ["shortNames", "categories"] as const)
    for (const [i, name] of (names[list] ?? []).entries())
      errors.push(...checkText(name, `${path}.${list}[${i}]`, isDns1035Label));
  if (names.kind && names.kind === names.listKind)
    errors.push(invalid(`${path}.listKind`, names.listKind, "kind and listKind may not be the same"));
  return errors;
}

function validateVersion(version: CustomResourceDefinitionVersion, path: string): FieldError[] {
  const errors = checkText(version.name ?? "", `${path}.name`, isDns1035Label);
  const warning = version.deprecationWarning;
  if (warning !== undefined) {
    const at = `${path}.deprecationWarning`;
    if (version.deprecated !== true) errors.push(invalid(at, warning, "can only be set for deprecated versions"));
    if (warning.length > 256) errors.push(invalid(at, warning, "must be <= 256 characters long"));
    if (warning === "") errors.push(invalid(at, warning, "must not be an empty string"));
  }
  if (version.schema?.openAPIV3Schema === undefined) errors.push(required(`${path}.schema.openAPIV3Schema`));
  const { scale } = version.subresources ?? {};
  if (scale !== undefined) {
    const at = `${path}.subresources.scale`;
    errors.push(...validateScalePath(scale.specReplicasPath, `${at}.specReplicasPath`, [".spec."], ".spec"));
    errors.push(...validateScalePath(scale.statusReplicasPath, `${at}.statusReplicasPath`, [".status."], ".status"));
    if (scale.labelSelectorPath)
      errors.push(
        ...validateScalePath(
          scale.labelSelectorPath,
          `${at}.labelSelectorPath`,
          [".spec.", ".status."],
          "either .spec or .status",
        ),
      );
  }
  for (const [i, column] of (version.additionalPrinterColumns ?? []).entries()) {
    const at = `${path}.additionalPrinterColumns[${i}]`;
    if (!column.name) errors.push(required(`${at}.name`));
    const types = "must be one of boolean,date,integer,number,string";
    if (!column.type) errors.push(required(`${at}.type`, types));
    else if (!["boolean", "date", "integer", "number", "string"].includes(column.type))
      errors.push(invalid(`${at}.type`, column.type, types));
    if (column.format && !COLUMN_FORMATS.includes(column.format))
      errors.push(invalid(`${at}.format`, column.format, `must be one of ${COLUMN_FORMATS.join(",")}`));
    if (!column.jsonPath) errors.push(required(`${at}.JSONPath`));
    else if (!column.jsonPath.startsWith("."))
      errors.push(invalid(`${at}.JSONPath`, column.jsonPath, "must be a simple json path starting with ."));
  }
  const fields = version.selectableFields ?? [];
  if (new Set(fields.map(({ jsonPath }) => jsonPath)).size > 8)
    errors.push(tooMany(`${path}.selectableFields`, fields.length, 8));
  for (const [i, { jsonPath }] of fields.entries()) {
    const at = `${path}.selectableFields[${i}].jsonPath`;
    if (!jsonPath) errors.push(required(at));
    else if (/^\.metadata(\.|$)/.test(jsonPath))
      errors.push(invalid(at, jsonPath, "must not point to fields in metadata"));
    if (fields.slice(0, i).some((before) => before.jsonPath === jsonPath)) errors.push(duplicate(at, jsonPath));
  }
  return errors;
}

const COLUMN_FORMATS: readonly string[] = [
  "byte",
  "date",
  "date-time",
  "double",
  "float",
  "int32",
  "int64",
  "password",
];

function validateScalePath(
  text: string | undefined,
  path: string,
  under: readonly string[],
  words: string,
): FieldError[] {
  if (!text) return [required(path)];
  const errors: FieldError[] = [];
  if (!text.startsWith(".")) errors.push(invalid(path, text, "must be a simple json path starting with ."));
  if (!under.some((prefix) => text.startsWith(prefix)))
    errors.push(invalid(path, text, `should be a json path under ${words}`));
  return errors;
}

function validateConversion({ conversion }: CustomResourceDefinition["spec"]): FieldError[] {
  if (conversion === undefined) return [];
  const path = "spec.conversion";
  const errors = checkWord(conversion.strategy, `${path}.strategy`, ["None", "Webhook"]);
  const { clientConfig, conversionReviewVersions = [] } = conversion.webhook ?? {};
  if (conversion.strategy !== "Webhook") {
    const detail = "should not be set when strategy is not set to Webhook";
    if (clientConfig !== undefined) errors.push(fieldForbidden(`${path}.webhookClientConfig`, detail));
    if (conversionReviewVersions.length > 0) errors.push(fieldForbidden(`${path}.conversionReviewVersions`, detail));
    return errors;
  }
  if (clientConfig === undefined)
    errors.push(required(`${path}.webhookClientConfig`, "required when strategy is set to Webhook"));
  else
    errors.push(
      ...validateClientConfig(
        clientConfig as Parameters<typeof validateClientConfig>[0],
        `${path}.webhookClientConfig`,
      ),
    );
  if (conversionReviewVersions.length === 0) errors.push(required(`${path}.conversionReviewVersions`));
  else if (!conversionReviewVersions.includes("v1") && !conversionReviewVersions.includes("v1beta1"))
    errors.push(
      invalid(`${path}.conversionReviewVersions`, conversionReviewVersions, "must include at least one of v1, v1beta1"),
    );
  return errors;
}

function validateStored({ spec, status }: CustomResourceDefinition): FieldError[] {
  const stored = status?.storedVersions ?? [];
  const path = "status.storedVersions";
  if (stored.length === 0) return [invalid(path, stored, "must have at least one stored version")];
  const errors: FieldError[] = [];
  const current = spec.versions?.find(({ storage }) => storage === true)?.name;
  for (const [i, name] of stored.entries())
    if (!spec.versions?.some((version) => version.name === name))
      errors.push(
        invalid(
          `${path}[${i}]`,
          name,
          `missing from spec.versions; ${name} was previously a storage version, and must remain in spec.versions until a storage migration ensures no data remains persisted in ${name} and removes ${name} from status.storedVersions`,
        ),
      );
  if (current !== undefined && !stored.includes(current))
    errors.push(invalid(path, stored, `must have the storage version ${current}`));
  return errors;
}

function validateApproval({ metadata, spec }: CustomResourceDefinition): FieldError[] {
  if (!/(^|\.)(k8s|kubernetes)\.io$/.test(spec.group ?? "")) return [];
  const path = `metadata.annotations[${APPROVED}]`;
  const text = metadata.annotations?.[APPROVED];
  const words = `protected groups must have approval annotation "${APPROVED}"`;
  if (text === undefined || text === "") return [required(path, `${words}, ${APPROVAL_HELP}`)];
  if (text.startsWith("unapproved") || URL.canParse(text)) return [];
  return [invalid(path, text, `${words} with either a URL or a reason starting with "unapproved", ${APPROVAL_HELP}`)];
}
