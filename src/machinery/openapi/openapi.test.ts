import assert from "node:assert/strict";
import { test } from "node:test";
import { builtinResources } from "../../api/index.ts";
import { allSchemas, kindsOf } from "../../api/schemas.ts";
import type { Resource } from "../resource.ts";
import { documentHash, openApiV2, openApiV3, openApiV3Index, openApiV3NonResource } from "./document.ts";
import type { OpenApiSource } from "./schemas.ts";

const source: OpenApiSource = { schemas: allSchemas(), kinds: kindsOf, version: "v1.36.2" };
const inVersion = (group: string, version: string) =>
  builtinResources.filter((resource) => resource.group === group && resource.version === version);
const crontab = {
  ...inVersion("apps", "v1").find(({ plural }) => plural === "deployments")!,
  group: "stable.example.com",
  kind: "CronTab",
  listKind: "CronTabList",
  plural: "crontabs",
  subresources: {},
} satisfies Resource;

/** Every reference in a document must lead somewhere in it. */
function danglingRefs(document: any): string[] {
  const dangling: string[] = [];
  const walk = (value: any): void => {
    if (typeof value !== "object" || value === null) return;
    if (typeof value.$ref === "string") {
      const target = value.$ref
        .slice(2)
        .split("/")
        .reduce((at: any, step: string) => at?.[step], document);
      if (target === undefined) dangling.push(value.$ref);
    }
    for (const inner of Object.values(value)) walk(inner);
  };
  walk(document);
  return dangling;
}

test("a document of v3 holds its group's paths and every type that they need", () => {
  const document = openApiV3("apps", "v1", inVersion("apps", "v1"), source) as any;
  assert.deepEqual(danglingRefs(document), []);
  const schemas = document.components.schemas;
  assert.deepEqual(schemas["io.k8s.api.apps.v1.DeploymentSpec"].properties.strategy, {
    allOf: [{ $ref: "#/components/schemas/io.k8s.api.apps.v1.DeploymentStrategy" }],
    default: {},
    "x-kubernetes-patch-strategy": "retainKeys",
  });
  assert.deepEqual(schemas["io.k8s.api.apps.v1.Deployment"]["x-kubernetes-group-version-kind"], [
    { group: "apps", version: "v1", kind: "Deployment" },
  ]);
  assert.equal(schemas["io.k8s.api.core.v1.ContainerPort"].properties.protocol.default, "TCP");
  assert.equal("default" in schemas["io.k8s.api.core.v1.PodSpec"].properties.containers, false);
  const patch = document.paths["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"].patch;
  assert.ok(patch.parameters.some((parameter: any) => parameter.name === "fieldValidation"));
  assert.ok("application/strategic-merge-patch+json" in patch.requestBody.content);
});

test("the document of v2 holds everything", () => {
  const document = openApiV2(builtinResources, source) as any;
  assert.deepEqual(danglingRefs(document), []);
  const operations = Object.values<any>(document.paths).flatMap((item) =>
    Object.keys(item).filter((key) => key !== "parameters"),
  );
  assert.ok(operations.length >= 1058);
  assert.equal(document.definitions["io.k8s.apimachinery.pkg.api.resource.Quantity"].type, "string");
});

test("a custom resource is shown as its CRD says, in v2 with less", () => {
  const custom = () => ({
    type: "object",
    properties: {
      spec: {
        type: "object",
        required: ["size"],
        properties: { size: { type: "integer", nullable: true, minimum: 1 } },
      },
    },
  });
  const name = "com.example.stable.v1.CronTab";
  const v3 = openApiV3("stable.example.com", "v1", [crontab], { ...source, custom }) as any;
  assert.deepEqual(danglingRefs(v3), []);
  assert.deepEqual(v3.components.schemas[name].properties.spec, custom().properties.spec);
  assert.equal(v3.components.schemas[name]["x-kubernetes-group-version-kind"][0].kind, "CronTab");
  const item = v3.paths["/apis/stable.example.com/v1/namespaces/{namespace}/crontabs/{name}"];
  assert.equal(item.get.operationId, "readStableExampleComV1NamespacedCronTab");
  assert.equal("application/strategic-merge-patch+json" in item.patch.requestBody.content, false);
  const v2 = openApiV2([crontab], { ...source, custom }) as any;
  assert.deepEqual(v2.definitions[name].properties.spec, { type: "object", properties: { size: { minimum: 1 } } });
});

test("a custom resource that keeps unknown fields names none in v2, and says by which fields it is selected", () => {
  const custom = () => ({ type: "object", "x-kubernetes-preserve-unknown-fields": true });
  const selectable = { ...crontab, selectableFields: { "spec.color": () => "" } };
  const { definitions } = openApiV2([selectable], { ...source, custom }) as any;
  assert.deepEqual(definitions["com.example.stable.v1.CronTab"], {
    type: "object",
    "x-kubernetes-group-version-kind": [{ group: "stable.example.com", version: "v1", kind: "CronTab" }],
    "x-kubernetes-selectable-fields": [{ fieldPath: "spec.color" }],
  });
});

test("descriptions appear where there are some", () => {
  const describe = (name: string, field?: string) =>
    name.endsWith(".DeploymentSpec")
      ? field === "replicas"
        ? "How many."
        : field === undefined
          ? "What is wanted."
          : undefined
      : undefined;
  const document = openApiV3("apps", "v1", inVersion("apps", "v1"), { ...source, describe }) as any;
  const spec = document.components.schemas["io.k8s.api.apps.v1.DeploymentSpec"];
  assert.deepEqual([spec.description, spec.properties.replicas.description], ["What is wanted.", "How many."]);
});

test("the index of v3 leads to documents by their hash", () => {
  const hash = documentHash("{}");
  assert.match(hash, /^[0-9A-F]{128}$/);
  assert.deepEqual(
    openApiV3Index(
      new Map([
        ["apis/apps/v1", hash],
        ["api/v1", "A"],
      ]),
    ),
    {
      paths: {
        "api/v1": { serverRelativeURL: "/openapi/v3/api/v1?hash=A" },
        "apis/apps/v1": { serverRelativeURL: `/openapi/v3/apis/apps/v1?hash=${hash}` },
      },
    },
  );
});

test("what is no resource has documents too", () => {
  const documents = openApiV3NonResource(["apps"], source) as ReadonlyMap<string, any>;
  assert.deepEqual(
    [...documents.keys()],
    [".well-known/openid-configuration", "api", "apis", "apis/apps", "openid/v1/jwks", "version"],
  );
  for (const document of documents.values()) assert.deepEqual(danglingRefs(document), []);
  assert.equal(documents.get("apis/apps").paths["/apis/apps/"].get.operationId, "getAppsAPIGroup");
});
