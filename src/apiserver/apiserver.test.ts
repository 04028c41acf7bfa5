/** The server from outside: what a client in this process sees. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { configMaps } from "../api/core/v1/configmap/resource.ts";
import { hasReason } from "../machinery/status.ts";
import { nodeWorld } from "../world/node/index.ts";
import { startServer } from "./testing/harness.ts";

const world = nodeWorld();

test("an object that was created can be got, listed and watched, and is in etcd under upstream's key", async () => {
  await using harness = await startServer(world);
  const client = harness.client();
  const created = await client.create(configMaps, { metadata: { name: "a", namespace: "default" }, data: { k: "v" } });
  assert.equal(created.data?.["k"], "v");
  assert.match(created.metadata.uid, /^[0-9a-f-]{36}$/);
  assert.equal(created.metadata.resourceVersion, String(harness.etcd.revision));
  assert.ok(harness.etcd.keys.includes("/registry/configmaps/default/a"));
  assert.deepEqual(await client.get(configMaps, { namespace: "default", name: "a" }), created);
  const list = await client.list(configMaps, { namespace: "default" });
  assert.ok(list.items.some((item) => item.metadata.name === "a"));
  const abort = new AbortController();
  const events: string[] = [];
  const watching = (async () => {
    for await (const event of client.watch(configMaps, {
      namespace: "default",
      resourceVersion: created.metadata.resourceVersion,
      signal: abort.signal,
    })) {
      events.push(`${event.type} ${event.object.metadata.name}`);
      if (event.type === "DELETED") abort.abort();
    }
  })();
  const updated = await client.update(configMaps, { ...created, data: { k: "w" } });
  assert.notEqual(updated.metadata.resourceVersion, created.metadata.resourceVersion);
  await client.delete(configMaps, { namespace: "default", name: "a" });
  await watching.catch(() => {});
  assert.deepEqual(events, ["MODIFIED a", "DELETED a"]);
  await assert.rejects(
    client.get(configMaps, { namespace: "default", name: "a" }),
    (error) => hasReason(error, "NotFound") && error.message === 'configmaps "a" not found',
  );
});

test("a stale update is a conflict, and one without change writes nothing", async () => {
  await using harness = await startServer(world);
  const client = harness.client();
  const first = await client.create(configMaps, { metadata: { name: "a", namespace: "default" } });
  await client.update(configMaps, { ...first, data: { k: "1" } });
  await assert.rejects(
    client.update(configMaps, { ...first, data: { k: "2" } }),
    (error) =>
      hasReason(error, "Conflict") &&
      error.message ===
        'Operation cannot be fulfilled on configmaps "a": the object has been modified; please apply your changes to the latest version and try again',
  );
  const now = await client.get(configMaps, { namespace: "default", name: "a" });
  const same = await client.update(configMaps, now);
  assert.equal(same.metadata.resourceVersion, now.metadata.resourceVersion);
});
