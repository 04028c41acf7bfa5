import assert from "node:assert/strict";
import { test } from "node:test";
import type { HorizontalPodAutoscaler } from "../../api/generated/autoscaling.v2.ts";
import type { Pod } from "../../api/generated/core.v1.ts";
import { type History, downLimit, limit, upLimit } from "./limits.ts";
import { type Target, proposeReplicas } from "./replicas.ts";

const now = Date.parse("2030-01-01T01:00:00Z");
const settings = { tolerance: { up: 0.1, down: 0.1 }, cpuInitializationMs: 300_000, readinessDelayMs: 30_000 };

interface Traits {
  usage?: number;
  phase?: string;
  ready?: boolean;
  startedAgoMs?: number;
  deleting?: boolean;
}
function propose(current: number, target: Target, traits: readonly Traits[]) {
  const pods = traits.map(({ phase = "Running", ready = true, startedAgoMs = 1_000_000, deleting = false }, i) => {
    const at = new Date(now - startedAgoMs).toISOString();
    return {
      metadata: { name: `p${i}`, ...(deleting && { deletionTimestamp: at }) },
      spec: { containers: [{ name: "c", resources: { requests: { cpu: "100m" } } }] },
      status: {
        phase,
        startTime: at,
        conditions: [{ type: "Ready", status: ready ? "True" : "False", lastTransitionTime: at }],
      },
    } as unknown as Pod;
  });
  const samples = new Map(
    traits.flatMap(({ usage }, i) =>
      usage === undefined ? [] : [[`p${i}`, { value: usage, at: now, windowMs: 30_000 }] as const],
    ),
  );
  return proposeReplicas({ current, target, pods, samples, resource: "cpu", now, settings }).replicas;
}
const half = { utilization: 50 };

test("replicas follow the ratio of what is used to what is wanted", () => {
  const table: [string, number, number][] = [
    ["twice the load", propose(2, half, [{ usage: 100 }, { usage: 100 }]), 4],
    ["half the load", propose(2, half, [{ usage: 25 }, { usage: 25 }]), 1],
    ["within the tolerance", propose(2, half, [{ usage: 54 }, { usage: 54 }]), 2],
    ["an average value", propose(2, { averageValue: 50 }, [{ usage: 150 }, { usage: 150 }]), 6],
    [
      "a pending pod is counted as idle when growing",
      propose(4, half, [{ usage: 90 }, { usage: 90 }, { usage: 90 }, { phase: "Pending" }]),
      6,
    ],
    ["a pod without a word is counted as idle when growing", propose(2, half, [{ usage: 120 }, {}]), 3],
    ["and as busy when shrinking", propose(3, half, [{ usage: 10 }, { usage: 10 }, {}]), 3],
    [
      "one that is warming up doesn't count",
      propose(2, half, [{ usage: 50 }, { usage: 500, startedAgoMs: 10_000, ready: false }]),
      2,
    ],
    ["one that goes doesn't count", propose(2, half, [{ usage: 50 }, { usage: 500, deleting: true }]), 2],
  ];
  for (const [name, actual, expected] of table) assert.equal(actual, expected, name);
});

test("without pods, metrics or requests there is no answer", () => {
  assert.throws(() => propose(1, half, []), /no pods returned by selector while calculating replica count/);
  assert.throws(() => propose(1, half, [{}]), /did not receive metrics for targeted pods \(pods might be unready\)/);
  const bare = {
    metadata: { name: "p0" },
    spec: { containers: [{ name: "c" }] },
    status: { phase: "Running", startTime: new Date(0).toISOString(), conditions: [{ type: "Ready", status: "True" }] },
  } as unknown as Pod;
  const samples = new Map([["p0", { value: 1, at: now, windowMs: 0 }]]);
  assert.throws(
    () => proposeReplicas({ current: 1, target: half, pods: [bare], samples, resource: "cpu", now, settings }),
    /missing request for cpu in container c of Pod p0/,
  );
});

const none: History = { recommendations: [], ups: [], downs: [] };
const autoscaler = (more: object = {}) =>
  ({ spec: { minReplicas: 1, maxReplicas: 20, ...more } }) as unknown as HorizontalPodAutoscaler;
const limited = (current: number, wanted: number, history: Partial<History> = {}, more: object = {}) => {
  const { replicas, conditions } = limit(autoscaler(more), current, wanted, { ...none, ...history }, now);
  return [replicas, ...conditions.map(({ reason }) => reason)];
};
const ago = (ms: number, replicas: number) => ({ at: now - ms, replicas });

test("growth is bounded, shrinking waits for the highest of five minutes", () => {
  assert.deepEqual(limited(2, 4), [4, "ReadyForNewScale", "DesiredWithinRange"]);
  assert.deepEqual(limited(3, 10), [6, "ReadyForNewScale", "ScaleUpLimit"]);
  assert.deepEqual(limited(15, 40), [20, "ReadyForNewScale", "TooManyReplicas"]);
  assert.deepEqual(limited(8, 2, { recommendations: [ago(200_000, 8)] }), [
    8,
    "ScaleDownStabilized",
    "DesiredWithinRange",
  ]);
  assert.deepEqual(limited(8, 2, { recommendations: [ago(301_000, 8)] }), [
    2,
    "ReadyForNewScale",
    "DesiredWithinRange",
  ]);
  assert.deepEqual(limited(3, 0), [1, "ReadyForNewScale", "TooFewReplicas"]);
});

test("policies count what changed within their period", () => {
  const up = { policies: [{ type: "Percent", value: 50, periodSeconds: 60 }] };
  assert.equal(upLimit(up, 10, { ...none, ups: [ago(30_000, 3)] }, now), 11);
  assert.equal(upLimit({ selectPolicy: "Disabled" }, 10, none, now), 10);
  assert.equal(
    upLimit(
      {
        selectPolicy: "Min",
        policies: [
          { type: "Pods", value: 1, periodSeconds: 60 },
          { type: "Pods", value: 5, periodSeconds: 60 },
        ],
      },
      10,
      none,
      now,
    ),
    11,
  );
  assert.equal(downLimit({ policies: [{ type: "Percent", value: 10, periodSeconds: 60 }] }, 10, none, now), 9);
  assert.equal(
    downLimit(
      { policies: [{ type: "Pods", value: 2, periodSeconds: 60 }] },
      8,
      { ...none, downs: [ago(10_000, 2)] },
      now,
    ),
    8,
  );
});

test("with a behaviour both directions can be held", () => {
  const behavior = { scaleUp: { stabilizationWindowSeconds: 60 }, scaleDown: { stabilizationWindowSeconds: 0 } };
  assert.deepEqual(limited(4, 8, { recommendations: [ago(30_000, 5)] }, { behavior }), [
    5,
    "ScaleUpStabilized",
    "DesiredWithinRange",
  ]);
  assert.deepEqual(limited(8, 4, { recommendations: [ago(30_000, 8)] }, { behavior }), [
    4,
    "ReadyForNewScale",
    "DesiredWithinRange",
  ]);
  const slow = {
    scaleDown: { stabilizationWindowSeconds: 0, policies: [{ type: "Pods", value: 1, periodSeconds: 60 }] },
  };
  assert.deepEqual(limited(8, 4, {}, { behavior: slow }), [7, "ReadyForNewScale", "ScaleDownLimit"]);
});
