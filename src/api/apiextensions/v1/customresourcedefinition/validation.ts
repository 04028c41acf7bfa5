/**
 * A definition as a whole. The names, the versions, their schemas and the conversion have files of their own.
 * Upstream: staging/src/k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation/validation.go
 */
import { isTrue } from "../../../../machinery/meta/conditions.ts";
import { checkPlainWord } from "../../../../machinery/validation/checks.ts";
import { type FieldError, invalid, required } from "../../../../machinery/validation/field-error.ts";
import { isDns1123Subdomain } from "../../../../machinery/validation/names.ts";
import { immutableField } from "../../../../machinery/validation/object-meta.ts";
import type {
  CustomResourceDefinition,
  CustomResourceDefinitionSpec,
  CustomResourceDefinitionVersion,
  JSONSchemaProps,
} from "../../../generated/apiextensions.v1.ts";
import { semanticEqual } from "../../../semantic-equal.ts";
import { type ConversionOptions, conversionOptions, NEW_CONVERSION, validateConversion } from "./conversion.ts";
import { pruned } from "./defaults.ts";
import { type Internal, internalForm, type Parts, shownVersions } from "./internal.ts";
import { checkLabel, validateNames, validateNeededNames } from "./names.ts";
import { agesOf, NEW_RULES } from "./rules.ts";
import { hasUnknownType, type SchemaOptions, validateAtomicSet, validateKeys, validateSchema } from "./schema.ts";
import { notConvertible, validateStructure } from "./structural.ts";
import {
  MOST_FIELDS,
  validateColumn,
  validateDeprecation,
  validateSelectableFields,
  validateSubresources,
} from "./version.ts";
import { everySchema } from "./walk.ts";
import { sameJson } from "../../../../machinery/cel/rules/values.ts";

/** What is asked of a new definition, and what an old one needn't mend. */
interface Options {
  readonly schema: Omit<SchemaOptions, "costIsKnown">;
  readonly requireSchemas: boolean;
  readonly conversion: ConversionOptions;
  /** The version's schema is the one that was there before. */
  costIsKnown(version: string): boolean;
  mayHaveManyFields(version: string): boolean;
}

export const NEW_SCHEMA: Options["schema"] = {
  ages: NEW_RULES.ages,
  requireStructure: true,
  requirePrunedDefaults: true,
  requireKnownTypes: true,
  requireAtomicSets: true,
  requireSoundKeys: true,
};

const NEW: Options = {
  schema: NEW_SCHEMA,
  requireSchemas: true,
  conversion: NEW_CONVERSION,
  costIsKnown: () => false,
  mayHaveManyFields: () => false,
};

export function validateDefinition(definition: CustomResourceDefinition): FieldError[] {
  const { metadata, spec } = definition;
  const errors: FieldError[] = [];
  for (const field of ["generateName", "name"] as const) {
    const said = metadata[field] ?? "";
    if (said !== "" && said !== `${spec.names.plural}.${spec.group}`)
      errors.push(invalid(`metadata.${field}`, said, 'must be spec.names.plural+"."+spec.group'));
  }
  errors.push(...validateSpec(spec, NEW), ...validateStatus(definition), ...validateStored(definition));
  return [...errors, ...validateApproval(definition, undefined), ...validatePreserving(spec, undefined)];
}

export function validateDefinitionUpdate(
  definition: CustomResourceDefinition,
  old: CustomResourceDefinition,
): FieldError[] {
  const { spec } = definition;
  const errors = validateSpec(spec, updateOptions(definition, old));
  if (isTrue(old.status, "Established") === true) {
    errors.push(...immutableField(spec.scope, old.spec.scope, "spec.scope"));
    errors.push(...immutableField(spec.names.kind, old.spec.names.kind, "spec.names.kind"));
  }
  errors.push(...immutableField(spec.group, old.spec.group, "spec.group"));
  errors.push(...immutableField(spec.names.plural, old.spec.names.plural, "spec.names.plural"));
  errors.push(...validateStatus(definition), ...validateStored(definition));
  return [...errors, ...validateApproval(definition, old), ...validatePreserving(spec, old.spec)];
}

