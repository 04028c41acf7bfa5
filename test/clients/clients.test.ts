/** Clients in other languages at work against our executables: `npm run clients`. Building Go's takes a minute or more the first time. */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

const T8S = join(import.meta.dirname, "../../bin/t8s");
const go = spawnSync("go", ["version"]).status === 0;

test("client-go and controller-runtime", { skip: go ? false : "go is not installed" }, (t) => {
  const dir = mkdtempSync(join(tmpdir(), "t8s-clients-"));
  try {
    const program = join(dir, "clients");
    const folder = join(import.meta.dirname, "go");
    const build = spawnSync("go", ["build", "-o", program, "."], { cwd: folder, encoding: "utf8", timeout: 900_000 });
    if (/dial tcp|proxyconnect|no such host/.test(build.stderr)) return t.skip("the modules can't be fetched");
    assert.equal(build.status, 0, build.stderr);
    const assets = execFileSync(T8S, ["envtest", "--dir", join(dir, "assets")], { encoding: "utf8" }).trim();
    const { status, stdout, stderr } = spawnSync(program, {
      encoding: "utf8",
      env: { ...process.env, KUBEBUILDER_ASSETS: assets },
      timeout: 120_000,
    });
    assert.equal(status, 0, stdout + stderr);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});
