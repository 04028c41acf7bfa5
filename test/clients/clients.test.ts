/** Clients in other languages and of other people at work: `npm run clients`. Building Go's takes a minute or more the first time. */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { TestCluster } from "../../src/testing/cluster.ts";
import { noNamespaces } from "../../src/testing/netns.ts";
import { realClients } from "../../tools/clients.ts";
import { npmSessions, pythonSessions } from "./sessions.ts";

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
      timeout: 300_000,
    });
    assert.equal(status, 0, stdout + stderr);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});

test(
  "controller-runtime's own suites of its clients and builder pass on our envtest folder",
  { skip: go ? false : "go is not installed" },
  (t) => {
    const dir = mkdtempSync(join(tmpdir(), "t8s-suites-"));
    try {
      const assets = execFileSync(T8S, ["envtest", "--dir", join(dir, "assets")], { encoding: "utf8" }).trim();
      const suites = ["client", "builder"].map((name) => `sigs.k8s.io/controller-runtime/pkg/${name}`);
      const { status, stdout, stderr } = spawnSync("go", ["test", "-count=1", "-p=1", ...suites], {
        cwd: join(import.meta.dirname, "go"),
        encoding: "utf8",
        env: { ...process.env, KUBEBUILDER_ASSETS: assets, KUBEBUILDER_CONTROLPLANE_START_TIMEOUT: "120s" },
        timeout: 900_000,
      });
      if (/dial tcp: lookup|proxyconnect|no such host/.test(stdout + stderr))
        return t.skip("the modules can't be fetched");
      assert.equal(status, 0, stdout + stderr);
      for (const suite of suites) assert.match(stdout, new RegExp(`^ok\\s+${suite}\\s`, "m"));
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  },
);

const clients = realClients();
const noCluster = noNamespaces() ?? (clients === undefined ? "kubectl could not be fetched" : undefined);

describe("a cluster of processes", { skip: noCluster }, () => {
  let cluster: TestCluster;
  before(async () => {
    cluster = new TestCluster("clients", clients!);
    await cluster.up("--runtime", "process");
  });
  after(() => cluster[Symbol.asyncDispose]());

  for (const [language, sessions] of Object.entries({ npm: npmSessions(), Python: pythonSessions() })) {
    if (typeof sessions === "string") test(`${language}'s clients`, { skip: sessions }, () => {});
    else
      for (const file of sessions.files)
        test(`${language}: ${basename(file).replace(/(_session)?\.\w+$/, "")}`, async () => {
          const [command, ...args] = sessions.command;
          const { code, out, err } = await cluster.run(command!, [...args, file], { timeoutMs: 240_000 });
          assert.equal(code, 0, out + err.slice(-4000));
          if (process.env["T8S_TIMES"]) console.log(out);
        });
  }
});