export function validateStatus({ status }: CustomResourceDefinition): FieldError[] {
  return validateNames(status?.acceptedNames, "status.acceptedNames");
}

function updateOptions({ spec }: CustomResourceDefinition, old: CustomResourceDefinition): Options {
  const schemas = schemasOf(old.spec);
  const all = schemas.flatMap((schema) => [...everySchema(schema)]);
  const had = (is: (schema: JSONSchemaProps) => boolean) => all.some(is);
  const versionOf = ({ versions = [] }: CustomResourceDefinitionSpec, version: string) =>
    versions.find(({ name }) => name === version);
  return {
    schema: {
      ages: agesOf(old.spec),
      requireStructure: schemas.every(
        (schema) => notConvertible(schema) === undefined && validateStructure(schema, "").length === 0,
      ),
      requirePrunedDefaults: !had((schema) => schema.default !== undefined && isUnpruned(schema)),
      requireKnownTypes: !had(hasUnknownType),
      requireAtomicSets: !had((schema) => validateAtomicSet(schema, "").length > 0),
      requireSoundKeys: !had((schema) => validateKeys(schema, "").length > 0),
    },
    requireSchemas: old.spec.versions?.every(({ schema }) => schema?.openAPIV3Schema !== undefined) ?? true,
    conversion: conversionOptions(old),
    costIsKnown: (version) => semanticEqual(versionOf(spec, version)?.schema, versionOf(old.spec, version)?.schema),
    mayHaveManyFields(version) {
      const before = versionOf(old.spec, version)?.selectableFields ?? [];
      return before.length > MOST_FIELDS && semanticEqual(before, versionOf(spec, version)?.selectableFields);
    },
  };
}

const schemasOf = ({ versions = [] }: CustomResourceDefinitionSpec): readonly JSONSchemaProps[] =>
  versions.flatMap(({ schema }) => schema?.openAPIV3Schema ?? []);
const isUnpruned = (schema: JSONSchemaProps): boolean => !sameJson(pruned(schema, schema.default), schema.default);

function validateSpec(spec: CustomResourceDefinitionSpec, given: Options): FieldError[] {
  const internal = internalForm(spec);
  const { top, versions } = internal;
  const all = schemasOf(spec).flatMap((schema) => [...everySchema(schema)]);
  const preserving = spec.preserveUnknownFields === true;
  const errors = [
    ...validateGroup(spec.group),
    ...checkPlainWord(spec.scope, "spec.scope", ["Cluster", "Namespaced"]),
    ...validateSchemasAreThere(internal, preserving, given),
  ];
  const hasDefaults = all.some((schema) => schema.default !== undefined);
  if (hasDefaults && preserving)
    errors.push(invalid("spec.preserveUnknownFields", true, "must be false in order to use defaults in the schema"));
  const requireStructure = given.schema.requireStructure || !preserving || hasDefaults || all.some(hasExtension);
  const options = { ...given, schema: { ...given.schema, requireStructure } };
  for (const [i, version] of versions.entries()) {
    const path = `spec.versions[${i}]`;
    errors.push(...checkLabel(version.name ?? "", `${path}.name`));
    errors.push(...validateDeprecation(version.deprecated === true, version.deprecationWarning, path));
    const { subresources } = versions.some((one) => one.subresources !== undefined) ? version : top;
    errors.push(...validateParts(version, path, subresources?.status !== undefined, options, version.name));
  }
  errors.push(...validateVersionNames(versions));
  const { name: first } = versions[0] ?? {};
  if (first) errors.push(...checkLabel(first, "spec.version"));
  errors.push(...validateNeededNames(spec.names, "spec.names"), ...validateNames(spec.names, "spec.names"));
  const anyStatus = [top, ...versions].some(({ subresources }) => subresources?.status !== undefined);
  errors.push(...validateTop(top, anyStatus, options, first ?? ""));
  const { conversion } = spec;
  if (conversion === undefined) return errors;
  if (conversion.strategy !== "None" && preserving)
    errors.push(
      invalid("spec.conversion.strategy", conversion.strategy, "must be None if spec.preserveUnknownFields is true"),
    );
  return [...errors, ...validateConversion(conversion, "spec.conversion", given.conversion)];
}

