import assert from "node:assert/strict";
import { test } from "node:test";
import { definitionFromBeta } from "./beta.ts";

const stored = (spec: object) => ({
  apiVersion: "apiextensions.k8s.io/v1beta1",
  kind: "CustomResourceDefinition",
  spec,
});
const versionsOf = (spec: object) => definitionFromBeta(stored(spec))["spec"].versions;

test("what a stored definition says once for all versions, each of them has", () => {
  const schema = { openAPIV3Schema: { type: "object" } };
  assert.deepEqual(
    versionsOf({
      version: "v1",
      validation: schema,
      subresources: { status: {} },
      additionalPrinterColumns: [{ name: "Age", type: "date", JSONPath: ".metadata.creationTimestamp" }],
      versions: [
        { name: "v1", served: true, storage: true },
        { name: "v2", served: true, storage: false },
      ],
    }),
    ["v1", "v2"].map((name) => ({
      subresources: { status: {} },
      name,
      served: true,
      storage: name === "v1",
      schema,
      additionalPrinterColumns: [{ name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp" }],
    })),
  );
});

test("a version's own words stand, and a lone version is one that is served and stored", () => {
  const own = { openAPIV3Schema: { type: "string" } };
  assert.deepEqual(versionsOf({ validation: {}, versions: [{ name: "v1", schema: own }] }), [
    { name: "v1", schema: own },
  ]);
  assert.deepEqual(versionsOf({ version: "v1" }), [{ name: "v1", served: true, storage: true }]);
});

test("a webhook that converts is under one roof", () => {
  const clientConfig = { url: "https://x" };
  const { spec } = definitionFromBeta(
    stored({ version: "v1", conversion: { strategy: "Webhook", webhookClientConfig: clientConfig } }),
  );
  assert.deepEqual(spec.conversion, {
    strategy: "Webhook",
    webhook: { clientConfig, conversionReviewVersions: ["v1beta1"] },
  });
  assert.equal(spec.preserveUnknownFields, true);
});
