/** Containers as processes: started, entered, logged, taken over, stopped; over an image and over the machine's own files, as root and as nobody. */
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
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
});
after(() => rmSync(folder, { recursive: true, force: true }));

async function until(reached: () => Promise<boolean> | boolean, what: string): Promise<void> {
  for (let i = 0; i < 500; i++) {
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
      timeout: 5,
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

    await runtime.StopContainer({ container_id, timeout: 5 });
    const { status } = await runtime.ContainerStatus({ container_id });
    assert.deepEqual([status?.state, status?.exit_code, status?.reason], ["CONTAINER_EXITED", 7, "Error"]);
    await stop();
    assert.doesNotMatch(readFileSync("/proc/self/mounts", "utf8"), new RegExp(folder), "no mount is left");
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
    const { exit_code, stdout } = await runtime.ExecSync({ container_id, cmd: ["sh", "-c", "cat /opt/volume/file 2>/dev/null; true"], timeout: 5 });
    console.log(exit_code, Buffer.from(stdout).toString().trim());
    stop.abort();
    await done;`;
    try {
      const out = execFileSync(
        process.execPath,
        ["--input-type=module-typescript", "--disable-warning=ExperimentalWarning", "-e", script],
        { uid: 65534, gid: 65534, encoding: "utf8", timeout: 30_000, cwd: "/" },
      );
      assert.match(out, /^0 (written)?$/m);
    } finally {
      rmSync(theirs, { recursive: true, force: true });
    }
  },
);
