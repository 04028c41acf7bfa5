import assert from "node:assert/strict";
import { test } from "node:test";
import type { Pod } from "../../api/generated/core.v1.ts";
import { computePodActions } from "./actions.ts";
import type { PodActions } from "./actions.ts";
import { containerHash } from "./container-config.ts";
import type { RuntimeContainer, RuntimePod, RuntimeSandbox } from "./state.ts";

const container = (name: string, more: object = {}) => ({ name, image: "i", resources: {}, ...more });
const pod = (spec: object): Pod =>
  ({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "p", namespace: "ns", uid: "u" },
    spec: { restartPolicy: "Always", containers: [container("a")], ...spec },
    status: {},
  }) as unknown as Pod;

const sandbox: RuntimeSandbox = {
  id: "s",
  attempt: 0,
  ready: true,
  createdAtMs: 1,
  ips: ["10.0.0.1"],
  hostNetwork: false,
};
const seen = (
  name: string,
  state: RuntimeContainer["state"],
  exitCode = 0,
  more: Partial<RuntimeContainer> = {},
): RuntimeContainer => ({
  id: `id-${name}`,
  name,
  sandboxId: "s",
  state,
  restartCount: 0,
  hash: containerHash({ name, image: "i", resources: {} }),
  createdAtMs: 1,
  startedAtMs: 2,
  finishedAtMs: 3,
  exitCode,
  reason: "",
  message: "",
  image: "i",
  imageRef: "i",
  annotations: {},
  logPath: "",
  terminationLog: undefined,
  ...more,
});
const runtime = (
  containers: readonly RuntimeContainer[],
  sandboxes: readonly RuntimeSandbox[] = [sandbox],
): RuntimePod => ({
  uid: "u",
  name: "p",
  namespace: "ns",
  sandboxes,
  containers,
});
const noProbes = { liveness: () => undefined, startup: () => undefined };
const inits = [container("i1"), container("i2")];
const sidecar = container("side", { restartPolicy: "Always" });

/** `sandbox 0 start a`, `kill-pod`, `kill a; start a`. */
function words(actions: PodActions): string {
  const parts: string[] = [];
  if (actions.killPod && !actions.createSandbox) parts.push("kill-pod");
  if (actions.createSandbox) parts.push(`sandbox ${actions.attempt}`);
  for (const { container: each } of actions.kill) parts.push(`kill ${each.name}`);
  const starts = [...actions.ephemeral, ...actions.init, ...actions.regular];
  if (starts.length > 0) parts.push(`start ${starts.join(" ")}`);
  return parts.join("; ");
}

