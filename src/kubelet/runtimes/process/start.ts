/** Starts a container's process, and waits until the command itself runs or it is clear why it never will. */
import type { ContainerConfig } from "../../../protocols/cri/generated.ts";
import { RpcError } from "../../../wire/rpc/service.ts";
import type { Process } from "../../../world/host.ts";
import { pause } from "../../../world/time.ts";
import { DEFAULT_PATH, privilegesOf } from "./create.ts";
import { finishContainer, pumpOf } from "./finish.ts";
import { launch, type Launch, startError } from "./launch.ts";
import { readLine, readPid } from "./liveness.ts";
import type { Container, ProcessState, Sandbox } from "./state.ts";

export async function startContainer(state: ProcessState, id: string): Promise<void> {
  const { fs, host, clock } = state.deps;
  const container = state.container(id);
  const { record } = container;
  const dir = state.dirOf(id);
  const image = await state.image(record.config.image?.image ?? "");
  const sandbox = state.sandbox(record.sandboxId);
  const mounts = await Promise.all(
    [...(await sandboxFiles(state, sandbox, record.config)), ...record.config.mounts].map(
      async ({ host_path: source, container_path: target, readonly }) => ({
        source,
        target,
        readonly,
        file: ((await fs.stat(source))?.kind ?? "dir") !== "dir",
      }),
    ),
  );
  const plan: Launch = {
    id,
    dir,
    lower: image?.root ?? "/",
    mounts,
    command: record.command,
    workingDir: record.workingDir,
    environment: { ...record.environment, ...(record.config.tty && { TERM: "xterm" }) },
    identity: record.identity,
    tty: record.config.tty,
    ...privilegesOf(record),
    hostname: sandbox.config.hostname,
    network: sandbox.address === undefined ? undefined : state.network?.pathOf(sandbox.id),
    readonlyRoot: record.config.linux?.security_context?.readonly_rootfs ?? false,
    isolation: state.isolation,
  };
  const { command, args, script } = launch(plan, state.programs);
  await fs.writeFile(`${dir}/start`, script, { mode: 0o600 });
  const env = { PATH: host.environment["PATH"] ?? DEFAULT_PATH };
  const files = { stdoutFile: `${dir}/stdout`, stderrFile: `${dir}/stderr` };
  await fs.writeFile(files.stdoutFile, "");
  await fs.writeFile(files.stderrFile, "");
  const child = record.config.tty
    ? host.spawn(command, args, { env, tty: { columns: 80, rows: 24 } })
    : host.spawn(command, args, { env, detached: true, ...files });
  container.process = child;
  record.group = child.pid;
  record.startedAt = state.now();
  if (!record.config.stdin && !record.config.tty) child.closeStdin();
  const terminal = record.config.tty ? copyTerminal(state, container, child, files.stdoutFile) : undefined;
  let over = false;
  const exited = child.exited.then(
    () => {},
    (error: unknown) => {
      record.message = error instanceof Error ? error.message : String(error);
    },
  );
  void exited.then(() => {
    over = true;
  });
  while (!over && !(await commandRuns(state, container))) await pause(clock, 2, new AbortController().signal);
  if (over) {
    await terminal;
    const why = await whyNotStarted(state, container);
    if (why !== undefined) {
      record.finishedAt = state.now();
      record.exitCode = 128;
      record.reason = "StartError";
      record.message = why;
      await state.save(container);
      container.ended.resolve();
      state.changed(record.sandboxId);
      throw new RpcError("Unknown", why);
    }
    await readPid(state, container);
  }
  container.pump = pumpOf(state, container);
  await state.save(container);
  void exited.then(async () => {
    await terminal;
    await finishContainer(state, container);
  });
  state.changed(record.sandboxId);
}

/** Whether the shell has become the command: until then its arguments name the container. */
async function commandRuns(state: ProcessState, container: Container): Promise<boolean> {
  if (!(await readPid(state, container))) return false;
  if (state.isolation === "none") return true;
  const line = await state.deps.fs.readFile(`/proc/${container.pid}/cmdline`).catch(() => undefined);
  // One that is ending has no arguments; `over` tells soon.
  return line !== undefined && line.length > 0 && !Buffer.from(line).includes(container.record.id);
}

/** After the end: undefined where the command itself ended. */
async function whyNotStarted(state: ProcessState, container: Container): Promise<string | undefined> {
  const { fs } = state.deps;
  const { record } = container;
  const dir = state.dirOf(record.id);
  if (record.message !== undefined) return `failed to start container: ${record.message}`;
  const said = Buffer.from(await fs.readFile(`${dir}/${record.config.tty ? "stdout" : "stderr"}`)).toString();
  const code = await readLine(state, `${dir}/exit`);
  if (code === undefined) return `failed to start container: ${said.trim()}`;
  const why = startError(Number(code), said, record.command);
  return why === undefined
    ? undefined
    : `failed to create containerd task: failed to create shim task: OCI runtime create failed: unable to start container process: error during container init: ${why}`;
}

/** What a runtime puts into a pod's containers by itself. On the machine's network, names are resolved as the machine does it. */
async function sandboxFiles(state: ProcessState, sandbox: Sandbox, { mounts }: ContainerConfig) {
  const dns = sandbox.config.dns_config;
  if (sandbox.address === undefined || dns === undefined) return [];
  if (mounts.some(({ container_path: path }) => path === "/etc/resolv.conf")) return [];
  const source = `${state.options.dir}/sandboxes/${sandbox.id}.resolv.conf`;
  const text = [
    ...(dns.searches.length > 0 ? [`search ${dns.searches.join(" ")}`] : []),
    ...dns.servers.map((server) => `nameserver ${server}`),
    ...(dns.options.length > 0 ? [`options ${dns.options.join(" ")}`] : []),
  ];
  await state.deps.fs.writeFile(source, `${text.join("\n")}\n`, { mode: 0o644 });
  return [{ host_path: source, container_path: "/etc/resolv.conf", readonly: false }];
}

async function copyTerminal(state: ProcessState, container: Container, child: Process, path: string): Promise<void> {
  const file = await state.deps.fs.open(path, { write: true, append: true });
  for await (const chunk of child.stdout ?? []) {
    await file.write(0, [Buffer.from(Buffer.from(chunk).toString("latin1").replaceAll("\r\n", "\n"), "latin1")]);
    container.pump?.poke();
    for (const streams of container.attached) await streams.stdout(chunk);
  }
  await file.close();
}
