import assert from "node:assert/strict";
import { test } from "node:test";
import { silent } from "../../observe/log.ts";
import { simulatedWorld } from "../../testing/sim/world.ts";
import type { Runtime } from "../runtimes/runtime.ts";
import { ImageCollector } from "./collector.ts";
import { DEFAULT_POLICY } from "./gc.ts";

test("images that no container uses go when their disk is full, the longest unused first, and the sandboxes' never", async () => {
  const world = simulatedWorld(1);
  const images = new Map([
    ["old", "docker.io/library/old:1"],
    ["used", "docker.io/library/used:1"],
    ["new", "docker.io/library/new:1"],
    ["pause", "registry.k8s.io/pause:3.10"],
  ]);
  let inUse = ["old", "used"];
  const cri = {
    runtime: { ListContainers: async () => ({ containers: inUse.map((id) => ({ image_id: id, image_ref: id })) }) },
    images: {
      ListImages: async () => ({
        images: [...images].map(([id, tag]) => ({ id, repo_tags: [tag], repo_digests: [], size: 8, pinned: false })),
      }),
      RemoveImage: async ({ image }: { image: { image: string } }) => {
        images.delete(image.image);
        return {};
      },
      ImageFsInfo: async () => ({ image_filesystems: [{ fs_id: { mountpoint: "/images" } }] }),
    },
  } as unknown as Runtime;
  const told: string[] = [];
  let free = 16;
  const fs = {
    stat: async () => ({ kind: "dir" }),
    statfs: async () => ({ sizeBytes: 100, freeBytes: free, files: 1, filesFree: 1 }),
  };
  const collector = new ImageCollector(DEFAULT_POLICY, {
    world: { clock: world.clock, fs: fs as any },
    log: silent,
    events: { event: (_about, _type, reason, message) => void told.push(`${reason} ${message}`) },
    cri,
    node: { kind: "Node", name: "n" },
  });
  const abort = new AbortController();
  const run = collector.run(abort.signal);
  await world.clock.advance(1000);
  assert.equal(images.size, 4); // Below the high mark.
  inUse = ["used"];
  free = 13; // 87 % are used: down to 80 % takes 7 bytes.
  await world.clock.advance(300_000);
  assert.deepEqual([...images.keys()], ["old", "used", "pause"]); // "old" was used once, "new" never.
  free = 1;
  await world.clock.advance(300_000);
  assert.deepEqual([...images.keys()], ["used", "pause"]);
  assert.deepEqual(told, [
    "FreeDiskSpaceFailed Insufficient free disk space on the node's image filesystem (99% of 100 B used). Failed to free sufficient space by deleting unused images (freed 8 bytes). Investigate disk usage, as it could be used by active images, logs, volumes, or other data.",
  ]);
  abort.abort();
  await world.clock.advance(1000);
  await run;
});
