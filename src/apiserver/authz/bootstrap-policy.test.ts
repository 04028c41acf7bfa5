/** The policy that a cluster begins with is upstream's, in everything that anybody could see. Skips where upstream's files are not at hand. */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { parse } from "yaml";
import policy from "./bootstrap-policy.json" with { type: "json" };

const folder = `${process.env["T8S_PEER_DATA"] ?? "../shared/peer-data"}/rbac-bootstrap`;
const skip = existsSync(folder) ? false : "no policy of upstream's: set T8S_PEER_DATA";

const read = (...files: readonly string[]): any[] =>
  files.flatMap((file) => parse(readFileSync(`${folder}/${file}.yaml`, "utf8")).items as any[]);

/** By name, without what only the encoding says. */
function byName(objects: readonly any[]): Record<string, unknown> {
  return Object.fromEntries(
    objects
      .map(({ apiVersion: _apiVersion, metadata, ...rest }) => {
        const { creationTimestamp: _creationTimestamp, ...kept } = metadata;
        const plain = JSON.parse(
          JSON.stringify({ ...rest, metadata: kept }),
          (_, value: unknown) => value ?? undefined,
        );
        return [`${metadata.namespace ?? ""}/${metadata.name}`, plain] as const;
      })
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  );
}

const kinds: readonly (readonly [keyof typeof policy, readonly string[]])[] = [
  ["clusterRoles", ["cluster-roles", "controller-roles"]],
  ["clusterRoleBindings", ["cluster-role-bindings", "controller-role-bindings"]],
  ["roles", ["namespace-roles"]],
  ["roleBindings", ["namespace-role-bindings"]],
];
/** Of another distribution, whose copy of the policy this is. */
const FOREIGN = ["/system:openshift:public-info-viewer", "/system:controller:service-ca-cert-publisher"];
const FOREIGN_RESOURCE = "endpointslices/restricted";

for (const [kind, files] of kinds)
  test(`the ${kind} that a cluster begins with are upstream's`, { skip }, () => {
    const upstream = byName(read(...files));
    for (const name of FOREIGN) delete upstream[name];
    for (const role of Object.values(upstream) as { rules?: { resources?: string[] }[] | null }[])
      if (Array.isArray(role.rules))
        role.rules = role.rules.filter(({ resources }) => resources?.includes(FOREIGN_RESOURCE) !== true);
    assert.deepEqual(byName(policy[kind]), upstream);
  });
