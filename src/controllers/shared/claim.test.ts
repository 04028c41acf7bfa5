import assert from "node:assert/strict";
import { test } from "node:test";
import type { ReplicaSet } from "../../api/generated/apps.v1.ts";
import type { Pod } from "../../api/generated/core.v1.ts";
import { createClient } from "../../client/create-client.ts";
import { pods, replicaSets } from "../../client/resources.ts";
import { fakeTransport } from "../../testing/fake-transport.ts";
import { claim, controllerReference } from "./claim.ts";

function setUp() {
  const server = fakeTransport();
  const owner = server.put<ReplicaSet>(replicaSets, { metadata: { name: "mine", namespace: "default" } });
  const pod = (name: string, more: object = {}) =>
    server.put<Pod>(pods, { metadata: { name, namespace: "default", labels: { app: "a" }, ...more } });
  const run = async (as: ReplicaSet, ...candidates: Pod[]) => {
    const claimed = await claim({
      client: createClient(server),
      owners: replicaSets,
      owner: as,
      resource: pods,
      candidates,
      matches: ({ metadata }) => metadata.labels?.["app"] === "a",
      signal: new AbortController().signal,
    });
    return claimed.map(({ metadata }) => metadata.name);
  };
  return { server, owner, pod, run };
}

test("what another controls is left alone, though it matches", async () => {
  const { owner, pod, run, server } = setUp();
  const other = { ...controllerReference(owner), uid: "other" };
  assert.deepEqual(
    await run(
      owner,
      pod("foreign", { ownerReferences: [other] }),
      pod("own", { ownerReferences: [controllerReference(owner)] }),
    ),
    ["own"],
  );
  assert.deepEqual(server.requests, []);
});

test("an orphan is adopted, one that is on its way out or in another place is not", async () => {
  const { owner, pod, run, server } = setUp();
  const leaving = pod("leaving", { deletionTimestamp: "2030-01-01T00:00:00Z", finalizers: ["x"] });
  const elsewhere = server.put<Pod>(pods, {
    metadata: { name: "elsewhere", namespace: "other", labels: { app: "a" } },
  });
  assert.deepEqual(await run(owner, pod("orphan"), leaving, elsewhere), ["orphan"]);
  assert.equal(server.get<Pod>(pods, "default/orphan")!.metadata.ownerReferences![0]!.uid, owner.metadata.uid);
});

test("an owner that the server deletes already, or has no more, adopts nobody", async () => {
  const { owner, pod, run, server } = setUp();
  const orphan = pod("orphan");
  server.put(replicaSets, {
    ...owner,
    metadata: { ...owner.metadata, deletionTimestamp: "2030-01-01T00:00:00Z", finalizers: ["x"] },
  });
  await assert.rejects(run(owner, orphan), /default\/mine has just been deleted at 2030-01-01T00:00:00Z/);
  server.take(replicaSets, "default/mine");
  server.put(replicaSets, { metadata: { name: "mine", namespace: "default", uid: "new" } });
  await assert.rejects(run(owner, orphan), /original ReplicaSet default\/mine is gone: got uid new, wanted/);
  assert.equal(server.get<Pod>(pods, "default/orphan")!.metadata.ownerReferences, undefined);
});