function validateGroup(group: string | undefined): FieldError[] {
  if (!group) return [required("spec.group")];
  const wrong = isDns1123Subdomain(group);
  if (wrong.length > 0) return [invalid("spec.group", group, wrong.join(","))];
  return group.includes(".") ? [] : [invalid("spec.group", group, "should be a domain with at least one dot")];
}

function validateSchemasAreThere(
  { top, versions }: Internal,
  preserving: boolean,
  { requireSchemas }: Options,
): FieldError[] {
  if (top.schema?.openAPIV3Schema !== undefined) return [];
  return versions.flatMap(({ schema, served }, i) => {
    const path = `spec.versions[${i}].schema.openAPIV3Schema`;
    if (schema?.openAPIV3Schema !== undefined) return [];
    if (requireSchemas) return [required(path)];
    return !preserving && served ? [required(path, "because otherwise all fields are pruned")] : [];
  });
}

const EXTENSIONS = [
  "x-kubernetes-embedded-resource",
  "x-kubernetes-preserve-unknown-fields",
  "x-kubernetes-int-or-string",
  "x-kubernetes-list-map-keys",
  "x-kubernetes-list-type",
  "x-kubernetes-validations",
] as const;
const hasExtension = (schema: JSONSchemaProps): boolean => EXTENSIONS.some((name) => schema[name] !== undefined);

function validateVersionNames(versions: readonly CustomResourceDefinitionVersion[]): FieldError[] {
  const errors: FieldError[] = [];
  const refuse = (words: string) =>
    // Of none at all Go shows its nothing.
    errors.push(invalid("spec.versions", versions.length === 0 ? null : shownVersions(versions), words));
  if (new Set(versions.map(({ name }) => name)).size !== versions.length) refuse("must contain unique version names");
  if (versions.filter(({ storage }) => storage === true).length !== 1)
    refuse("must have exactly one version marked as storage version");
  return errors;
}

function validateParts(
  { schema, subresources, additionalPrinterColumns, selectableFields = [] }: Parts,
  path: string,
  hasStatus: boolean,
  options: Options,
  version: string,
): FieldError[] {
  const errors: FieldError[] = [];
  const costIsKnown = options.costIsKnown(version);
  if (schema !== undefined)
    errors.push(...validateSchema(schema, `${path}.schema`, hasStatus, { ...options.schema, costIsKnown }));
  if (subresources !== undefined) errors.push(...validateSubresources(subresources, `${path}.subresources`));
  for (const [i, column] of (additionalPrinterColumns ?? []).entries())
    errors.push(...validateColumn(column, `${path}.additionalPrinterColumns[${i}]`));
  if (selectableFields.length === 0) return errors;
  const at = `${path}.selectableFields`;
  const structure = schema?.openAPIV3Schema;
  if (structure === undefined)
    return [...errors, invalid(at, "", "may only be set when `version.schema.openAPIV3Schema` is not included")];
  return [...errors, ...validateFields(selectableFields, structure, path, options.mayHaveManyFields(version))];
}

