import assert from "node:assert/strict";
import { test } from "node:test";
import type { Authority } from "../../machinery/pki/certificate.ts";
import { silent } from "../../observe/log.ts";
import type { World } from "../../world/world.ts";
import { nodeWorld } from "../../world/node/index.ts";
import { selfSigned } from "../certificates.ts";
import { parseFlags } from "../flags.ts";
import { kubeControllerManagerFlags } from "../flags/kube-controller-manager.ts";
import { followedAuthorities } from "./signing-authorities.ts";

const { values } = parseFlags(kubeControllerManagerFlags, [
  "--cluster-signing-cert-file=/ca/cert",
  "--cluster-signing-key-file=/ca/key",
]);

test("an authority whose files change signs from then on; halves of two are passed over", async () => {
  const machine = nodeWorld();
  const [first, second] = [await selfSigned(machine, "first"), await selfSigned(machine, "second")];
  const files: Record<string, string> = { "/ca/cert": first.cert, "/ca/key": first.key };
  let hint: (() => void) | undefined;
  let fire: (() => void) | undefined;
  let applied = 0;
  const world = {
    clock: {
      monotonic: () => 0,
      now: () => 0,
      soon: (run: () => void) => queueMicrotask(run),
      after(ms: number, run: () => void) {
        if (ms === 100) fire = run;
        return { [Symbol.dispose]: () => {} };
      },
    },
    fs: {
      readFile: async (path: string) => Buffer.from(files[path]!),
      watch(_folder: string, onChange: () => void) {
        hint = onChange;
        return { [Symbol.dispose]: () => {} };
      },
    },
  } as unknown as World;
  const log = { ...silent, info: () => void applied++, error: () => void applied++ };
  const followed = (await followedAuthorities(world, values, log))!;
  const now = () => (followed.authorities as () => Authority)().cert;
  const stop = new AbortController();
  const running = followed.component.run(stop.signal, () => {});
  while (hint === undefined) await new Promise(setImmediate);
  const looked = async () => {
    const before = applied;
    hint!();
    fire!();
    while (applied === before) await new Promise(setImmediate);
  };
  assert.equal(now(), first.cert);
  files["/ca/cert"] = second.cert;
  await looked();
  assert.equal(now(), first.cert, "the key is still the one of before");
  files["/ca/key"] = second.key;
  await looked();
  assert.equal(now(), second.cert);
  stop.abort();
  await running;
});
