/** @dot-i/k8s-operator: an operator that registers its definition, watches, sets status and finalizers. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as k8s from "@kubernetes/client-node";
import framework from "@dot-i/k8s-operator";
import { eventually, step } from "./steps.mjs";

const folder = mkdtempSync(join(tmpdir(), "operator-"));
const file = join(folder, "crd.yaml");
writeFileSync(
  file,
  `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: { name: things.dot-i.example.com }
spec:
  group: dot-i.example.com
  scope: Namespaced
  names: { plural: things, singular: thing, kind: Thing }
  versions:
    - name: v1
      served: true
      storage: true
      subresources: { status: {} }
      schema: { openAPIV3Schema: { type: object, properties: { status: { type: object, properties: { phase: { type: string } } } } } }
`,
);
const seen = [];
const quiet = { debug() {}, info() {}, warn() {}, error: (words) => seen.push(`error ${words}`) };
class Things extends framework.default {
  async init() {
    const { group, versions, plural } = await this.registerCustomResourceDefinition(file);
    await this.watchResource(group, versions[0].name, plural, async (event) => {
      seen.push(`${event.type} ${event.meta.name}`);
      const taken = await this.handleResourceFinalizer(
        event,
        "dot-i.example.com/x",
        async () => void seen.push("let go"),
      );
      if (!taken && event.object.status === undefined) await this.setResourceStatus(event.meta, { phase: "Seen" });
    });
  }
}

await step("@dot-i/k8s-operator: a definition, events, status, finalizers", async () => {
  const config = new k8s.KubeConfig();
  config.loadFromDefault();
  const objects = config.makeApiClient(k8s.CustomObjectsApi);
  const operator = new Things(quiet);
  await operator.start();
  const where = { group: "dot-i.example.com", version: "v1", namespace: "default", plural: "things" };
  const body = { apiVersion: "dot-i.example.com/v1", kind: "Thing", metadata: { name: "t" } };
  await eventually(() => objects.createNamespacedCustomObject({ ...where, body }).catch(() => undefined));
  await eventually(async () => {
    const { status, metadata } = await objects.getNamespacedCustomObject({ ...where, name: "t" });
    return status?.phase === "Seen" && metadata.finalizers?.[0] === "dot-i.example.com/x";
  });
  await objects.deleteNamespacedCustomObject({ ...where, name: "t" });
  await eventually(() => seen.includes("let go") && seen.includes("DELETED t"));
  assert.equal(seen[0], "ADDED t");
  assert.deepEqual(
    seen.filter((line) => line.startsWith("error")),
    [],
  );
});
// Stopping its watch would have the library end the program with a failure.
rmSync(folder, { recursive: true });
process.exit(0);
