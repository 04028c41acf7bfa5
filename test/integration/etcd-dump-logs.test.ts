/** `t8s etcd dump-logs` on the data folder of upstream's etcd, and on ours after the same commands: both logs say the same. */
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";

const skip = existsSync("/usr/bin/etcd") && existsSync("/usr/bin/etcdctl") ? false : "no etcd on this machine";
const run = promisify(execFile);
const COMMANDS: readonly (readonly string[])[] = [
  ["put", "a", 'with "quotes" and ä'],
  ["put", "a", "again"],
  ["del", "a", "--prev-kv"],
  ["lease", "grant", "100"],
  ["compaction", "2"],
  ["member", "add", "two", "--peer-urls=http://127.0.0.1:1"],
];

async function logOf(program: readonly string[], port: number, folder: string): Promise<string> {
  const endpoint = `http://127.0.0.1:${port}`;
  const peer = `http://127.0.0.1:${port + 1}`;
  const [file, ...words] = [...program, "--data-dir", folder];
  words.push("--listen-client-urls", endpoint, "--advertise-client-urls", endpoint, "--listen-peer-urls", peer);
  words.push("--initial-advertise-peer-urls", peer, "--initial-cluster", `default=${peer}`);
  const child = spawn(file!, words, { stdio: "ignore" });
  try {
    const env = { ...process.env, ETCDCTL_API: "3" };
    const etcdctl = (...command: readonly string[]) =>
      run("/usr/bin/etcdctl", ["--endpoints", endpoint, ...command], { env });
    for (let tries = 0; tries < 1000; tries++) {
      try {
        await etcdctl("endpoint", "health", "--dial-timeout=1s");
        break;
      } catch {
        // Not up yet.
      }
    }
    for (const command of COMMANDS) await etcdctl(...command);
  } finally {
    child.kill("SIGKILL");
    await once(child, "exit");
  }
  const { stdout } = await run("sh", ["tools/node.sh", "src/cli/main.ts", "etcd", "dump-logs", folder]);
  return stdout;
}

/** What the commands asked for, without what differs each time: terms, indexes and ids. What members tell of themselves isn't among it. */
function requests(text: string): readonly string[] {
  return [...text.matchAll(/^ *\d+\t *\d+\t(.*)$/gm)]
    .map(([, what]) => what!.replace(/\b(ID|TTL):\d+/g, "$1").replace(/\bid=[0-9a-f]+/g, "id"))
    .filter((what) => /put:|delete_range|lease_grant|compaction|^conf/.test(what));
}

test("a log of upstream's etcd is read, and ours says the same of the same commands", { skip }, async () => {
  const folder = await mkdtemp(join(tmpdir(), "t8s-dump-logs-"));
  try {
    const upstream = await logOf(["/usr/bin/etcd"], 21_030, `${folder}/upstream`);
    const ours = await logOf(["sh", "tools/node.sh", "src/cli/main.ts", "etcd"], 21_040, `${folder}/ours`);
    assert.match(upstream, /\tnorm\theader:<ID:\d+ > put:<key:"a" value:"with \\"quotes\\" and \\303\\244" > \n/);
    assert.match(upstream, /\tnorm\theader:<ID:\d+ > delete_range:<key:"a" prev_kv:true > \n/);
    assert.match(upstream, /\tconf\tmethod=ConfChangeAddNode id=[0-9a-f]+\n/);
    assert.deepEqual(requests(ours), requests(upstream));
  } finally {
    await rm(folder, { recursive: true });
  }
});
