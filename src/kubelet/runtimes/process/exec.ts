/** Programs beside a container's own, and a client at a container's own streams. */
import { deferred } from "../../../base/deferred.ts";
import { RpcError } from "../../../wire/rpc/service.ts";
import type { Process } from "../../../world/host.ts";
import { pause } from "../../../world/time.ts";
import type { ExecStreams } from "../runtime.ts";
import { privilegesOf } from "./create.ts";
import { enter, NOT_STARTED, startError } from "./launch.ts";
import type { Container, ProcessState } from "./state.ts";

export async function execInContainer(
  state: ProcessState,
  containerId: string,
  command: readonly string[],
  tty: boolean,
  streams: ExecStreams,
): Promise<{ readonly exitCode: number }> {
  const { host } = state.deps;
  const container = state.container(containerId);
  if (container.pid === undefined || container.record.finishedAt !== undefined)
    throw new RpcError("FailedPrecondition", "container is not running");
  const { workingDir, identity } = container.record;
  const entered = enter(
    container.pid,
    command,
    {
      dir: state.dirOf(containerId),
      workingDir,
      identity,
      tty,
      isolation: state.isolation,
      ...privilegesOf(container.record),
    },
    state.programs,
  );
  const env = { ...container.record.environment, ...(tty && { TERM: "xterm" }) };
  const child = host.spawn(entered.command, entered.args, {
    env,
    ...(tty ? { tty: { columns: 80, rows: 24 } } : { detached: true }),
  });
  // nsenter waits for the command in a pid namespace: both are of one group.
  const onAbort = () => void host.kill(-child.pid, "SIGKILL");
  streams.signal.addEventListener("abort", onAbort, { once: true });
  void feed(state, streams, child, true);
  // What the last program before the command says about a command that isn't there is for us: it is held back until it is clear who speaks.
  let held = "";
  const copy = async (
    from: AsyncIterable<Uint8Array> | undefined,
    to: (data: Uint8Array) => void | Promise<void>,
    begun: boolean,
  ) => {
    for await (const chunk of from ?? []) {
      if (!begun) {
        const said = held + Buffer.from(chunk).toString("latin1");
        if (NOT_STARTED.startsWith(said.slice(0, NOT_STARTED.length))) {
          held = said;
          continue;
        }
        if (held !== "") await to(Buffer.from(held, "latin1"));
        held = "";
        begun = true;
      }
      await to(chunk);
    }
  };
  await Promise.all([
    copy(child.stdout, (data) => streams.stdout(data), !tty),
    copy(child.stderr, (data) => streams.stderr(data), false),
  ]);
  const { code } = await child.exited;
  streams.signal.removeEventListener("abort", onAbort);
  const why = startError(code, held, command);
  if (why !== undefined)
    throw new RpcError(
      "Unknown",
      `failed to exec in container: failed to start exec: OCI runtime exec failed: exec failed: unable to start container process: ${why}`,
    );
  if (held !== "") await (tty ? streams.stdout : streams.stderr)(Buffer.from(held, "latin1"));
  return { exitCode: code };
}

/** `once`: its input ends with that of the client, for nobody else comes. */
async function feed(state: ProcessState, streams: ExecStreams, child: Process, once: boolean): Promise<void> {
  void (async () => {
    for await (const { columns, rows } of streams.resizes ?? []) child.resize(columns, rows);
  })().catch(() => {});
  try {
    for await (const chunk of streams.stdin ?? []) await child.write(chunk);
    if (once) child.closeStdin();
  } catch {
    // The program has ended: nobody reads what is typed.
  }
}

export async function attachToContainer(state: ProcessState, containerId: string, streams: ExecStreams): Promise<void> {
  const { fs, clock } = state.deps;
  const container = state.container(containerId);
  const { process: child, record } = container;
  const { stdin, stdin_once, tty } = record.config;
  if (stdin && child !== undefined) void feed(state, streams, child, stdin_once && !tty);
  if (tty) {
    container.attached.add(streams);
    await untilOver(state, container, streams);
    container.attached.delete(streams);
    return;
  }
  // Output goes to files: follow them from where they are now.
  const follow = async (name: "stdout" | "stderr") => {
    const file = await fs.open(`${state.dirOf(containerId)}/${name}`, {});
    let at = stdin ? 0 : await file.size();
    while (!streams.signal.aborted) {
      const over = record.finishedAt !== undefined;
      const data = await file.read(at, 65_536);
      at += data.length;
      if (data.length > 0) await (name === "stdout" ? streams.stdout(data) : streams.stderr(data));
      else if (over) break;
      else await pause(clock, 20, streams.signal);
    }
    await file.close();
  };
  await Promise.all([follow("stdout"), follow("stderr")]);
}

async function untilOver(state: ProcessState, container: Container, streams: ExecStreams): Promise<void> {
  const left = deferred();
  streams.signal.addEventListener("abort", () => left.resolve(), { once: true });
  await Promise.race([container.ended.promise, left.promise]);
}
