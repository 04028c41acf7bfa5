import assert from "node:assert/strict";
import { test } from "node:test";
import { ConfigurationError, readConfiguration } from "./configuration.ts";
import { Lab } from "./lab.ts";

test("an empty file gives upstream's defaults", () => {
  const { options, leaderElection } = readConfiguration({});
  assert.deepEqual(options, {
    podInitialBackoffSeconds: 1,
    podMaxBackoffSeconds: 10,
    percentageOfNodesToScore: 0,
    schedulerName: "default-scheduler",
    disabled: [],
    disabledAt: {},
    weights: {},
    args: {},
  });
  assert.deepEqual(leaderElection, {
    leaderElect: true,
    leaseDurationSeconds: 15,
    renewDeadlineSeconds: 10,
    retryPeriodSeconds: 2,
    resourceName: "kube-scheduler",
    resourceNamespace: "kube-system",
  });
});

test("a profile switches plugins off, weighs them and gives them arguments", () => {
  const { options } = readConfiguration({
    apiVersion: "kubescheduler.config.k8s.io/v1",
    kind: "KubeSchedulerConfiguration",
    leaderElection: { leaderElect: false, leaseDuration: "1m30s" },
    profiles: [
      {
        schedulerName: "mine",
        plugins: {
          multiPoint: { disabled: [{ name: "ImageLocality" }], enabled: [{ name: "TaintToleration", weight: 7 }] },
        },
        pluginConfig: [{ name: "NodeResourcesFit", args: { scoringStrategy: { type: "MostAllocated" } } }],
      },
    ],
  });
  assert.equal(options.schedulerName, "mine");
  const { plugins } = new Lab([], { configuration: options }).profile;
  assert.equal(
    plugins.some(({ name }) => name === "ImageLocality"),
    false,
  );
  assert.equal(plugins.find(({ name }) => name === "TaintToleration")?.weight, 7);
  assert.deepEqual(options.args, { NodeResourcesFit: { scoringStrategy: { type: "MostAllocated" } } });
});

test("a plugin that is disabled for scores still filters", () => {
  const { options } = readConfiguration({
    profiles: [
      { plugins: { score: { disabled: [{ name: "*" }], enabled: [{ name: "NodeResourcesFit", weight: 2 }] } } },
    ],
  });
  const { plugins } = new Lab([], { configuration: options }).profile;
  assert.deepEqual(
    plugins.filter(({ score }) => score !== undefined).map(({ name }) => name),
    ["NodeResourcesFit"],
  );
  assert.ok(plugins.find(({ name }) => name === "TaintToleration")?.filter);
});

const WRONG: readonly [document: object, message: string][] = [
  [{ parallelism: 0 }, "parallelism: Invalid value: 0: should be an integer value greater than zero"],
  [{ percentageOfNodesToScore: 101 }, "percentageOfNodesToScore: Invalid value: 101: not in valid range [0-100]"],
  [{ podInitialBackoffSeconds: 0 }, "podInitialBackoffSeconds: Invalid value: 0: must be greater than 0"],
  [
    { podInitialBackoffSeconds: 20 },
    "podMaxBackoffSeconds: Invalid value: 10: must be greater than or equal to PodInitialBackoffSeconds",
  ],
  [{ profiles: [] }, "profiles: Required value"],
  [
    { leaderElection: { resourceLock: "endpoints" } },
    'leaderElection.resourceLock: Invalid value: "endpoints": resourceLock value must be "leases"',
  ],
  [
    { profiles: [{ plugins: { filter: { enabled: [{ name: "Nope" }] } } }] },
    'profiles[0].plugins.filter.enabled[0].name: Invalid value: "Nope": filter "Nope" does not exist',
  ],
  [
    { profiles: [{ pluginConfig: [{ name: "PodTopologySpread", args: { defaultConstraints: [{ maxSkew: 1 }] } }] }] },
    'profiles[0].pluginConfig[0].args.defaultingType: Invalid value: "System": when .defaultConstraints are not empty',
  ],
];

test("what is wrong is told in upstream's words", () => {
  for (const [document, message] of WRONG) {
    assert.throws(
      () => readConfiguration(document),
      (error) => error instanceof ConfigurationError && error.message === message,
      message,
    );
  }
});
