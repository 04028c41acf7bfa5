/**
 * Names, conditions and storage of custom kinds; the kinds themselves are made from these at run time by the API server.
 * Upstream: staging/src/k8s.io/apiextensions-apiserver/pkg/registry/customresourcedefinition
 */
import type { Mutable } from "../../../../base/mutable.ts";
import { ifAbsent, ifEmpty } from "../../../defaulting.ts";
import { defineResource } from "../../../define.ts";
import { knownFormat } from "../../../../machinery/validation/schema/formats.ts";
import type { CustomResourceDefinition } from "../../../generated/apiextensions.v1.ts";
import { definitionFromBeta } from "./beta.ts";
import { internalForm } from "./internal.ts";
import { everySchema } from "./walk.ts";
import { validateDefinition, validateDefinitionUpdate, validateStatus } from "./validation.ts";

export const customResourceDefinitions = defineResource<CustomResourceDefinition>({
  group: "apiextensions.k8s.io",
  version: "v1",
  kind: "CustomResourceDefinition",
  behaviour: {
    defaults(definition) {
      const { spec } = definition;
      if (spec.names.kind) ifEmpty(spec.names, "singular", spec.names.kind.toLowerCase());
      if (spec.names.kind) ifEmpty(spec.names, "listKind", `${spec.names.kind}List`);
      ifAbsent(spec, "conversion", { strategy: "None" });
      const service = spec.conversion!.webhook?.clientConfig?.service;
      if (service !== undefined) ifAbsent(service, "port", 443);
      if (spec.preserveUnknownFields === false) delete spec.preserveUnknownFields;
      if ((definition.status?.storedVersions ?? []).length === 0) addStoredVersion(definition);
    },
    prepareForCreate: addStoredVersion,
    prepareForUpdate(definition) {
      // The status is the stored one by now, shared and frozen.
      definition.status = structuredClone(definition.status ?? noStatus());
      addStoredVersion(definition);
    },
    validate: validateDefinition,
    validateUpdate: validateDefinitionUpdate,
    warnings: (definition, old) => {
      const before = old === undefined ? [] : unknownFormats(old);
      return unknownFormats(definition).filter((text) => !before.includes(text));
    },
  },
  views: { status: { validateUpdate: validateStatus } },
  fromOlder: definitionFromBeta,
});

/** Every version that was ever stored is remembered, so that nobody drops one that objects are still in. */
function addStoredVersion(definition: Mutable<CustomResourceDefinition>): void {
  const version = definition.spec.versions?.find(({ storage }) => storage === true)?.name;
  if (version === undefined) return;
  const status = (definition.status ??= noStatus());
  const stored = (status.storedVersions ??= []);
  if (!stored.includes(version)) stored.push(version);
}

function unknownFormats({ spec }: CustomResourceDefinition): readonly string[] {
  const { top, versions } = internalForm(spec);
  return [top, ...versions].flatMap(({ schema }) =>
    schema?.openAPIV3Schema === undefined
      ? []
      : [...everySchema(schema.openAPIV3Schema)]
          .filter(({ type = "", format }) => format !== undefined && format !== "" && !knownFormat(type, format))
          .map(({ format }) => `unrecognized format ${JSON.stringify(format)}`),
  );
}

const noStatus = () => ({ acceptedNames: { kind: "", plural: "" } });
