/**
 * The server that writes an object keeps it as it is; another reads it from its bytes. Both must see the same, or what a write does depends on
 * whether an event of etcd's watch or the answer to the last write came first.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { builtinResources } from "../api/index.ts";
import type { Resource } from "../machinery/resource.ts";
import { apiVersionOf, pathOf } from "../machinery/resource.ts";
import { SAMPLE_NAMESPACE, sampleOf, sampleStatusOf } from "../testing/samples.ts";
import { nodeWorld } from "../world/node/index.ts";
import { ask, ASKABLE } from "./testing/ask.ts";
import type { Harness } from "./testing/harness.ts";
import { startServer } from "./testing/harness.ts";

/** The server itself writes the status of what it serves for others. */
const LIVE: readonly string[] = ["APIService", "CustomResourceDefinition", "FlowSchema"];
const stored = builtinResources.filter(
  ({ storage, kind, verbs }) => storage.virtual !== true && !LIVE.includes(kind) && verbs.includes("patch"),
);

const options = { ...ASKABLE, resources: builtinResources, disableAdmissionPlugins: ["ServiceAccount"] };

function oneOf(resource: Resource, name: string): string {
  return pathOf(resource, { ...(resource.scope === "Namespaced" && { namespace: SAMPLE_NAMESPACE }), name });
}

async function expect(harness: Harness, code: number, method: string, path: string, body?: unknown): Promise<any> {
  const answer = await ask(harness, method, path, {
    ...(body !== undefined && { body: JSON.stringify(body) }),
    headers: { "content-type": method === "PATCH" ? "application/merge-patch+json" : "application/json" },
  });
  assert.equal(answer.status, code, `${method} ${path}: ${answer.body.toString()}`);
  return JSON.parse(answer.body.toString());
}

for (const storageMediaType of ["application/json", "application/vnd.kubernetes.protobuf"] as const)
  test(`an object that is read from ${storageMediaType} is the one that was written, and an empty patch writes nothing`, async () => {
    const world = nodeWorld();
    await using writer = await startServer(world, { ...options, storageMediaType });
    await using reader = await startServer(world, { ...options, storageMediaType }, writer.etcd);
    for (const [index, resource] of stored.entries()) {
      const sample = sampleOf(resource, index);
      const { name } = sample.metadata;
      const versions = stored.filter(
        ({ storage, plural }) => plural === resource.plural && apiVersionOf(storage) === apiVersionOf(resource.storage),
      );
      const same = async () => {
        for (const version of versions) {
          const path = oneOf(version, name);
          const asWritten = await expect(writer, 200, "GET", path);
          for (const server of [reader, writer]) {
            assert.deepEqual(await expect(server, 200, "GET", path), asWritten, path);
            assert.deepEqual(await expect(server, 200, "PATCH", path, {}), asWritten, `an empty patch of ${path}`);
          }
        }
      };
      const path = oneOf(resource, name);
      await expect(writer, 201, "POST", path.slice(0, path.lastIndexOf("/")), sample);
      await same();
      await expect(writer, 200, "PATCH", path, { metadata: { labels: { a: "1" }, annotations: { b: "2" } } });
      await same();
      if (resource.subresources["status"] !== undefined) {
        await expect(writer, 200, "PATCH", `${path}/status`, { status: sampleStatusOf(resource) });
        await same();
      }
    }
  });
