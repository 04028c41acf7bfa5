/** Containers as processes: started, entered, logged, taken over, stopped; over an image and over the machine's own files, as root and as nobody. */
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { chownSync, existsSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { loadArchive } from "../../src/kubelet/runtimes/process/images.ts";
import { createProcessRuntime } from "../../src/kubelet/runtimes/process/process.ts";
import { silent } from "../../src/observe/log.ts";
import { archiveOf, busyboxImage, noImages } from "../../src/testing/images.ts";
import { nodeWorld } from "../../src/world/node/index.ts";

const world = nodeWorld();
let folder: string;
before(() => {
  folder = mkdtempSync(join(tmpdir(), "t8s-process-"));
  mkdirSync(`${folder}/logs`);
});
after(() => rmSync(folder, { recursive: true, force: true }));

async function until(reached: () => Promise<boolean> | boolean, what: string): Promise<void> {
  for (let i = 0; i < 12_000; i++) {
    if (await reached()) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  assert.fail(`never: ${what}`);
}

function start(dir = folder) {
  const runner = createProcessRuntime(
    { dir: `${dir}/run`, imageDir: `${dir}/images`, address: "127.0.0.1" },
    { ...world, log: silent },
  );
  const stop = new AbortController();
  let ready!: () => void;
  const isReady = new Promise<void>((resolve) => (ready = resolve));
  const done = runner.run(stop.signal, ready);
  return { ...runner.runtime, isReady, stop: () => (stop.abort(), done) };
}

const sandbox = (dir = folder) => ({
  metadata: { name: "p", uid: "u1", namespace: "default", attempt: 0 },
  hostname: "p",
  log_directory: `${dir}/logs`,
});

test(
  "a container over an image has that image's files, a volume, logs, exec, and ends with its own exit code",
  { skip: noImages() },
  async () => {
    writeFileSync(`${folder}/busybox.tar`, archiveOf(busyboxImage("docker.io/library/busybox:1.36")));
    assert.deepEqual(await loadArchive(world, `${folder}/images`, `${folder}/busybox.tar`), [
      "docker.io/library/busybox:1.36",
    ]);
    mkdirSync(`${folder}/logs`, { recursive: true });
    mkdirSync(`${folder}/volume`, { recursive: true });
    writeFileSync(`${folder}/volume/file`, "from the volume\n");
    const { runtime, streaming, isReady, stop } = start();
    await isReady;
    const { pod_sandbox_id } = await runtime.RunPodSandbox({ config: sandbox() });
    const { container_id } = await runtime.CreateContainer({
      pod_sandbox_id,
      sandbox_config: sandbox(),
      config: {
        metadata: { name: "c" },
        image: { image: "busybox:1.36" },
        command: [
          "sh",
          "-c",
          "cat /data/file; echo $GREETING; echo oops >&2; trap 'exit 7' TERM; while :; do sleep 0.05; done",
        ],
        envs: [{ key: "GREETING", value: "hello 'quoted' world" }],
        mounts: [{ host_path: `${folder}/volume`, container_path: "/data", readonly: true }],
        log_path: "c.log",
      },
    });
    await runtime.StartContainer({ container_id });
    await until(() => /oops/.test(readFileSync(`${folder}/logs/c.log`, "utf8")), "the log has the output");
    const log = readFileSync(`${folder}/logs/c.log`, "utf8");
    assert.match(log, /^\d{4}-\S+Z stdout F from the volume\n\S+ stdout F hello 'quoted' world\n\S+ stderr F oops\n$/);

    const inside = await runtime.ExecSync({
      container_id,
      cmd: [
        "sh",
        "-c",
        "ls /bin/busybox && ! ls /usr/lib 2>/dev/null && echo $GREETING && ! touch /data/x 2>/dev/null",
      ],
      timeout: 60,
    });
    assert.equal(inside.exit_code, 0, Buffer.from(inside.stderr).toString());
    const typed = async function* () {
      yield Buffer.from("through stdin\n");
    };
    let echoed = "";
    const { exitCode } = await streaming!.exec(container_id, ["sh", "-c", "cat; exit 3"], false, {
      stdin: typed(),
      resizes: undefined,
      stdout: (data) => void (echoed += Buffer.from(data).toString()),
      stderr() {},
      signal: new AbortController().signal,
    });
    assert.deepEqual([echoed, exitCode], ["through stdin\n", 3]);

    await runtime.StopContainer({ container_id, timeout: 60 });
    const { status } = await runtime.ContainerStatus({ container_id });
    assert.deepEqual([status?.state, status?.exit_code, status?.reason], ["CONTAINER_EXITED", 7, "Error"]);
    await stop();
    assert.doesNotMatch(readFileSync("/proc/self/mounts", "utf8"), new RegExp(folder), "no mount is left");
  },
);

/** A pod with one container, of this machine's files where no image is named. */
async function run(
  { runtime }: Pick<ReturnType<typeof start>, "runtime">,
  command: readonly string[],
  more: Record<string, unknown> = {},
): Promise<string> {
  const { pod_sandbox_id } = await runtime.RunPodSandbox({ config: sandbox() });
  const { container_id } = await runtime.CreateContainer({
    pod_sandbox_id,
    sandbox_config: sandbox(),
    config: { metadata: { name: "c" }, image: { image: "host" }, command, ...more },
  });
  await runtime.StartContainer({ container_id });
  return container_id;
}
const exited = ({ runtime }: Pick<ReturnType<typeof start>, "runtime">, id: string) =>
  until(
    async () => (await runtime.ContainerStatus({ container_id: id })).status?.state === "CONTAINER_EXITED",
    "it ends",
  );
const streams = (onOutput: (text: string) => void) => ({
  stdin: undefined as AsyncIterable<Uint8Array> | undefined,
  resizes: undefined as AsyncIterable<{ columns: number; rows: number }> | undefined,
  stdout: (data: Uint8Array) => onOutput(Buffer.from(data).toString()),
  stderr: (data: Uint8Array) => onOutput(Buffer.from(data).toString()),
  signal: new AbortController().signal,
});
/** Processes and mounts of the runtime's folder. */
function leftovers(): string[] {
  const processes = globSync("/proc/[0-9]*/cmdline").filter((path) => {
    try {
      return readFileSync(path, "utf8").includes(`${folder}/run`);
    } catch {
      return false;
    }
  });
  const mounts = readFileSync("/proc/self/mounts", "utf8").split("\n");
  return [...processes, ...mounts.filter((line) => line.includes(folder))];
}

test("a command that is not there fails the start, and the container says so", async () => {
  const { runtime, isReady, stop } = start();
  await isReady;
  const { pod_sandbox_id } = await runtime.RunPodSandbox({ config: sandbox() });
  for (const [command, message] of [
    ["no-such-program", /exec: "no-such-program": executable file not found in \$PATH$/],
    ["/no/such/program", /exec: "\/no\/such\/program": stat \/no\/such\/program: no such file or directory$/],
    ["/etc/passwd", /exec: "\/etc\/passwd": permission denied$/],
  ] as const) {
    const { container_id } = await runtime.CreateContainer({
      pod_sandbox_id,
      sandbox_config: sandbox(),
      config: { metadata: { name: "c" }, image: { image: "host" }, command: [command] },
    });
    await assert.rejects(runtime.StartContainer({ container_id }), message);
    const { status } = await runtime.ContainerStatus({ container_id });
    assert.deepEqual([status?.state, status?.exit_code, status?.reason], ["CONTAINER_EXITED", 128, "StartError"]);
    assert.match(status?.message ?? "", message);
  }
  const noCommand = { metadata: { name: "c" }, image: { image: "nginx" } };
  await assert.rejects(
    runtime.CreateContainer({ pod_sandbox_id, sandbox_config: sandbox(), config: noCommand }),
    /no command specified: image "nginx" is not loaded/,
  );
  await stop();
});

test("much output arrives whole, in logs and through exec, and logs can be followed", async () => {
  const { runtime, streaming, isReady, stop } = start();
  await isReady;
  const script =
    "i=0; while [ $i -lt 20000 ]; do echo 0123456789012345678901234567890123456789-$i; i=$((i+1)); done; head -c 100000 /dev/zero | tr '\\0' x";
  const id = await run({ runtime }, ["sh", "-c", script], { log_path: "much.log" });
  await exited({ runtime }, id);
  const lines = readFileSync(`${folder}/logs/much.log`, "utf8").trimEnd().split("\n");
  assert.equal(lines.filter((line) => / F 0123456789012345678901234567890123456789-\d+$/.test(line)).length, 20_000);
  assert.match(lines[19_999]!, /-19999$/);
  const rest = lines.slice(20_000).map((line) => /^\S+ stdout P (x+)$/.exec(line)![1]!);
  assert.equal(rest.join("").length, 100_000, "a long line comes in parts");

  const talker = await run({ runtime }, ["sh", "-c", "while :; do echo tick; sleep 0.05; done"]);
  const { stdout } = await runtime.ExecSync({
    container_id: talker,
    cmd: ["head", "-c", "5000000", "/dev/zero"],
    timeout: 60,
  });
  assert.equal(stdout.length, 5_000_000);
  await assert.rejects(runtime.ExecSync({ container_id: talker, cmd: ["sleep", "100"], timeout: 1 }), /timed out/);
  await assert.rejects(
    runtime.ExecSync({ container_id: talker, cmd: ["no-such-program"], timeout: 60 }),
    /exec: "no-such-program": executable file not found in \$PATH/,
  );
  let heard = "";
  const gone = new AbortController();
  const attached = streaming!.attach(talker, { ...streams((text) => void (heard += text)), signal: gone.signal });
  await until(() => heard.split("\n").length > 3, "what it says is followed");
  gone.abort();
  await attached;
  await stop();
});

test("a terminal has a size, takes what is typed and ends with the command's code", async () => {
  const { runtime, streaming, isReady, stop } = start();
  await isReady;
  const id = await run({ runtime }, ["sh", "-c", "echo ready; stty size; read line; echo got $line; exit 4"], {
    tty: true,
    stdin: true,
    log_path: "tty.log",
  });
  let seen = "";
  const sizes = async function* () {
    yield { columns: 100, rows: 40 };
  };
  const keys = async function* () {
    await until(() => seen.includes("$ ") || seen.includes("# "), "a prompt");
    yield Buffer.from("stty size; tty >/dev/null && echo is a $((1+1))-way terminal; exit 9\n");
  };
  const { exitCode } = await streaming!.exec(id, ["sh", "-i"], true, {
    ...streams((text) => void (seen += text)),
    stdin: keys(),
    resizes: sizes(),
  });
  assert.equal(exitCode, 9, seen);
  assert.match(seen, /40 100/, seen);
  assert.match(seen, /is a 2-way terminal/);

  let said = "";
  const line = async function* () {
    yield Buffer.from("words\n");
  };
  await streaming!.attach(id, { ...streams((text) => void (said += text)), stdin: line() });
  const { status } = await runtime.ContainerStatus({ container_id: id });
  assert.equal(status?.exit_code, 4, said);
  assert.match(
    readFileSync(`${folder}/logs/tty.log`, "utf8"),
    /stdout F ready\n.* F 24 80\n(.* F words\n)?.* F got words\n/,
  );
  await stop();
});

test("what a container leaves behind ends with it: no process, mount or file stays", async () => {
  const { runtime, isReady, stop } = start();
  await isReady;
  const marker = `${folder.replace(/\W/g, "")}`;
  const script = `setsid sh -c 'while :; do sleep 0.1; done; : ${marker}' & trap 'exit 0' TERM; echo up; while :; do sleep 0.05; done`;
  const id = await run({ runtime }, ["sh", "-c", script], { log_path: "strays.log" });
  await until(() => /up/.test(readFileSync(`${folder}/logs/strays.log`, "utf8")), "it runs");
  const strays = () =>
    globSync("/proc/[0-9]*/cmdline").filter((path) => {
      try {
        return readFileSync(path, "utf8").includes(`: ${marker}`);
      } catch {
        return false;
      }
    });
  await until(() => strays().length > 0, "its child runs in a session of its own");
  await runtime.StopContainer({ container_id: id, timeout: 60 });
  assert.equal((await runtime.ContainerStatus({ container_id: id })).status?.exit_code, 0);
  if (process.platform === "linux") assert.deepEqual(strays(), []);
  // This one has to be killed by the end of the runtime.
  await run({ runtime }, ["sh", "-c", "trap '' TERM; while :; do sleep 0.05; done"]);
  await stop();
  assert.deepEqual(leftovers(), []);
  assert.equal(existsSync(`${folder}/run`), false);
});

test(
  "a container runs as its user, under its pod's host name",
  { skip: process.getuid?.() !== 0 ? "needs root to become someone else" : false },
  async () => {
    const { runtime, isReady, stop } = start();
    await isReady;
    const id = await run({ runtime }, ["sh", "-c", "id -u; id -g; id -G; hostname; echo $$; sleep 100"], {
      log_path: "who.log",
      working_dir: "/made/for/it",
      linux: {
        security_context: { run_as_user: { value: 1234 }, run_as_group: { value: 99 }, supplemental_groups: [2000] },
      },
    });
    const log = () =>
      readFileSync(`${folder}/logs/who.log`, "utf8")
        .replaceAll(/^.* F /gm, "")
        .split("\n");
    await until(() => log().length > 5, "it says who it is");
    assert.deepEqual(log().slice(0, 4), ["1234", "99", "99 2000", "p"]);
    const { stdout } = await runtime.ExecSync({
      container_id: id,
      cmd: ["sh", "-c", "id -u; id -G; pwd; hostname"],
      timeout: 60,
    });
    assert.equal(Buffer.from(stdout).toString(), "1234\n99 2000\n/made/for/it\np\n");
    const plain = await run({ runtime }, ["sleep", "100"], { linux: { security_context: { no_new_privs: true } } });
    const may = await runtime.ExecSync({
      container_id: plain,
      cmd: [
        "sh",
        "-c",
        "mount -t tmpfs x /mnt; echo $?; grep -E 'NoNewPrivs|CapEff' /proc/self/status; for path in proc/sys/kernel/panic proc/sysrq-trigger sys/kernel; do test -w /$path; echo $?; done",
      ],
      timeout: 60,
    });
    assert.match(Buffer.from(may.stdout).toString(), /^32\nCapEff:\t00000000a80425fb\nNoNewPrivs:\t1\n1\n1\n1\n$/);
    await stop();
  },
);

test("what runs survives its runtime, and the next one takes it over with its log and its exit code", async () => {
  const script = `
    import { createProcessRuntime } from ${JSON.stringify(import.meta.resolve("../../src/kubelet/runtimes/process/process.ts"))};
    import { nodeWorld } from ${JSON.stringify(import.meta.resolve("../../src/world/node/index.ts"))};
    import { silent } from ${JSON.stringify(import.meta.resolve("../../src/observe/log.ts"))};
    const runner = createProcessRuntime({ dir: ${JSON.stringify(`${folder}/run`)}, imageDir: ${JSON.stringify(`${folder}/images`)}, address: "127.0.0.1" }, { ...nodeWorld(), log: silent });
    await new Promise((ready) => runner.run(new AbortController().signal, ready));
    const config = ${JSON.stringify(sandbox())};
    const { pod_sandbox_id } = await runner.runtime.runtime.RunPodSandbox({ config });
    const { container_id } = await runner.runtime.runtime.CreateContainer({ pod_sandbox_id, sandbox_config: config, config: { metadata: { name: "c" }, image: { image: "host" }, command: ["sh", "-c", "i=0; while [ ! -e ${folder}/enough ]; do echo line $i; i=$((i+1)); sleep 0.02; done; exit 5"], log_path: "survivor.log" } });
    await runner.runtime.runtime.StartContainer({ container_id });
    console.log(container_id);`;
  mkdirSync(`${folder}/logs`, { recursive: true });
  const child = spawn(
    process.execPath,
    ["--input-type=module-typescript", "--disable-warning=ExperimentalWarning", "-e", script],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  let id = "";
  child.stdout.on("data", (chunk: Buffer) => (id += chunk.toString()));
  await until(() => id.includes("\n"), "the container runs");
  id = id.trim();
  const log = () => readFileSync(`${folder}/logs/survivor.log`, "utf8").trim().split("\n");
  await until(() => log().length > 3, "it logs");
  child.kill("SIGKILL");
  await new Promise((resolve) => child.on("exit", resolve));

  const { runtime, isReady, stop } = start();
  await isReady;
  assert.equal((await runtime.ContainerStatus({ container_id: id })).status?.state, "CONTAINER_RUNNING");
  const seen = log().length;
  await until(() => log().length > seen + 3, "it logs on");
  writeFileSync(`${folder}/enough`, "");
  await until(
    async () => (await runtime.ContainerStatus({ container_id: id })).status?.state === "CONTAINER_EXITED",
    "it ends",
  );
  assert.equal((await runtime.ContainerStatus({ container_id: id })).status?.exit_code, 5);
  const numbers = log().map((line) => Number(/line (\d+)$/.exec(line)![1]));
  assert.deepEqual(
    numbers,
    numbers.map((_, i) => i),
    "no line is lost or doubled",
  );
  await stop();
});

test(
  "without root it works in a user namespace, or without one",
  { skip: process.getuid?.() !== 0 ? "needs root to become someone else" : false },
  async () => {
    const theirs = mkdtempSync(join(tmpdir(), "t8s-nobody-"));
    chownSync(theirs, 65534, 65534);
    const script = `
    import { createProcessRuntime } from ${JSON.stringify(import.meta.resolve("../../src/kubelet/runtimes/process/process.ts"))};
    import { nodeWorld } from ${JSON.stringify(import.meta.resolve("../../src/world/node/index.ts"))};
    import { silent } from ${JSON.stringify(import.meta.resolve("../../src/observe/log.ts"))};
    import { mkdirSync } from "node:fs";
    mkdirSync(${JSON.stringify(`${theirs}/logs`)}, { recursive: true });
    mkdirSync(${JSON.stringify(`${theirs}/volume`)}, { recursive: true });
    const stop = new AbortController();
    const runner = createProcessRuntime({ dir: ${JSON.stringify(`${theirs}/run`)}, imageDir: ${JSON.stringify(`${theirs}/images`)}, address: "127.0.0.1" }, { ...nodeWorld(), log: silent });
    let done;
    await new Promise((ready) => { done = runner.run(stop.signal, ready); });
    const config = ${JSON.stringify(sandbox(theirs))};
    const { runtime } = runner.runtime;
    const { pod_sandbox_id } = await runtime.RunPodSandbox({ config });
    const mounts = [{ host_path: ${JSON.stringify(`${theirs}/volume`)}, container_path: "/opt/volume" }];
    const { container_id } = await runtime.CreateContainer({ pod_sandbox_id, sandbox_config: config, config: { metadata: { name: "c" }, image: { image: "host" }, command: ["sh", "-c", "id -u; echo written > /opt/volume/file || true; sleep 100"], mounts, log_path: "c.log" } });
    await runtime.StartContainer({ container_id });
    const { exit_code, stdout } = await runtime.ExecSync({ container_id, cmd: ["sh", "-c", "cat /opt/volume/file 2>/dev/null; true"], timeout: 60 });
    console.log(exit_code, Buffer.from(stdout).toString().trim());
    let typed = "";
    const keys = async function* () {
      while (!/[#$] /.test(typed)) await new Promise((resolve) => setTimeout(resolve, 5));
      yield Buffer.from("exit 9\\n");
    };
    const end = await runner.runtime.streaming.exec(container_id, ["sh", "-i"], true, { stdin: keys(), resizes: undefined, stdout: (data) => void (typed += Buffer.from(data)), stderr() {}, signal: new AbortController().signal });
    console.log("terminal", end.exitCode);
    stop.abort();
    await done;`;
    try {
      const out = execFileSync(
        process.execPath,
        ["--input-type=module-typescript", "--disable-warning=ExperimentalWarning", "-e", script],
        { uid: 65534, gid: 65534, encoding: "utf8", timeout: 240_000, cwd: "/" },
      );
      assert.match(out, /^0 (written)?$/m);
      assert.match(out, /^terminal 9$/m);
    } finally {
      rmSync(theirs, { recursive: true, force: true });
    }
  },
);
