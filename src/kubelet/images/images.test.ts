import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { ociArchive, tar } from "./oci-archive.ts";
import { pauseProgram } from "./pause.ts";

test(
  "the pause program waits, and ends well on SIGTERM",
  {
    skip:
      process.platform !== "linux" || !["x64", "arm64"].includes(process.arch) ? "needs Linux on x64 or arm64" : false,
  },
  async () => {
    const folder = mkdtempSync(join(tmpdir(), "pause-"));
    try {
      writeFileSync(join(folder, "pause"), pauseProgram(process.arch as "x64"));
      chmodSync(join(folder, "pause"), 0o755);
      const child = spawn(join(folder, "pause"), { stdio: "ignore" });
      await once(child, "spawn");
      // It sleeps once it is ready for signals: until then SIGTERM ends it as any other program.
      while (!/^State:\s+S/m.test(readFileSync(`/proc/${child.pid}/status`, "utf8"))) await turn();
      process.kill(child.pid!, "SIGCHLD");
      assert.equal(child.exitCode, null);
      child.kill("SIGTERM");
      assert.deepEqual(await once(child, "exit"), [0, null]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
);

test("tar reads what tar() writes", () => {
  const archive = tar([
    { path: "a", dir: true },
    { path: "a/b", data: Buffer.from("hello"), mode: 0o755 },
    { path: "a/c", linkTo: "b" },
  ]);
  const listing = execFileSync("tar", ["tvf", "-"], { input: archive, encoding: "utf8" });
  assert.match(listing, /^drwxr-xr-x .* a\/\n-rwxr-xr-x .* 5 .* a\/b\nlrwxrwxrwx .* a\/c -> b\n$/);
});

test("the same image gives the same archive, byte for byte", () => {
  const image = {
    names: ["x:1"],
    architecture: "amd64",
    layers: [tar([{ path: "pause", data: pauseProgram("arm64"), mode: 0o755 }])],
    config: { Entrypoint: ["/pause"] },
  } as const;
  assert.deepEqual(ociArchive([image]), ociArchive([image]));
});
