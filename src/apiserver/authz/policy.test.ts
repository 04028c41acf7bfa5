import assert from "node:assert/strict";
import { test } from "node:test";
import { bootstrapPolicy } from "./policy.ts";

const gates = (...names: readonly string[]) => bootstrapPolicy(new Map(names.map((name) => [name, true])));
const rolesFor = (resource: string, ...names: readonly string[]) =>
  gates(...names).clusterRoles.flatMap(({ metadata, rules }) =>
    (rules ?? []).flatMap(({ resources, verbs }) =>
      resources?.includes(resource) === true ? [`${metadata.name}: ${verbs.join(" ")}`] : [],
    ),
  );

/** Roles that a gate brings, by what they are about. */
const table: readonly (readonly [string, string, readonly string[]])[] = [
  [
    "ClusterTrustBundle",
    "clustertrustbundles",
    [
      "system:node: get list watch",
      "system:cluster-trust-bundle-discovery: get list watch",
      "system:controller:kube-apiserver-serving-clustertrustbundle-publisher: create delete list update watch",
    ],
  ],
  [
    "PodCertificateRequest",
    "podcertificaterequests",
    ["system:node: create get list watch", "system:controller:podcertificaterequestcleaner: delete get list watch"],
  ],
  [
    "DRADeviceTaintRules",
    "devicetaintrules",
    ["system:controller:device-taint-eviction-controller: get list watch", "system:kube-scheduler: get list watch"],
  ],
];
for (const [gate, resource, expected] of table)
  test(`roles about ${resource} appear with the gate ${gate}`, () => {
    assert.deepEqual(rolesFor(resource), []);
    assert.deepEqual(rolesFor(resource, gate).sort(), [...expected].sort());
  });

test("a role that two gates add to has the rules of both, each in its place", () => {
  const node = (...names: readonly string[]) =>
    gates(...names).clusterRoles.find(({ metadata }) => metadata.name === "system:node")!.rules!;
  const plain = node();
  const [bundles, certificates] = [node("ClusterTrustBundle"), node("PodCertificateRequest")];
  const both = node("ClusterTrustBundle", "PodCertificateRequest");
  assert.deepEqual(
    [bundles.length, certificates.length, both.length],
    [1, 1, 2].map((more) => plain.length + more),
  );
  assert.deepEqual(
    both.filter((rule) => !certificates.includes(rule)),
    bundles.filter((rule) => !plain.includes(rule)),
  );
});
