import assert from "node:assert/strict";
import { test } from "node:test";
import type { Job } from "../../api/generated/batch.v1.ts";
import type { Pod } from "../../api/generated/core.v1.ts";
import { formatIndexes, parseIndexes } from "./indexes.ts";
import { backoffMs, planPods, verdictOf, viewOf } from "./plan.ts";
import { effectOf } from "./policy.ts";

const now = Date.parse("2030-01-01T00:10:00Z");
const job = (spec: object = {}, status: object = {}) =>
  ({
    metadata: { name: "j", namespace: "default" },
    spec: { parallelism: 1, completions: 1, backoffLimit: 6, template: { spec: {} }, ...spec },
    status,
  }) as unknown as Job;
let uids = 0;
const pod = (
  phase: string,
  more: {
    index?: number;
    failures?: number;
    exit?: number;
    deleting?: boolean;
    tracked?: boolean;
    restarts?: number;
    ready?: boolean;
  } = {},
) =>
  ({
    metadata: {
      name: `p${++uids}`,
      namespace: "default",
      uid: `u${uids}`,
      creationTimestamp: "2030-01-01T00:00:00Z",
      finalizers: more.tracked === false ? [] : ["batch.kubernetes.io/job-tracking"],
      ...(more.deleting && { deletionTimestamp: "2030-01-01T00:00:00Z" }),
      annotations: {
        ...(more.index !== undefined && { "batch.kubernetes.io/job-completion-index": String(more.index) }),
        ...(more.failures !== undefined && { "batch.kubernetes.io/job-index-failure-count": String(more.failures) }),
      },
    },
    spec: {},
    status: {
      phase,
      containerStatuses: [
        {
          name: "c",
          restartCount: more.restarts ?? 0,
          ...(more.exit !== undefined && {
            state: { terminated: { exitCode: more.exit, finishedAt: "2030-01-01T00:00:00Z" } },
          }),
        },
      ],
    },
  }) as unknown as Pod;
const verdict = (it: Job, pods: Pod[]) => verdictOf(it, pods, viewOf(it, pods), now)?.reason;
const plan = (it: Job, pods: Pod[], backoff = 0) => planPods(it, viewOf(it, pods), backoff, now);

test("indexes are written short", () => {
  for (const text of ["", "1", "0,1", "0-2", "1,3-5,7", "0,1,3-6"])
    assert.equal(formatIndexes(parseIndexes(text, 100)), text);
  assert.deepEqual([...parseIndexes("3-9", 5)], [3, 4]);
});

test("the pause doubles with each failure, from ten seconds to ten minutes", () => {
  assert.deepEqual(
    [0, 1, 2, 3, 6, 7, 50].map((n) => backoffMs(n) / 1000),
    [0, 10, 20, 40, 320, 600, 600],
  );
});

test("when a job is over", () => {
  const old = { startTime: "2030-01-01T00:00:00Z" };
  const table: [string, string | undefined, string | undefined][] = [
    ["enough succeeded", verdict(job({ completions: 2 }, { succeeded: 1 }), [pod("Succeeded")]), "CompletionsReached"],
    ["not yet", verdict(job({ completions: 2 }), [pod("Succeeded")]), undefined],
    [
      "a work queue ends with the last pod",
      verdict(job({ completions: undefined, parallelism: 2 }), [pod("Succeeded"), pod("Running")]),
      undefined,
    ],
    [
      "and one success",
      verdict(job({ completions: undefined }), [pod("Succeeded"), pod("Failed")]),
      "CompletionsReached",
    ],
    ["the sixth failure is allowed", verdict(job({}, { failed: 5 }), [pod("Failed")]), undefined],
    ["the seventh is not", verdict(job({}, { failed: 6 }), [pod("Failed")]), "BackoffLimitExceeded"],
    [
      "restarts count where pods restart in place",
      verdict(job({ backoffLimit: 2, template: { spec: { restartPolicy: "OnFailure" } } }), [
        pod("Running", { restarts: 2 }),
      ]),
      "BackoffLimitExceeded",
    ],
    ["too long", verdict(job({ activeDeadlineSeconds: 60 }, old), [pod("Running")]), "DeadlineExceeded"],
    ["a suspended one has no deadline", verdict(job({ activeDeadlineSeconds: 60, suspend: true }, old), []), undefined],
    [
      "what was decided stays",
      verdict(job({}, { conditions: [{ type: "FailureTarget", status: "True", reason: "X" }] }), []),
      "X",
    ],
    [
      "an index that may fail once more",
      verdict(job({ completionMode: "Indexed", completions: 2, backoffLimitPerIndex: 1 }), [
        pod("Failed", { index: 0, failures: 0 }),
      ]),
      undefined,
    ],
    [
      "all indexes are done, one failed",
      verdict(job({ completionMode: "Indexed", completions: 2, backoffLimitPerIndex: 1 }, { completedIndexes: "1" }), [
        pod("Failed", { index: 0, failures: 1 }),
      ]),
      "FailedIndexes",
    ],
    [
      "too many failed",
      verdict(job({ completionMode: "Indexed", completions: 5, backoffLimitPerIndex: 0, maxFailedIndexes: 0 }), [
        pod("Failed", { index: 0, failures: 0 }),
      ]),
      "MaxFailedIndexesExceeded",
    ],
    [
      "the chosen index succeeded",
      verdict(
        job({ completionMode: "Indexed", completions: 3, successPolicy: { rules: [{ succeededIndexes: "0" }] } }),
        [pod("Succeeded", { index: 0 }), pod("Running", { index: 1 })],
      ),
      "SuccessPolicy",
    ],
  ];
  for (const [name, actual, expected] of table) assert.equal(actual, expected, name);
});

