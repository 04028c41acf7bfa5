import assert from "node:assert/strict";
import { test } from "node:test";
import { allSchemas, kindsOf, schemaOf } from "./schemas.ts";

test("a field brings its own facts and its type's fields", () => {
  const pod = schemaOf("io.k8s.api.core.v1.Pod");
  const spec = pod.properties!.get("spec")!;
  assert.equal(spec.name, "io.k8s.api.core.v1.PodSpec");
  assert.deepEqual(spec.default, {});
  assert.deepEqual(spec.proto, { number: 2, type: "message" });
  const containers = spec.properties!.get("containers")!;
  assert.deepEqual([containers.listType, containers.listMapKeys, containers.patchMergeKey], ["map", ["name"], "name"]);
  assert.equal(containers.items!.properties!.get("name")!.default, "");
  assert.deepEqual(spec.properties!.get("volumes")!.patchStrategy, ["merge", "retainKeys"]);
  assert.equal(kindsOf("io.k8s.api.core.v1.Pod")[0], "/v1/Pod");
});

test("types that contain themselves are circles of the same maps", () => {
  const schema = schemaOf("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps");
  assert.equal(schema.properties!.get("not")!.properties, schema.properties);
  assert.equal(schema.properties!.get("items")!.items!.properties, schema.properties);
});

test("fields of embedded structs know the messages around them", () => {
  const probe = schemaOf("io.k8s.api.core.v1.Probe").properties!;
  assert.deepEqual(probe.get("exec")!.proto, { number: 1, type: "message", within: [1] });
  assert.deepEqual(probe.get("periodSeconds")!.proto, { number: 4, type: "int32" });
});

test("every field that protobuf carries has a number", () => {
  const missing: string[] = [];
  for (const [name, schema] of allSchemas())
    for (const [field, { proto }] of schema.properties!)
      if (proto === undefined && field !== "kind" && field !== "apiVersion" && !name.endsWith(".version.Info"))
        missing.push(`${name}.${field}`);
  assert.deepEqual(missing, []);
});
