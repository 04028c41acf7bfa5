import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { schemaOf } from "../../api/schemas.ts";
import { deepFreeze } from "../../base/mutable.ts";
import type { JsonObject } from "./json-value.ts";
import { applyStrategicMergePatch } from "./strategic.ts";

const DEPLOYMENT = schemaOf("io.k8s.api.apps.v1.Deployment");
const POD_SPEC = schemaOf("io.k8s.api.core.v1.PodSpec");
const META = schemaOf("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta");

const named = (...names: readonly string[]) => names.map((name) => ({ name }));
const CASES: readonly [name: string, schema: typeof META, live: JsonObject, patch: JsonObject, expected: unknown][] = [
  [
    "an item of a merge list is deleted by its key",
    POD_SPEC,
    { containers: [{ name: "web", ports: [{ containerPort: 80 }, { containerPort: 81 }] }] },
    { containers: [{ name: "web", ports: [{ $patch: "delete", containerPort: 80 }] }] },
    { containers: [{ name: "web", ports: [{ containerPort: 81 }] }] },
  ],
  [
    "$retainKeys clears what is not listed",
    DEPLOYMENT,
    { spec: { strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: 1 } } } },
    { spec: { strategy: { $retainKeys: ["type"], type: "Recreate" } } },
    { spec: { strategy: { type: "Recreate" } } },
  ],
  [
    "a volume changes its source",
    POD_SPEC,
    { volumes: [{ name: "v", hostPath: { path: "/x" } }] },
    { volumes: [{ name: "v", $retainKeys: ["name", "emptyDir"], emptyDir: {} }] },
    { volumes: [{ name: "v", emptyDir: {} }] },
  ],
  [
    "$deleteFromPrimitiveList removes scalars",
    META,
    { finalizers: ["a", "b", "c"] },
    { "$deleteFromPrimitiveList/finalizers": ["b"] },
    { finalizers: ["a", "c"] },
  ],
  [
    "$patch: replace in a list drops the live items",
    POD_SPEC,
    {
      containers: [
        {
          name: "c",
          env: [
            { name: "A", value: "0" },
            { name: "B", value: "0" },
          ],
        },
      ],
    },
    { containers: [{ name: "c", env: [{ $patch: "replace" }, { name: "A", value: "1" }] }] },
    { containers: [{ name: "c", env: [{ name: "A", value: "1" }] }] },
  ],
  [
    "$setElementOrder alone reorders",
    POD_SPEC,
    { containers: named("a", "b") },
    { "$setElementOrder/containers": named("b", "a") },
    { containers: named("b", "a") },
  ],
  [
    "live-only items are interleaved, and unknown ones come before the rest of them",
    POD_SPEC,
    { containers: named("a", "b", "c", "d") },
    { containers: [{ name: "c", image: "i" }, { name: "x" }], "$setElementOrder/containers": named("c", "x") },
    { containers: [{ name: "a" }, { name: "b" }, { name: "c", image: "i" }, { name: "x" }, { name: "d" }] },
  ],
  [
    "scalars of a merge list are united",
    META,
    { finalizers: ["a", "b"] },
    { finalizers: ["b", "c"] },
    { finalizers: ["a", "b", "c"] },
  ],
  [
    "lists without a merge strategy are replaced",
    POD_SPEC,
    { tolerations: [{ key: "a" }] },
    { tolerations: [{ key: "b" }] },
    { tolerations: [{ key: "b" }] },
  ],
  [
    "$patch: replace in a map takes the patch's map",
    META,
    { labels: { a: "1", b: "2" } },
    { labels: { $patch: "replace", c: "3" } },
    { labels: { c: "3" } },
  ],
  [
    "$patch: delete leaves an empty map",
    META,
    { labels: { a: "1" } },
    { labels: { $patch: "delete" } },
    { labels: {} },
  ],
  ["null deletes a member", META, { labels: { a: "1", b: "2" } }, { labels: { a: null } }, { labels: { b: "2" } }],
  [
    "new values lose their nulls and directives",
    POD_SPEC,
    {},
    {
      containers: [
        { name: "a", image: null, $retainKeys: ["name"] },
        { name: "b", $patch: "delete" },
      ],
    },
    { containers: [{ name: "a" }] },
  ],
];

