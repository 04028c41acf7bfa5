import assert from "node:assert/strict";
import { test } from "node:test";
import { simulatedWorld } from "../../testing/sim/world.ts";
import { validatePath, writeAtomically } from "./atomic-writer.ts";
import type { Payload } from "./atomic-writer.ts";
import { configMapFiles } from "./payload.ts";
import { persistentVolumeClaim, whyUnusable } from "./claim.ts";
import { needsRenewal } from "./tokens.ts";

const files = (contents: Record<string, string>): Payload =>
  new Map(Object.entries(contents).map(([path, text]) => [path, { data: Buffer.from(text), mode: 0o644 }]));

test("a set of files changes at once, and what is gone disappears", async () => {
  const world = simulatedWorld(1);
  const { fs } = world;
  await fs.mkdir("/v", { recursive: true });
  const read = async (path: string) => Buffer.from(await fs.readFile(path)).toString();
  assert.equal(await writeAtomically(world, "/v", files({ a: "1", "dir/b": "2" })), true);
  const first = await fs.readlink("/v/..data");
  assert.equal(await read("/v/a"), "1");
  assert.equal(await read("/v/dir/b"), "2");
  assert.equal(await writeAtomically(world, "/v", files({ a: "1", "dir/b": "2" })), false);
  assert.equal(await fs.readlink("/v/..data"), first);
  assert.equal(await writeAtomically(world, "/v", files({ a: "3", c: "4" })), true);
  assert.notEqual(await fs.readlink("/v/..data"), first);
  assert.equal(await read("/v/a"), "3");
  const names = (await fs.list("/v")).filter((name) => !name.startsWith(".."));
  assert.deepEqual(names, ["a", "c"]);
  assert.equal((await fs.list("/v")).length, 4); // ..data, its folder, a, c
});

for (const path of ["", "/abs", "a/../b", "..a", `${"x".repeat(256)}`])
  test(`"${path.slice(0, 12)}" is no path for a projected file`, () => assert.throws(() => validatePath(path)));

test("items choose keys, paths and modes, and a missing key is an error unless optional", () => {
  const map = { data: { a: "1" }, binaryData: { b: "Ag==" } } as never;
  const source = { defaultMode: 0o644 };
  assert.deepEqual([...configMapFiles(map, source).keys()], ["a", "b"]);
  const chosen = configMapFiles(map, { ...source, items: [{ key: "a", path: "x/y", mode: 0o400 }] });
  assert.deepEqual(
    [...chosen].map(([path, { mode }]) => [path, mode]),
    [["x/y", 0o400]],
  );
  const absent = { ...source, items: [{ key: "z", path: "z" }] };
  assert.throws(() => configMapFiles(map, absent), { message: "configmap references non-existent config key: z" });
  assert.equal(configMapFiles(map, { ...absent, optional: true }).size, 0);
});

test("a claim can be used when it is bound, and one for this pod alone only by this pod", () => {
  const pod = { metadata: { name: "p", namespace: "d", uid: "1" } } as never;
  const claim = (more: object = {}, owner?: string) =>
    ({
      metadata: { name: "c", namespace: "d", ...(owner && { ownerReferences: [{ uid: owner, controller: true }] }) },
      spec: { volumeName: "v" },
      status: { phase: "Bound" },
      ...more,
    }) as never;
  assert.match(whyUnusable(undefined, pod, false)!, /^failed to fetch PVC/);
  assert.equal(whyUnusable(claim({ status: { phase: "Pending" } }), pod, false), "PVC is not bound");
  assert.equal(whyUnusable(claim(), pod, false), undefined);
  assert.match(whyUnusable(claim({}, "2"), pod, true)!, /pod is not owner/);
  assert.equal(whyUnusable(claim({}, "1"), pod, true), undefined);
});

test("a claim is where its volume is: a path of the node or of a local disk", async () => {
  const world = simulatedWorld(1);
  await world.fs.mkdir("/disk", { recursive: true });
  const pathOf = (spec: object) =>
    persistentVolumeClaim.setUp(
      {
        world,
        writesFiles: true,
        references: {
          claim: () => Promise.resolve({ metadata: {}, spec: { volumeName: "v" }, status: { phase: "Bound" } }),
          volume: (name: string) => Promise.resolve(name === "v" ? { spec } : undefined),
        },
      } as never,
      { metadata: { namespace: "d" } } as never,
      { name: "data", persistentVolumeClaim: { claimName: "c" } },
      "/pod/data",
    );
  assert.equal(await pathOf({ hostPath: { path: "/anywhere" } }), "/anywhere");
  assert.equal(await pathOf({ local: { path: "/disk" } }), "/disk");
  await assert.rejects(pathOf({ local: { path: "/gone" } }), { message: 'path "/gone" does not exist' });
  await assert.rejects(pathOf({ csi: {} }), { message: "no volume plugin matched" });
});

test("a token is renewed when four fifths of its life are over, or after a day", () => {
  const hour = 3_600_000;
  const token = { issuedMs: 0, expiresMs: hour, lifetimeMs: hour };
  assert.equal(needsRenewal(token, 0.79 * hour, 0), false);
  assert.equal(needsRenewal(token, 0.81 * hour, 0), true);
  assert.equal(needsRenewal({ issuedMs: 0, expiresMs: 1000 * hour, lifetimeMs: 1000 * hour }, 25 * hour, 0), true);
});
