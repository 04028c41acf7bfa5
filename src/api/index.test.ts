import assert from "node:assert/strict";
import { test } from "node:test";
import { apiVersionOf } from "../machinery/resource.ts";
import rows from "./generated/resources.json" with { type: "json" };
import { builtinResources } from "./index.ts";

test("every resource of the generated table is registered once, with its verbs, scope and subresources", () => {
  const describe = (r: {
    readonly group: string;
    readonly version: string;
    readonly kind: string;
    readonly plural: string;
    readonly scope: string;
    readonly verbs: readonly string[];
    readonly subresources: object;
  }) =>
    `${apiVersionOf(r)} ${r.kind} ${r.plural} ${r.scope} ${r.verbs.join(",")} ${Object.keys(r.subresources).join(",")}`;
  assert.deepEqual(builtinResources.map(describe), rows.map(describe));
  assert.ok(rows.length >= 95);
});

test("every resource has a schema whose fields start as a kind's do", () => {
  for (const resource of builtinResources) {
    assert.ok(resource.schema.properties?.has("metadata"), `${apiVersionOf(resource)} ${resource.kind}`);
    assert.ok(resource.columns.length >= 2, resource.kind);
  }
});

test("reviews, bindings and component statuses are not stored", () => {
  const virtual = builtinResources.filter((resource) => resource.storage.virtual).map((resource) => resource.plural);
  assert.deepEqual(virtual.sort(), [
    "bindings",
    "componentstatuses",
    "localsubjectaccessreviews",
    "selfsubjectaccessreviews",
    "selfsubjectreviews",
    "selfsubjectrulesreviews",
    "subjectaccessreviews",
    "tokenreviews",
  ]);
});

test("a resource served in several versions is stored in one place", () => {
  const prefixes = new Map<string, string>();
  for (const { group, plural, storage } of builtinResources.filter((resource) => resource.storage.virtual !== true)) {
    const before = prefixes.get(`${group}/${plural}`);
    if (before !== undefined) assert.equal(storage.prefix, before);
    prefixes.set(`${group}/${plural}`, storage.prefix);
  }
  assert.equal(prefixes.get("/services"), "services/specs");
  assert.equal(prefixes.get("/nodes"), "minions");
});
