import assert from "node:assert/strict";
import { test } from "node:test";
import type { Pod, Service } from "../../api/generated/core.v1.ts";
import type { DownwardContext } from "./downward.ts";
import { environmentOf, serviceEnvironment } from "./environment.ts";
import { expand, expandStrictly } from "./expansion.ts";

const variables: Readonly<Record<string, string>> = { VAR: "value", EMPTY: "" };
for (const [input, expected] of [
  ["plain", "plain"],
  ["$(VAR)", "value"],
  ["a-$(VAR)-b", "a-value-b"],
  ["$$(VAR)", "$(VAR)"],
  ["$$$(VAR)", "$value"],
  ["$(OTHER)", "$(OTHER)"],
  ["$(VAR", "$(VAR"],
  ["$VAR", "$VAR"],
  ["cost: 5$", "cost: 5$"],
  ["$(EMPTY)!", "!"],
  ["$()", "$()"],
] as const)
  test(`"${input}" expands to "${expected}"`, () =>
    assert.equal(
      expand(input, (name) => variables[name]),
      expected,
    ));

test("a sub path must know all its variables", () => {
  assert.throws(() => expandStrictly("a/$(OTHER)", () => undefined), { message: 'missing value for "OTHER"' });
});

const downward: DownwardContext = {
  podIPs: ["10.0.0.5"],
  hostIPs: ["192.0.2.1"],
  allocatable: { cpu: "4", memory: "8Gi" },
};
const container = { name: "c", resources: { requests: { cpu: "250m" }, limits: { memory: "64Mi" } } };
const pod = {
  metadata: { name: "p", namespace: "ns", uid: "u", labels: { app: "web" } },
  spec: { containers: [container], nodeName: "n", enableServiceLinks: true },
} as unknown as Pod;
const configMap = { data: { a: "1", b: "2" } } as never;
const secret = { data: { key: Buffer.from("hidden").toString("base64") } } as never;
const references = {
  configMaps: new Map([["cm", configMap]]),
  secrets: new Map([["s", secret]]),
};

function environment(env: object[], envFrom: object[] = [], services: Record<string, string> = {}) {
  return Object.fromEntries(
    environmentOf(pod, { ...container, env, envFrom } as never, references, services, downward),
  );
}

test("a variable sees those before it and the services, and none after", () => {
  const env = [
    { name: "A", value: "$(B) $(SVC)" },
    { name: "B", value: "b" },
    { name: "C", value: "$(B)" },
  ];
  assert.deepEqual(environment(env, [], { SVC: "x" }), { A: "$(B) x", B: "b", C: "b", SVC: "x" });
});

test("fields and resources of the pod become variables", () => {
  const from = (fieldPath: string) => ({ fieldRef: { fieldPath } });
  const of = (resource: string, divisor = "0") => ({ resourceFieldRef: { resource, divisor } });
  const env = [
    { name: "NAME", valueFrom: from("metadata.name") },
    { name: "APP", valueFrom: from("metadata.labels['app']") },
    { name: "IP", valueFrom: from("status.podIP") },
    { name: "HOST", valueFrom: from("status.hostIP") },
    { name: "CPU", valueFrom: of("requests.cpu") },
    { name: "MILLI", valueFrom: of("requests.cpu", "1m") },
    { name: "LIMIT", valueFrom: of("limits.cpu") },
    { name: "MEMORY", valueFrom: of("limits.memory", "1Mi") },
  ];
  assert.deepEqual(environment(env), {
    NAME: "p",
    APP: "web",
    IP: "10.0.0.5",
    HOST: "192.0.2.1",
    CPU: "1",
    MILLI: "250",
    LIMIT: "4",
    MEMORY: "64",
  });
});

test("keys of config maps and secrets become variables, with a prefix where one is given", () => {
  const env = [{ name: "S", valueFrom: { secretKeyRef: { name: "s", key: "key" } } }];
  assert.deepEqual(environment(env, [{ prefix: "P_", configMapRef: { name: "cm" } }]), {
    P_a: "1",
    P_b: "2",
    S: "hidden",
  });
});

test("what is missing is an error, or nothing where it is optional", () => {
  const key = (more: object) => [{ name: "X", valueFrom: { configMapKeyRef: more } }];
  assert.throws(() => environment(key({ name: "none", key: "a" })), { message: 'configmap "none" not found' });
  assert.throws(() => environment(key({ name: "cm", key: "z" })), {
    message: "couldn't find key z in ConfigMap ns/cm",
  });
  assert.deepEqual(environment(key({ name: "cm", key: "z", optional: true })), {});
});

test("services of the namespace and the API's own become variables", () => {
  const service = (namespace: string, name: string, clusterIP: string, ports: object[]) =>
    ({ metadata: { namespace, name }, spec: { clusterIP, ports } }) as unknown as Service;
  const found = serviceEnvironment(pod, [
    service("default", "kubernetes", "10.96.0.1", [{ name: "https", port: 443, protocol: "TCP" }]),
    service("default", "other", "10.96.0.9", [{ port: 80, protocol: "TCP" }]),
    service("ns", "my-db", "10.96.0.2", [{ port: 53, protocol: "UDP" }]),
    service("ns", "headless", "None", [{ port: 1, protocol: "TCP" }]),
  ]);
  assert.deepEqual(found, {
    KUBERNETES_SERVICE_HOST: "10.96.0.1",
    KUBERNETES_SERVICE_PORT: "443",
    KUBERNETES_SERVICE_PORT_HTTPS: "443",
    KUBERNETES_PORT: "tcp://10.96.0.1:443",
    KUBERNETES_PORT_443_TCP: "tcp://10.96.0.1:443",
    KUBERNETES_PORT_443_TCP_PROTO: "tcp",
    KUBERNETES_PORT_443_TCP_PORT: "443",
    KUBERNETES_PORT_443_TCP_ADDR: "10.96.0.1",
    MY_DB_SERVICE_HOST: "10.96.0.2",
    MY_DB_SERVICE_PORT: "53",
    MY_DB_PORT: "udp://10.96.0.2:53",
    MY_DB_PORT_53_UDP: "udp://10.96.0.2:53",
    MY_DB_PORT_53_UDP_PROTO: "udp",
    MY_DB_PORT_53_UDP_PORT: "53",
    MY_DB_PORT_53_UDP_ADDR: "10.96.0.2",
  });
});