function validateFields(
  fields: NonNullable<Parts["selectableFields"]>,
  schema: JSONSchemaProps,
  path: string,
  mayBeMany: boolean,
): FieldError[] {
  const odd = notConvertible(schema);
  if (odd !== undefined)
    return [
      invalid(`${path}.schema.openAPIV3Schema`, "", odd),
      // Upstream goes on without a structure: only what needs none is told, and all else fails badly.
      ...fields.flatMap(({ jsonPath }, i) =>
        /^[.[]/.test(jsonPath ?? "")
          ? []
          : validateSelectableFields([{ jsonPath }], {}, `${path}.selectableFields`, mayBeMany).map((error) => ({
              ...error,
              field: error.field.replace("[0]", `[${i}]`),
            })),
      ),
    ];
  return validateSelectableFields(fields, schema, `${path}.selectableFields`, mayBeMany);
}

/** What all versions have alike. */
function validateTop(
  { schema, subresources, additionalPrinterColumns, selectableFields = [] }: Parts,
  hasStatus: boolean,
  options: Options,
  version: string,
): FieldError[] {
  const errors: FieldError[] = [];
  const costIsKnown = options.costIsKnown(version);
  if (schema !== undefined)
    errors.push(...validateSchema(schema, "spec.validation", hasStatus, { ...options.schema, costIsKnown }));
  if (subresources !== undefined) errors.push(...validateSubresources(subresources, "spec.subresources"));
  for (const [i, column] of (additionalPrinterColumns ?? []).entries())
    errors.push(...validateColumn(column, `spec.additionalPrinterColumns[${i}]`));
  if (selectableFields.length === 0) return errors;
  if (schema === undefined)
    return [...errors, invalid("spec.selectableFields", "", "may only be set when validations.schema is included")];
  return [
    ...errors,
    ...validateFields(selectableFields, schema.openAPIV3Schema ?? {}, "spec", options.mayHaveManyFields(version)),
  ];
}

function validateStored({ spec, status }: CustomResourceDefinition): FieldError[] {
  const stored = status?.storedVersions ?? [];
  const path = "status.storedVersions";
  if (stored.length === 0) return [invalid(path, null, "must have at least one stored version")];
  const { versions = [] } = spec;
  return [
    ...versions
      // Upstream forgets a version once it has seen it.
      .filter(({ name, storage }, i) => {
        const isSeen = versions.findIndex((one) => one.name === name) < i;
        return storage === true && (isSeen || !stored.includes(name));
      })
      .map(({ name }) => invalid(path, stored, `must have the storage version ${name}`)),
    ...stored.flatMap((name, i) =>
      versions.some((version) => version.name === name) || stored.includes(name, i + 1)
        ? []
        : [
            invalid(
              `${path}[${i}]`,
              name,
              `missing from spec.versions; ${name} was previously a storage version, and must remain in spec.versions until a storage migration ensures no data remains persisted in ${name} and removes ${name} from status.storedVersions`,
            ),
          ],
    ),
  ];
}

const APPROVED = "api-approved.kubernetes.io";
const APPROVAL_HELP = "see https://github.com/kubernetes/enhancements/pull/1111";

/** Whether a definition of a group of the community says who approved it. */
function approvalOf({ metadata }: CustomResourceDefinition): "missing" | "bypassed" | "approved" | "invalid" {
  const text = metadata.annotations?.[APPROVED] ?? "";
  if (text === "") return "missing";
  if (text.startsWith("unapproved")) return "bypassed";
  return /^[a-zA-Z][a-zA-Z0-9+.-]*:\/\/[^/\s?#]+/.test(text) ? "approved" : "invalid";
}

function validateApproval(
  definition: CustomResourceDefinition,
  old: CustomResourceDefinition | undefined,
): FieldError[] {
  if (!/(^|\.)(k8s|kubernetes)\.io$/.test(definition.spec.group ?? "")) return [];
  const approval = approvalOf(definition);
  if (old !== undefined && approvalOf(old) === approval) return [];
  const path = `metadata.annotations[${APPROVED}]`;
  const words = `protected groups must have approval annotation "${APPROVED}"`;
  if (approval === "missing") return [required(path, `${words}, ${APPROVAL_HELP}`)];
  if (approval !== "invalid") return [];
  const detail = `${words} with either a URL or a reason starting with "unapproved", ${APPROVAL_HELP}`;
  return [invalid(path, definition.metadata.annotations?.[APPROVED], detail)];
}

function validatePreserving(
  { preserveUnknownFields }: CustomResourceDefinitionSpec,
  old: CustomResourceDefinitionSpec | undefined,
): FieldError[] {
  if (preserveUnknownFields !== true || old?.preserveUnknownFields === true) return [];
  const detail =
    "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead";
  return [invalid("spec.preserveUnknownFields", true, detail)];
}
