/**
 * etcd members as real processes under faults for a minute (`npm run soak` goes on for half an hour), each crash point once, and what stays behind of a
 * soak that is stopped.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { EtcdProcesses, type EtcdProcess } from "../../src/testing/etcd-processes.ts";
import type { FailpointName } from "../../src/etcd/failpoints.ts";
import { noSandbox } from "../../src/testing/soak/sandbox.ts";

const skip = noSandbox() ?? false;
const SOAK = join(import.meta.dirname, "../../tools/soak.ts");

interface Run {
  readonly output: () => string;
  readonly ended: Promise<number | null>;
  kill(signal: NodeJS.Signals): void;
}

function soak(dir: string, ...words: string[]): Run {
  const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", SOAK, ...words], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, TMPDIR: dir },
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (chunk: Buffer) => {
      output += chunk.toString();
    });
  const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
  return { output: () => output, ended, kill: (signal) => void child.kill(signal) };
}

test("three members keep all that they acknowledged through a minute of faults", { skip }, async () => {
  const dir = mkdtempSync(join(tmpdir(), "t8s-soak-test-"));
  const run = soak(dir, "--for", "60s");
  assert.equal(await run.ended, 0, run.output());
  assert.match(run.output(), /all well: [3-9]\d* rounds|all well: [12]\d rounds/);
  assert.deepEqual(readdirSync(dir), []);
  rmSync(dir, { recursive: true });
});

for (const signal of ["SIGINT", "SIGTERM", "SIGKILL"] as const)
  test(`a soak that is ended by ${signal} leaves no process, mount, namespace or file`, { skip }, async () => {
    const dir = mkdtempSync(join(tmpdir(), "t8s-soak-test-"));
    const run = soak(dir, "--for", "60s", "--fault", "full disk");
    await until(() => /is full/.test(run.output()), run.output);
    assert.ok(processesWith(dir) > 3, "members run");
    run.kill(signal);
    await run.ended;
    await until(
      () => processesWith(dir) === 0 && readdirSync(dir).length === 0,
      () => `${processesWith(dir)} processes, ${readdirSync(dir).join()}`,
    );
    assert.ok(!readFileSync("/proc/mounts", "utf8").includes(dir));
    rmSync(dir, { recursive: true });
  });

async function until(reached: () => boolean, what: () => string): Promise<void> {
  const end = Date.now() + 180_000;
  while (!reached()) {
    assert.ok(Date.now() < end, `not in time: ${what()}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Those whose command line or environment names this folder. */
function processesWith(dir: string): number {
  return readdirSync("/proc").filter((pid) => {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) return false;
    try {
      return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(dir);
    } catch {
      return false; // Gone meanwhile.
    }
  }).length;
}

const b = (text: string) => Buffer.from(text);
const POINTS: readonly FailpointName[] = [
  "raftBeforeSave",
  "walBeforeSync",
  "walAfterSync",
  "raftAfterSave",
  "beforeCommit",
  "commitAfterPreCommitHook",
  "afterCommit",
  "compactBeforeSetFinishedCompact",
  "compactAfterSetFinishedCompact",
  "defragBeforeCopy",
  "defragBeforeRename",
  "raftBeforeWALSaveSnaphot",
  "raftAfterWALRelease",
];

test("a member that crashes at any boundary of its disk comes back with all that it acknowledged", async () => {
  await using processes = await EtcdProcesses.create();
  await processes.reserve(["a", "control"]);
  const control = new URL(processes.peerUrl("control")).host;
  const acknowledged = new Map<string, number>();
  let number = 0;
  const check = async (member: EtcdProcess) => {
    const { kvs } = await member.client.kv.Range({ key: b("k"), range_end: b("l") });
    const found = new Map(kvs.map(({ key, mod_revision }) => [Buffer.from(key).toString(), mod_revision]));
    for (const [key, revision] of acknowledged)
      assert.ok((found.get(key) ?? 0) >= revision, `${key} of revision ${revision} is lost, it is ${found.get(key)}`);
  };
  for (const point of POINTS) {
    process.env["GOFAIL_HTTP"] = control;
    const member = await processes.start("ours", "a", {
      flags: ["--snapshot-count=40", "--snapshot-catchup-entries=10"],
    });
    delete process.env["GOFAIL_HTTP"];
    await check(member);
    const set = await fetch(`http://${control}/${point}`, { method: "PUT", body: "panic" });
    assert.equal(set.status, 204);
    let isOver = false;
    const ended = member.exited.then((code) => {
      isOver = true;
      return code;
    });
    const work = async () => {
      while (!isOver) {
        const key = `k${number++ % 50}`;
        const { header } = await member.client.kv.Put({ key: b(key), value: b(`${number}`) });
        acknowledged.set(key, header!.revision);
        if (/compact/.test(point) && number % 30 === 0) await member.client.kv.Compact({ revision: header!.revision });
        if (/defrag/.test(point) && number % 30 === 0) await member.client.maintenance.Defragment({});
      }
    };
    await Promise.all(Array.from({ length: 4 }, () => work().catch(() => {})));
    assert.equal(await ended, 2, `${point}: ${member.log.slice(-1000)}`);
    assert.match(member.log, /panic: failpoint panic/);
  }
  await check(await processes.start("ours", "a"));
});