test("failures are weighed by the policy", () => {
  const policy = {
    rules: [
      { action: "FailJob", onExitCodes: { containerName: "c", operator: "In", values: [42] } },
      { action: "Ignore", onPodConditions: [{ type: "DisruptionTarget", status: "True" }] },
    ],
  };
  const failed = pod("Failed", { exit: 42 });
  assert.deepEqual(effectOf(policy, failed), {
    action: "FailJob",
    message: `Container c for pod default/${failed.metadata.name} failed with exit code 42 matching FailJob rule at index 0`,
  });
  assert.equal(effectOf(policy, pod("Failed", { exit: 1 })).action, "Count");
  const disrupted = {
    ...pod("Failed"),
    status: { phase: "Failed", conditions: [{ type: "DisruptionTarget", status: "True" }] },
  } as unknown as Pod;
  assert.equal(viewOf(job({ podFailurePolicy: policy }), [disrupted]).failed, 0);
  assert.equal(verdict(job({ podFailurePolicy: policy }), [failed]), "PodFailurePolicy");
});

test("pods to start and to stop", () => {
  const wide = { parallelism: 3, completions: 10 };
  const indexed = { completionMode: "Indexed", parallelism: 3, completions: 4 };
  const running = (index?: number) => pod("Running", index === undefined ? {} : { index });
  const table: [string, ReturnType<typeof plan>, number, (number | undefined)[]][] = [
    ["as many as may run at once", plan(job(wide), []), 0, [undefined, undefined, undefined]],
    ["no more than are left to do", plan(job(wide, { succeeded: 9 }), []), 0, [undefined]],
    ["too many", plan(job({ ...wide, parallelism: 1 }), [running(), running(), running()]), 2, []],
    ["during the pause nothing", plan(job(wide), [pod("Failed")], 5000), 0, []],
    ["suspended: all stop", plan(job({ ...wide, suspend: true }), [running(), running()]), 2, []],
    [
      "a queue that had a success starts no more",
      plan(job({ parallelism: 3, completions: undefined }, { succeeded: 1 }), [running()]),
      0,
      [],
    ],
    ["the lowest free indexes", plan(job(indexed, { completedIndexes: "1" }), [running(0)]), 0, [2, 3]],
    ["of two with one index one stops", plan(job(indexed), [running(0), running(0)]), 1, []],
    [
      "an ending pod keeps its place where only failed ones are replaced",
      plan(job({ ...wide, parallelism: 1, podReplacementPolicy: "Failed" }), [pod("Running", { deleting: true })]),
      0,
      [],
    ],
    [
      "and gives it up where not",
      plan(job({ ...wide, parallelism: 1 }), [pod("Running", { deleting: true })]),
      0,
      [undefined],
    ],
  ];
  for (const [name, { create, delete: remove }, stops, starts] of table)
    assert.deepEqual([remove.length, create.map(({ index }) => index)], [stops, starts], name);
});

test("an index is tried again after its own pause, counting its failures", () => {
  const it = job({ completionMode: "Indexed", parallelism: 2, completions: 2, backoffLimitPerIndex: 3 });
  assert.deepEqual(plan(it, [pod("Failed", { index: 0, failures: 1, exit: 1 })]).create, [
    { index: 0, failures: 2, ignored: 0 },
    { index: 1, failures: 0 },
  ]);
});
