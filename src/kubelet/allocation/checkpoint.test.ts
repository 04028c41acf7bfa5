import assert from "node:assert/strict";
import { test } from "node:test";
import { simulatedWorld } from "../../testing/sim/world.ts";
import { ResourceCheckpoint, writeCheckpoint } from "./checkpoint.ts";

const PATH = "/kubelet/allocated_pods_state";

test("a checkpoint is what upstream's kubelet writes and checks", () => {
  const entries = { u: { ContainerResources: { c: { requests: { cpu: "1" } } }, PodLevelResources: null } };
  assert.deepEqual(JSON.parse(writeCheckpoint(entries)), { data: JSON.stringify({ entries }), checksum: 1166042721 });
});

test("what was granted is known after a restart, and what was forgotten goes with the next change", async () => {
  const { fs } = simulatedWorld(1);
  await fs.mkdir("/kubelet", { recursive: true });
  const first = new ResourceCheckpoint(fs, PATH);
  await first.load();
  first.setContainer("a", "c", { requests: { cpu: "1" } });
  first.setPod("a", { limits: { memory: "1Gi" } });
  first.setContainer("b", "c", {});
  await first.flush();
  first.remove("b");
  await first.flush();
  const second = new ResourceCheckpoint(fs, PATH);
  await second.load();
  assert.deepEqual(second.get("a"), {
    ContainerResources: { c: { requests: { cpu: "1" } } },
    PodLevelResources: { limits: { memory: "1Gi" } },
  });
  assert.equal(second.get("b"), undefined);
});

test("a checkpoint that was changed by hand keeps the kubelet from starting", async () => {
  const { fs } = simulatedWorld(1);
  await fs.mkdir("/kubelet", { recursive: true });
  const text = writeCheckpoint({ u: { ContainerResources: {}, PodLevelResources: null } });
  await fs.writeFile(PATH, text.replace("ContainerResources", "containerResources"));
  await assert.rejects(
    new ResourceCheckpoint(fs, PATH).load(),
    /could not restore state from checkpoint: checkpoint is corrupted, please drain this node and delete pod resource information checkpoint file "\/kubelet\/allocated_pods_state"/,
  );
});
