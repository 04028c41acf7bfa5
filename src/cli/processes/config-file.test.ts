import assert from "node:assert/strict";
import { test } from "node:test";
import { simulatedWorld } from "../../testing/sim/world.ts";
import { parseFlags } from "../flags.ts";
import { kubeletFlags } from "../flags/kubelet.ts";
import { overlay, readDocument, withFile } from "./config-file.ts";

const FIELDS = {
  "max-pods": "maxPods",
  "sync-frequency": "syncFrequency",
  "anonymous-auth": "authentication.anonymous.enabled",
} as const;

test("a file's field stands in for its flag, and a flag that is set wins", () => {
  const document = { maxPods: 50, syncFrequency: "1m30s", authentication: { anonymous: { enabled: false } } };
  const of = (...args: string[]) => {
    const values = withFile(kubeletFlags, parseFlags(kubeletFlags, args), document, FIELDS);
    return [values["max-pods"], values["sync-frequency"], values["anonymous-auth"], values.port];
  };
  assert.deepEqual(of(), [50, 90_000, false, 10_250]);
  assert.deepEqual(of("--max-pods=7", "--anonymous-auth"), [7, 90_000, true, 10_250]);
});

test("a field of the wrong type is refused by its name", () => {
  const parsed = parseFlags(kubeletFlags, []);
  assert.throws(() => withFile(kubeletFlags, parsed, { maxPods: "many" }, FIELDS), {
    message: 'maxPods: Invalid value: "many": must be of type int',
  });
});

test("one document lies over another: mappings merge, lists are replaced", () =>
  assert.deepEqual(overlay({ a: { x: 1, y: 2 }, l: [1, 2] }, { a: { y: 3 }, l: [4] }), { a: { x: 1, y: 3 }, l: [4] }));

test("a file of another kind is refused", async () => {
  const { fs } = simulatedWorld(1);
  await fs.writeFile("/c.yaml", "apiVersion: v1\nkind: Pod\n");
  await assert.rejects(readDocument(fs, "/c.yaml", "KubeletConfiguration", "kubelet.config.k8s.io/v1beta1"), {
    message: 'failed to load config file /c.yaml: no kind "Pod" is registered for version "v1"',
  });
  await assert.rejects(readDocument(fs, "/none", "KubeletConfiguration", "kubelet.config.k8s.io/v1beta1"), {
    message: "open /none: no such file or directory",
  });
});
