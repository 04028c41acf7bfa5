import assert from "node:assert/strict";
import { test } from "node:test";
import type { Container } from "../../../generated/core.v1.ts";
import { NUMBERS, peakOf, qosClassOf, sumOfContainers } from "./resources.ts";

const asking = (cpu: string, more: object = {}) =>
  ({ name: cpu, resources: { requests: { cpu } }, ...more }) as unknown as Container;
const sidecar = (cpu: string) => asking(cpu, { restartPolicy: "Always" });

test("a pod's peak is its containers with their sidecars, or an init container with the sidecars before it", () => {
  const spec = { containers: [asking("100m"), asking("200m")], initContainers: [asking("150m"), sidecar("50m")] };
  assert.deepEqual(sumOfContainers(spec, "requests"), { cpu: "350m" });
  const heavy = { ...spec, initContainers: [sidecar("50m"), asking("1"), sidecar("50m")] };
  assert.deepEqual(sumOfContainers(heavy, "requests"), { cpu: "1050m" });
  const numbers = peakOf(heavy, ({ name }) => [["cpu", name === "1" ? 1000 : Number.parseInt(name, 10)]], NUMBERS);
  assert.deepEqual([...numbers], [["cpu", 1050]]);
});

test("quality of service asks for limits that equal the requests, of cpu and memory, in every container", () => {
  const all = { cpu: "1", memory: "1Gi" };
  const container = (requests: object, limits: object) => ({
    containers: [{ name: "c", resources: { requests, limits } } as unknown as Container],
  });
  assert.equal(qosClassOf(container(all, all)), "Guaranteed");
  assert.equal(qosClassOf(container(all, { ...all, cpu: "1000m" })), "Guaranteed");
  assert.equal(qosClassOf(container({ cpu: "1" }, { cpu: "1" })), "Burstable");
  assert.equal(qosClassOf(container({ cpu: "0" }, {})), "BestEffort");
});
