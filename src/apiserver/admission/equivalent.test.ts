/** Policies whose rules name one version see requests for another as upstream shows them: with the objects converted, unless they are exact about it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { nodeWorld } from "../../world/node/index.ts";
import { ask, ASKABLE } from "../testing/ask.ts";
import { type Harness, startServer } from "../testing/harness.ts";

const world = nodeWorld();
const HPAS = "namespaces/default/horizontalpodautoscalers";
const admission = (kind: string) => `/apis/admissionregistration.k8s.io/v1/${kind}`;
const rulesFor = (version: string) => [
  {
    apiGroups: ["autoscaling"],
    apiVersions: [version],
    resources: ["horizontalpodautoscalers"],
    operations: ["CREATE"],
  },
];

async function post(harness: Harness, path: string, body: object): Promise<any> {
  const answer = await ask(harness, "POST", path, { body: JSON.stringify(body) });
  return { ...JSON.parse(answer.body.toString()), status: answer.status };
}

const scaler = (name: string) => ({
  metadata: { name },
  spec: {
    scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "d" },
    maxReplicas: 3,
    targetCPUUtilizationPercentage: 70,
  },
});
const make = (harness: Harness, name: string) => post(harness, `/apis/autoscaling/v1/${HPAS}?dryRun=All`, scaler(name));

test("a validating policy for v2 sees what is sent in v1 as v2", async () => {
  await using harness = await startServer(world, ASKABLE);
  const policy = async (name: string, version: string, matchPolicy: string, expression: string) => {
    await post(harness, admission("validatingadmissionpolicies"), {
      metadata: { name },
      spec: {
        matchConstraints: { matchPolicy, resourceRules: rulesFor(version) },
        validations: [{ expression: `object.metadata.name != '${name}' || (${expression})` }],
      },
    });
    await post(harness, admission("validatingadmissionpolicybindings"), {
      metadata: { name },
      spec: { policyName: name, validationActions: ["Deny"] },
    });
  };
  const inV2 =
    "object.apiVersion == 'autoscaling/v2' && object.spec.metrics[0].resource.target.averageUtilization == 70 && request.resource.version == 'v2' && request.requestResource.version == 'v1' && request.kind.version == 'v2' && request.requestKind.version == 'v1'";
  await policy("seen", "v2", "Equivalent", inV2);
  await policy("unseen", "v2", "Equivalent", "false");
  await policy("exact", "v2", "Exact", "false");
  await policy("nothing", "v9", "Equivalent", "false");
  while ((await make(harness, "unseen")).status !== 422) await new Promise((resolve) => setImmediate(resolve));
  for (const name of ["seen", "exact", "nothing"])
    assert.equal((await make(harness, name)).status, 201, JSON.stringify(await make(harness, name)));
});

test("what a mutating policy for v2 makes of it comes back in v1", async () => {
  await using harness = await startServer(world, ASKABLE);
  await post(harness, admission("mutatingadmissionpolicies"), {
    metadata: { name: "p" },
    spec: {
      matchConstraints: { resourceRules: rulesFor("v2") },
      reinvocationPolicy: "Never",
      mutations: [
        {
          patchType: "JSONPatch",
          jsonPatch: {
            expression:
              "[JSONPatch{op: 'replace', path: '/spec/metrics/0/resource/target/averageUtilization', value: object.spec.metrics[0].resource.target.averageUtilization + 5}]",
          },
        },
      ],
    },
  });
  await post(harness, admission("mutatingadmissionpolicybindings"), {
    metadata: { name: "p" },
    spec: { policyName: "p" },
  });
  let made = await make(harness, "a");
  while (made.spec?.targetCPUUtilizationPercentage === 70) made = await make(harness, "a");
  assert.deepEqual(
    [made.status, made.apiVersion, made.spec.targetCPUUtilizationPercentage],
    [201, "autoscaling/v1", 75],
    JSON.stringify(made),
  );
});
