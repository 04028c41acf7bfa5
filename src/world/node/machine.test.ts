/** Clock, randomness, files and programs of this machine. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, stat } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { randomInt, uuid } from "../world.ts";
import { nodeWorld } from "./index.ts";

const { clock, random, fs, host } = nodeWorld();
const scratch = mkdtempSync(join(tmpdir(), "typernetes-machine-"));
after(() => rmSync(scratch, { recursive: true, force: true }));
const at = (name: string) => join(scratch, name);
const utf8 = (text: string) => new TextEncoder().encode(text);
const text = (bytes: Uint8Array) => Buffer.from(bytes).toString();
const read = async (stream: AsyncIterable<Uint8Array>) => {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return text(Buffer.concat(chunks));
};

test("soon runs after promises and, from an event's callback, before timers; a disposed timer never runs", async () => {
  const order: string[] = [];
  await new Promise<void>((resolve) => {
    stat(scratch, () => {
      clock.after(0, () => {
        order.push("timer");
        resolve();
      });
      clock.after(0, () => order.push("disposed"))[Symbol.dispose]();
      clock.soon(() => order.push("soon"));
      void Promise.resolve().then(() => order.push("promise"));
    });
  });
  assert.deepEqual(order, ["promise", "soon", "timer"]);
});

test("a timer of a hundred days does not fire at once", async () => {
  let fired = false;
  using _timer = clock.after(100 * 24 * 3600 * 1000, () => (fired = true));
  await new Promise((resolve) => setTimeout(resolve, 5));
  assert.equal(fired, false);
});

test("random numbers fill [0, 1) and bytes differ", () => {
  const draws = Array.from({ length: 2000 }, () => random.next());
  assert.ok(draws.every((draw) => draw >= 0 && draw < 1));
  assert.ok(Math.min(...draws) < 0.01 && Math.max(...draws) > 0.99);
  assert.notDeepEqual(random.bytes(16), random.fork("x").bytes(16));
  assert.equal(random.bytes(5000).length, 5000);
  assert.match(uuid(random), /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.equal(new Set(Array.from({ length: 200 }, () => randomInt(random, 3))).size, 3);
});

test("a durable file takes chunks at a position and gives them back", async () => {
  const file = await fs.open(at("log"), { write: true, create: true, durable: true, mode: 0o600 });
  await file.write(0, [utf8("one "), utf8("two ")]);
  file.writeSync(8, [utf8("three "), utf8("four")]);
  file.writeSync(18, [utf8("!")]);
  file.syncSync();
  await file.sync();
  assert.equal(text(await file.read(4, 9)), "two three");
  assert.equal(text(await file.read(14, 100)), "four!");
  assert.equal(await file.size(), 19);
  await file.truncate(3);
  assert.equal(text(await file.read(0, 100)), "one");
  await file.close();
  await file.close();
  assert.equal((await fs.stat(at("log")))?.mode, 0o600);
  await assert.rejects(fs.open(at("log"), { write: true, exclusive: true }), { code: "EEXIST" });
  await assert.rejects(fs.open(at("none"), {}), { code: "ENOENT" });
});

test("an atomic write replaces the file and leaves no draft", async () => {
  await fs.mkdir(at("config"), { recursive: true });
  await fs.writeFile(at("config/a"), "old", { mode: 0o600 });
  await fs.writeFile(at("config/a"), utf8("new"), { atomic: true, mode: 0o600 });
  assert.equal(text(await fs.readFile(at("config/a"))), "new");
  assert.deepEqual(await fs.list(at("config")), ["a"]);
  await assert.rejects(fs.writeFile(at("nowhere/a"), "x", { atomic: true }), { code: "ENOENT" });
});

test("links, kinds and what is not there", async () => {
  await fs.mkdir(at("folder"));
  await fs.symlink("folder", at("link"));
  assert.equal((await fs.lstat(at("link")))?.kind, "symlink");
  assert.equal((await fs.stat(at("link")))?.kind, "dir");
  assert.equal(await fs.readlink(at("link")), "folder");
  assert.equal(await fs.stat(at("none")), undefined);
  await fs.remove(at("none"));
  await fs.remove(at("folder"));
  assert.equal(await fs.stat(at("folder")), undefined);
  assert.ok((await fs.statfs(scratch)).sizeBytes > 0);
});

test("a watch on a folder calls back", async () => {
  const changed = Promise.withResolvers<void>();
  using _watch = fs.watch(scratch, changed.resolve);
  await fs.writeFile(at("watched"), "x");
  await changed.promise;
});

test("a program runs to its end with its input, and a missing one is ENOENT", async () => {
  const done = await host.exec("sh", ["-c", "cat; echo bad >&2; exit 3"], { stdin: "good" });
  assert.deepEqual([done.code, text(done.stdout), text(done.stderr)], [3, "good", "bad\n"]);
  assert.equal((await host.exec("sh", ["-c", "kill -9 $$"])).code, 137);
  await assert.rejects(host.exec("no-such-program", []), { code: "ENOENT" });
  const abort = new AbortController();
  const slow = host.exec("sleep", ["100"], { signal: abort.signal });
  abort.abort(new Error("enough"));
  await assert.rejects(slow, /enough/);
});

test("a started program has its streams, and its end tells the signal", async () => {
  const cat = host.spawn("cat", []);
  await cat.write(utf8("hello"));
  cat.closeStdin();
  assert.equal(await read(cat.stdout!), "hello");
  assert.deepEqual(await cat.exited, { code: 0, signal: undefined });
  const sleeper = host.spawn("sleep", ["100"]);
  assert.equal(host.kill(sleeper.pid, 0), true);
  assert.equal(sleeper.kill("SIGTERM"), true);
  assert.deepEqual(await sleeper.exited, { code: 143, signal: "SIGTERM" });
  assert.equal(host.kill(sleeper.pid, 0), false);
  await assert.rejects(host.spawn("no-such-program", []).exited, { code: "ENOENT" });
});

test("output may go to a file", async () => {
  const child = host.spawn("sh", ["-c", "echo out; echo err >&2"], {
    stdoutFile: at("out"),
    stderrFile: at("out"),
    detached: true,
  });
  assert.equal(child.stdout, undefined);
  await child.exited;
  assert.equal(text(await fs.readFile(at("out"))), "out\nerr\n");
});

test("a terminal has a size that changes", { skip: !(await hasPty()) && "no pty module here" }, async () => {
  const script = 'stty size; until [ "$(stty size)" = "30 100" ]; do sleep 0.01; done; stty size; exit 4';
  const child = host.spawn("sh", ["-c", script], { tty: { columns: 80, rows: 24 } });
  let seen = "";
  for await (const chunk of child.stdout!) {
    seen += text(chunk);
    if (seen.includes("24 80")) child.resize(100, 30);
  }
  assert.match(seen, /24 80\r\n30 100\r\n/);
  assert.deepEqual(await child.exited, { code: 4, signal: undefined });
});
async function hasPty(): Promise<boolean> {
  return import("@lydell/node-pty").then(
    () => true,
    () => false,
  );
}

test("programs are found on the path, and the machine describes itself", async () => {
  assert.match((await host.which("sh"))!, /\/sh$/);
  assert.equal(await host.which("no-such-program"), undefined);
  assert.ok(host.cpus() > 0 && host.memory().totalBytes > 0 && host.usage().residentBytes > 0);
  assert.ok(host.interfaces().some(({ address, internal }) => address === "127.0.0.1" && internal));
});