for (const [name, schema, live, patch, expected] of CASES) {
  test(name, () => assert.deepEqual(applyStrategicMergePatch(deepFreeze(live), deepFreeze(patch), schema), expected));
}

const FAILURES: readonly [schema: typeof META, live: JsonObject, patch: unknown, code: number, words: string][] = [
  [
    POD_SPEC,
    { containers: named("a") },
    { containers: [{ image: "x" }] },
    500,
    "map: map[image:x] does not contain declared merge key: name",
  ],
  [
    META,
    { labels: { a: "1" } },
    { labels: { $patch: "merge" } },
    500,
    "unknown patch type: merge in map: map[$patch:merge]",
  ],
  [
    META,
    { finalizers: ["a"] },
    { "$setElementOrder/finalizers": ["b", "a"], finalizers: ["a", "b"] },
    500,
    "The order in patch list:\n[a b]\n doesn't match $setElementOrder list:\n[b a]\n",
  ],
  [META, { labels: { a: "1" } }, { $retainKeys: ["labels"], name: "x" }, 400, "invalid patch format of retainKeys"],
  [
    META,
    { nothing: {} },
    { nothing: { a: 1 } },
    500,
    'unable to find api field in struct ObjectMeta for the json field "nothing"',
  ],
  [META, { finalizers: ["a"] }, { finalizers: [1] }, 500, "list element types are not identical: [[a] [1]]"],
  [META, {}, [], 400, "invalid JSON document"],
  [META, {}, { $setElementOrder: [] }, 400, "invalid patch format of setElementOrder list"],
];

test("a bad patch fails with upstream's words", () => {
  for (const [schema, live, patch, code, message] of FAILURES) {
    assert.throws(() => applyStrategicMergePatch(live, patch, schema), { code, message });
  }
});

test("what the patch leaves as it is keeps its identity", () => {
  const live = deepFreeze({
    metadata: { labels: { a: "1" } },
    spec: { template: { spec: { containers: named("a", "b") } } },
  });
  assert.equal(
    applyStrategicMergePatch(
      live,
      { spec: { template: { spec: { containers: [{ name: "b" }, { name: "a" }].reverse() } } } },
      DEPLOYMENT,
    ),
    live,
  );
  const patched = applyStrategicMergePatch(live, { metadata: { labels: { a: "2" } } }, DEPLOYMENT);
  assert.equal(patched["spec"], live.spec);
});

test("a merge list by key agrees with merging maps", () => {
  const items = fc.uniqueArray(
    fc.record({ name: fc.constantFrom("a", "b", "c", "d"), value: fc.constantFrom("1", "2") }),
    {
      selector: (item) => item.name,
    },
  );
  const schema = schemaOf("io.k8s.api.core.v1.Container");
  fc.assert(
    fc.property(items, items, (live, patch) => {
      const merged = applyStrategicMergePatch({ env: live }, { env: patch }, schema)["env"] as typeof live;
      const expected = {
        ...Object.fromEntries(live.map((e) => [e.name, e.value])),
        ...Object.fromEntries(patch.map((e) => [e.name, e.value])),
      };
      assert.equal(merged.length, Object.keys(expected).length);
      assert.deepEqual(Object.fromEntries(merged.map((e) => [e.name, e.value])), expected);
      const inPatchOrder = merged.filter((e) => patch.some((p) => p.name === e.name)).map((e) => e.name);
      assert.deepEqual(
        inPatchOrder,
        patch.map((p) => p.name),
      );
    }),
  );
});
