import assert from "node:assert/strict";
import { test } from "node:test";
import type { Level } from "./pod-security-standards.ts";
import { inDetail, violations as find } from "./pod-security-standards.ts";

const violations = (level: Level, subject: Parameters<typeof find>[2], version = "latest") =>
  inDetail(find(level, version, subject));
const pod = (container: object = {}, spec: object = {}) => ({
  spec: { containers: [{ name: "c", ...container }], ...spec },
});
const SAFE = {
  securityContext: {
    allowPrivilegeEscalation: false,
    capabilities: { drop: ["ALL"] },
    runAsNonRoot: true,
    seccompProfile: { type: "RuntimeDefault" },
  },
};

test("a plain pod passes baseline and breaks four rules of restricted", () => {
  assert.equal(violations("baseline", pod()), "");
  assert.equal(
    violations("restricted", pod()),
    'allowPrivilegeEscalation != false (container "c" must set securityContext.allowPrivilegeEscalation=false), ' +
      'unrestricted capabilities (container "c" must set securityContext.capabilities.drop=["ALL"]), ' +
      'runAsNonRoot != true (pod or container "c" must set securityContext.runAsNonRoot=true), ' +
      'seccompProfile (pod or container "c" must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")',
  );
  assert.equal(violations("restricted", pod(SAFE)), "");
});

const TABLE: readonly [string, object, object, string][] = [
  [
    "a privileged container",
    { securityContext: { privileged: true } },
    {},
    'privileged (container "c" must not set securityContext.privileged=true)',
  ],
  [
    "the host's network and process ids",
    {},
    { hostNetwork: true, hostPID: true },
    "host namespaces (hostNetwork=true, hostPID=true)",
  ],
  ["a host path", {}, { volumes: [{ name: "v", hostPath: { path: "/" } }] }, 'hostPath volumes (volume "v")'],
  ["a host port", { ports: [{ hostPort: 80 }] }, {}, 'hostPort (container "c" uses hostPort 80)'],
  [
    "a capability beyond the default",
    { securityContext: { capabilities: { add: ["NET_ADMIN"] } } },
    {},
    'non-default capabilities (container "c" must not include "NET_ADMIN" in securityContext.capabilities.add)',
  ],
  [
    "no seccomp",
    {},
    { securityContext: { seccompProfile: { type: "Unconfined" } } },
    'seccompProfile (pod must not set securityContext.seccompProfile.type to "Unconfined")',
  ],
];
for (const [words, container, spec, expected] of TABLE)
  test(`baseline refuses ${words}`, () => {
    assert.equal(violations("baseline", pod(container, spec)), expected);
    assert.equal(violations("privileged", pod(container, spec)), "");
  });
