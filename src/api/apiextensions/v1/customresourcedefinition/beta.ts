/**
 * The stored form of definitions, which in a genuine server is v1beta1: what all versions have in common is written once.
 * Upstream: staging/src/k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1beta1/conversion.go
 */

type Tree = Readonly<Record<string, any>>;

export function definitionFromBeta(definition: Tree): Tree {
  if (definition["apiVersion"] !== "apiextensions.k8s.io/v1beta1") return definition;
  const { version, validation, subresources, additionalPrinterColumns, versions, conversion, ...spec } = definition[
    "spec"
  ] as Tree;
  const listed: readonly Tree[] =
    (versions ?? []).length > 0 ? versions : [{ name: version, served: true, storage: true }];
  return {
    ...definition,
    apiVersion: "apiextensions.k8s.io/v1",
    spec: {
      ...spec,
      versions: listed.map(({ schema, additionalPrinterColumns: own, ...rest }) => {
        const columns = own ?? additionalPrinterColumns;
        return {
          ...(subresources !== undefined && { subresources }),
          ...rest,
          ...((schema ?? validation) && { schema: schema ?? validation }),
          ...(columns && { additionalPrinterColumns: columns.map(columnFromBeta) }),
        };
      }),
      ...(conversion && { conversion: conversionFromBeta(conversion) }),
      preserveUnknownFields: spec["preserveUnknownFields"] ?? true,
    },
  };
}

function columnFromBeta({ JSONPath: jsonPath, ...rest }: Tree): Tree {
  return { ...rest, jsonPath };
}

function conversionFromBeta({ strategy, webhookClientConfig, conversionReviewVersions }: Tree): Tree {
  if (webhookClientConfig === undefined && conversionReviewVersions === undefined) return { strategy };
  return {
    strategy,
    webhook: {
      ...(webhookClientConfig && { clientConfig: webhookClientConfig }),
      conversionReviewVersions: conversionReviewVersions ?? ["v1beta1"],
    },
  };
}
