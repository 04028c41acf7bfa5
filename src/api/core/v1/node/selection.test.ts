import assert from "node:assert/strict";
import { test } from "node:test";
import type { Node, PodSpec } from "../../../generated/core.v1.ts";
import { admitsNode } from "./affinity.ts";
import { tolerates, untolerated } from "./taints.ts";

const node = { metadata: { name: "a", labels: { disk: "ssd", cores: "9007199254740993" } } } as unknown as Node;
const asking = (...nodeSelectorTerms: object[]) =>
  ({
    affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms } } },
  }) as unknown as PodSpec;
const label = (key: string, operator: string, ...values: string[]) => ({
  matchExpressions: [{ key, operator, values }],
});

const WISHES: readonly (readonly [name: string, spec: PodSpec, admitted: boolean])[] = [
  ["a pod that asks for nothing may be anywhere", {} as PodSpec, true],
  ["every label of a node selector counts", { nodeSelector: { disk: "ssd", zone: "z" } } as unknown as PodSpec, false],
  [
    "a node selector and a term must both hold",
    { ...asking(label("disk", "DoesNotExist")), nodeSelector: { disk: "ssd" } },
    false,
  ],
  ["one term of several is enough", asking(label("disk", "In", "hdd"), label("disk", "In", "hdd", "ssd")), true],
  ["an empty term matches nothing", asking({}), false],
  ["a label that isn't there is in no list", asking(label("zone", "In", "z")), false],
  ["a label that isn't there is outside of every list", asking(label("zone", "NotIn", "z")), true],
  ["integers are compared with all their digits", asking(label("cores", "Gt", "9007199254740992")), true],
  ["what isn't an integer is neither greater nor less", asking(label("disk", "Lt", "5")), false],
  ["an unknown operator matches nothing", asking(label("disk", "Near", "ssd")), false],
  [
    "a node is found by its name",
    asking({ matchFields: [{ key: "metadata.name", operator: "In", values: ["a"] }] }),
    true,
  ],
  ["no other field is known", asking({ matchFields: [{ key: "metadata.uid", operator: "Exists" }] }), false],
];
for (const [name, spec, admitted] of WISHES) test(name, () => assert.equal(admitsNode(spec, node), admitted));

test("a toleration names key, value and effect, and leaves out what doesn't matter to it", () => {
  const taint = { key: "k", value: "v", effect: "NoExecute" };
  assert.equal(tolerates({ operator: "Exists" }, taint), true);
  assert.equal(tolerates({ key: "k", operator: "Exists", effect: "NoSchedule" }, taint), false);
  assert.equal(tolerates({ key: "k", value: "v" }, taint), true);
  assert.equal(tolerates({ key: "k", operator: "Equal", value: "other" }, taint), false);
});

test("a taint that only advises keeps nobody off", () => {
  const taints = [
    { key: "k", effect: "PreferNoSchedule" },
    { key: "l", effect: "NoSchedule" },
  ] as const;
  assert.equal(untolerated(taints, undefined)?.key, "l");
  assert.equal(untolerated(taints, [{ key: "l", operator: "Exists" }]), undefined);
});