const CASES: readonly (readonly [name: string, pod: Pod, runtime: RuntimePod, expected: string, probes?: object])[] = [
  ["a new pod gets a sandbox and its container", pod({}), runtime([], []), "sandbox 0; start a"],
  [
    "a new pod with init containers starts the first",
    pod({ initContainers: inits }),
    runtime([], []),
    "sandbox 0; start i1",
  ],
  ["a running pod is left alone", pod({}), runtime([seen("a", "running")]), ""],
  ["a failed container is started again", pod({}), runtime([seen("a", "exited", 1)]), "start a"],
  [
    "a container that was created and not started is started again",
    pod({}),
    runtime([seen("a", "created")]),
    "start a",
  ],
  ["OnFailure leaves a success", pod({ restartPolicy: "OnFailure" }), runtime([seen("a", "exited", 0)]), "kill-pod"],
  ["OnFailure restarts a failure", pod({ restartPolicy: "OnFailure" }), runtime([seen("a", "exited", 2)]), "start a"],
  ["Never leaves a failure", pod({ restartPolicy: "Never" }), runtime([seen("a", "exited", 2)]), "kill-pod"],
  [
    "a container's own policy wins over the pod's",
    pod({ restartPolicy: "Never", containers: [container("a", { restartPolicy: "OnFailure" })] }),
    runtime([seen("a", "exited", 2)]),
    "start a",
  ],
  [
    "a rule for an exit code wins over both",
    pod({
      restartPolicy: "Never",
      containers: [
        container("a", { restartPolicyRules: [{ action: "Restart", exitCodes: { operator: "In", values: [42] } }] }),
      ],
    }),
    runtime([seen("a", "exited", 42)]),
    "start a",
  ],
  [
    "a lost sandbox is made again with the next attempt",
    pod({}),
    runtime([seen("a", "exited", 255)], [{ ...sandbox, ready: false }]),
    "sandbox 1; start a",
  ],
  [
    "a sandbox without an address is made again",
    pod({}),
    runtime([seen("a", "running")], [{ ...sandbox, ips: [] }]),
    "sandbox 1; start a",
  ],
  [
    "a finished pod that may not restart gets no second sandbox",
    pod({ restartPolicy: "Never" }),
    runtime([seen("a", "exited", 0)], [{ ...sandbox, ready: false }]),
    "kill-pod",
  ],
  [
    "a changed image restarts the container",
    pod({ containers: [container("a", { image: "j" })] }),
    runtime([seen("a", "running")]),
    "kill a; start a",
  ],
  [
    "a failed liveness probe restarts the container",
    pod({}),
    runtime([seen("a", "running")]),
    "kill a; start a",
    { liveness: () => "failure" },
  ],
  [
    "a failed liveness probe only kills where nothing restarts",
    pod({ restartPolicy: "Never", containers: [container("a"), container("b")] }),
    runtime([seen("a", "running"), seen("b", "running")]),
    "kill a",
    { liveness: (id: string) => (id === "id-a" ? "failure" : undefined) },
  ],
  ["an init container runs alone", pod({ initContainers: inits }), runtime([seen("i1", "running")]), ""],
  [
    "the next init container follows a success",
    pod({ initContainers: inits }),
    runtime([seen("i1", "exited", 0)]),
    "start i2",
  ],
  [
    "a failed init container runs again",
    pod({ initContainers: inits }),
    runtime([seen("i1", "exited", 1)]),
    "start i1",
  ],
  [
    "a failed init container ends a pod that may not restart",
    pod({ initContainers: inits, restartPolicy: "Never" }),
    runtime([seen("i1", "exited", 1)]),
    "kill-pod",
  ],
  [
    "after the last init container come the others",
    pod({ initContainers: inits }),
    runtime([seen("i2", "exited", 0), seen("i1", "exited", 0)]),
    "start a",
  ],
  [
    "a sidecar that runs lets the rest begin",
    pod({ initContainers: [sidecar] }),
    runtime([seen("side", "running")]),
    "start a",
  ],
  [
    "a sidecar with a startup probe is waited for",
    pod({ initContainers: [{ ...sidecar, startupProbe: {} }] }),
    runtime([seen("side", "running")]),
    "",
  ],
  [
    "a sidecar that ended is started again beside the others",
    pod({ initContainers: [sidecar] }),
    runtime([seen("a", "running"), seen("side", "exited", 0)]),
    "start side",
  ],
  [
    "sidecars end with the last regular container",
    pod({ initContainers: [sidecar], restartPolicy: "Never" }),
    runtime([seen("a", "exited", 0), seen("side", "running")]),
    "kill-pod",
  ],
  [
    "an ephemeral container is started once",
    pod({ ephemeralContainers: [container("debug")] }),
    runtime([seen("a", "running")]),
    "start debug",
  ],
  [
    "an ephemeral container is not started twice",
    pod({ ephemeralContainers: [container("debug")] }),
    runtime([seen("a", "running"), seen("debug", "exited", 1)]),
    "",
  ],
];

for (const [name, object, state, expected, probes] of CASES)
  test(name, () => assert.equal(words(computePodActions(object, state, { ...noProbes, ...probes })), expected));
