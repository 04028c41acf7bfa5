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

const reasons = (level: Level, version: string, container: object, spec: object = {}, metadata: object = {}) =>
  find(level, version, { metadata, ...pod(container, spec) }).map(({ reason }) => reason);
const PROBE = { livenessProbe: { tcpSocket: { port: 1, host: "10.0.0.1" } } };
const SYSCTL = (name: string) => ({ securityContext: { sysctls: [{ name, value: "1" }] } });
const SECCOMP = { annotations: { "seccomp.security.alpha.kubernetes.io/pod": "unconfined" } };
const VERSIONS: readonly (readonly [string, Level, string, object, object, readonly string[], object?])[] = [
  ["nothing of it but not being root", "restricted", "v1.7", {}, {}, ["runAsNonRoot != true"]],
  [
    "no escalation, from 1.8",
    "restricted",
    "v1.8",
    {},
    {},
    ["allowPrivilegeEscalation != false", "runAsNonRoot != true"],
  ],
  ["Windows to escalate, from 1.25", "restricted", "v1.25", {}, { os: { name: "windows" } }, ["runAsNonRoot != true"]],
  ["probes of other hosts, before 1.34", "baseline", "v1.33", PROBE, {}, []],
  ["no probes of other hosts, from 1.34", "baseline", "v1.34", PROBE, {}, ["probe or lifecycle host"]],
  [
    "no keepalive time, before 1.29",
    "baseline",
    "v1.28",
    {},
    SYSCTL("net.ipv4.tcp_keepalive_time"),
    ["forbidden sysctls"],
  ],
  ["keepalive time, from 1.29", "baseline", "v1.29", {}, SYSCTL("net.ipv4.tcp_keepalive_time"), []],
  ["no annotation without seccomp, before 1.19", "baseline", "v1.18", {}, {}, ["seccompProfile"], SECCOMP],
  ["annotations that nobody reads, from 1.19", "baseline", "v1.19", {}, {}, [], SECCOMP],
  [
    "root among users of its own, from 1.35",
    "restricted",
    "v1.35",
    { ...SAFE, securityContext: { ...SAFE.securityContext, runAsNonRoot: false } },
    { hostUsers: false },
    [],
  ],
  [
    "no root among users of its own, before 1.35",
    "restricted",
    "v1.34",
    { ...SAFE, securityContext: { ...SAFE.securityContext, runAsNonRoot: false } },
    { hostUsers: false },
    ["runAsNonRoot != true"],
  ],
  ["what is latest, for versions to come", "baseline", "v1.99", PROBE, {}, ["probe or lifecycle host"]],
];
for (const [words, level, version, container, spec, expected, metadata] of VERSIONS)
  test(`${level}:${version} knows ${words}`, () => {
    assert.deepEqual(reasons(level, version, container, spec, metadata), expected);
  });

test("what breaks baseline comes before what breaks restricted", () => {
  assert.deepEqual(reasons("restricted", "latest", {}, { hostPID: true, hostNetwork: true }).slice(0, 2), [
    "host namespaces",
    "allowPrivilegeEscalation != false",
  ]);
});
