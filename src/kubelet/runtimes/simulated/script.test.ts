import assert from "node:assert/strict";
import { test } from "node:test";
import { addressAt } from "./addresses.ts";
import { scriptOf } from "./script.ts";

const script = (image: string, command: readonly string[] = [], annotation?: string) => {
  const { exitCode, afterMs, log } = scriptOf({ image, command, annotation });
  return [exitCode, afterMs, ...log];
};

for (const [name, actual, expected] of [
  ["an image says nothing", script("nginx"), [undefined, 0]],
  ["an image says how it ends", script("exit:3?after=2s"), [3, 2000]],
  ["an image says what it logs", script("nginx?log=a&log=b"), [undefined, 0, "a", "b"]],
  ["a command is known", script("busybox", ["sh", "-c", 'echo "a b"; sleep 2; exit 3']), [3, 2000, "a b"]],
  ["a command sleeps for ever", script("busybox", ["sh", "-c", "echo hi && sleep infinity"]), [undefined, 0, "hi"]],
  ["a command is not known", script("busybox", ["sh", "-c", "echo hi; httpd -f"]), [undefined, 0]],
  ["a command fails", script("busybox", ["/bin/false"]), [1, 0]],
  ["an annotation wins over all", script("exit:1", ["true"], "exit=7&after=1m"), [7, 60_000]],
] as const)
  test(`a simulated container does what is declared when ${name}`, () => assert.deepEqual(actual, expected));

test("addresses are counted from the start of the range, and end with it", () => {
  assert.equal(addressAt("10.244.1.0/24", 2), "10.244.1.2");
  assert.equal(addressAt("10.244.0.0/16", 258), "10.244.1.2");
  assert.equal(addressAt("10.244.1.0/24", 255), undefined);
});
