import assert from "node:assert/strict";
import { test } from "node:test";
import type { Deployment, ReplicaSet } from "../../api/generated/apps.v1.ts";
import { annotationsForNew, maxRevision } from "./annotations.ts";
import { fenceposts, maxUnavailable, newSetSize, planCleanup, planProportional, planRolling } from "./plan.ts";

const deployment = (
  replicas: number,
  surge: number | string = "25%",
  unavailable: number | string = "25%",
  more: object = {},
) =>
  ({
    metadata: { name: "d", annotations: {} },
    spec: {
      replicas,
      strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: surge, maxUnavailable: unavailable } },
      ...more,
    },
    status: {},
  }) as unknown as Deployment;
const set = (name: string, replicas: number, available = replicas, annotations: Record<string, string> = {}) =>
  ({
    metadata: { name, creationTimestamp: `2030-01-01T00:00:0${name.length}Z`, annotations, generation: 1 },
    spec: { replicas },
    status: { replicas, availableReplicas: available, observedGeneration: 1 },
  }) as unknown as ReplicaSet;

test("shares are rounded up for the surge, down for what may be missing, and never both to zero", () => {
  for (const [replicas, surge, unavailable, expected] of [
    [10, "25%", "25%", { surge: 3, unavailable: 2 }],
    [1, "25%", "25%", { surge: 1, unavailable: 0 }],
    [3, "25%", "25%", { surge: 1, unavailable: 0 }],
    [4, 0, "10%", { surge: 0, unavailable: 1 }],
    [4, 0, 0, { surge: 0, unavailable: 1 }],
  ] as const)
    assert.deepEqual(fenceposts(deployment(replicas, surge, unavailable)), expected);
  assert.equal(maxUnavailable(deployment(2, 0, 5)), 2);
  assert.equal(maxUnavailable(deployment(0, 0, 5)), 0);
});

test("a new set grows into the room that the surge leaves", () => {
  assert.equal(newSetSize(deployment(10), [set("old", 10)], 0), 3);
  assert.equal(newSetSize(deployment(10), [set("old", 13)], 0), 0);
  assert.equal(newSetSize(deployment(3), [], 0), 3);
});

test("each step of a rolling update goes one way", () => {
  const table: [string, Deployment, ReplicaSet, ReplicaSet[], [string, number][]][] = [
    ["up first", deployment(10), set("new", 0), [set("o", 10)], [["new", 3]]],
    ["then down as far as enough stay available", deployment(10), set("new", 3, 0), [set("o", 10)], [["o", 8]]],
    ["then up again", deployment(10), set("new", 3, 0), [set("o", 8)], [["new", 5]]],
    ["nothing to do while the new ones come up", deployment(10), set("new", 5, 0), [set("o", 8)], []],
    [
      "broken old pods go first, the oldest set first",
      deployment(4, 1, 1),
      set("newest", 2, 2),
      [set("o", 2, 0), set("oo", 1, 1)],
      [["o", 0]],
    ],
    [
      "while new pods come up, fewer broken old ones may go",
      deployment(4, 2, 1),
      set("new", 2, 0),
      [set("o", 4, 1)],
      [["o", 3]],
    ],
    ["too large a new set shrinks", deployment(2), set("new", 5), [], [["new", 2]]],
    ["done", deployment(3), set("new", 3), [set("o", 0)], []],
  ];
  for (const [name, owner, newSet, old, expected] of table)
    assert.deepEqual(
      planRolling(owner, newSet, old).map(({ set, to }) => [set.metadata.name, to]),
      expected,
      name,
    );
});

test("a new size is spread in proportion, with what is left over for the largest", () => {
  const notes = { "deployment.kubernetes.io/max-replicas": "13" };
  const plan = planProportional(deployment(20), [set("old", 8, 8, notes), set("newer", 5, 5, notes)]);
  assert.deepEqual(
    plan.map(({ set, to }) => [set.metadata.name, to]),
    [
      ["old", 15],
      ["newer", 10],
    ],
  );
  const down = planProportional(deployment(0), [set("old", 8, 8, notes), set("newer", 5, 5, notes)]);
  assert.deepEqual(
    down.map(({ to }) => to),
    [0, 0],
  );
});

test("the history keeps the latest revisions and whatever still has pods", () => {
  const old = [1, 2, 3, 4].map((revision) =>
    set(`r${revision}`, revision === 1 ? 1 : 0, 0, { "deployment.kubernetes.io/revision": String(revision) }),
  );
  const plan = planCleanup(deployment(1, 1, 1, { revisionHistoryLimit: 2 }), old);
  assert.deepEqual(
    plan.map(({ metadata }) => metadata.name),
    ["r2"],
  );
});

test("revisions have 64 bits", () => {
  const next = maxRevision([set("a", 1, 1, { "deployment.kubernetes.io/revision": "3546343826724305832" })]) + 1n;
  const annotations = annotationsForNew(deployment(1), undefined, next);
  assert.equal(annotations["deployment.kubernetes.io/revision"], "3546343826724305833");
});

test("a set that comes back keeps its former numbers on record", () => {
  const owner = {
    ...deployment(1),
    metadata: { name: "d", annotations: { team: "x", "deployment.kubernetes.io/revision": "7" } },
  } as unknown as Deployment;
  assert.deepEqual(
    annotationsForNew(
      owner,
      set("s", 1, 1, { "deployment.kubernetes.io/revision": "2", "deployment.kubernetes.io/revision-history": "1" }),
      8n,
    ),
    {
      team: "x",
      "deployment.kubernetes.io/revision": "8",
      "deployment.kubernetes.io/revision-history": "1,2",
    },
  );
});
