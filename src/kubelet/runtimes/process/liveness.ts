/** Whether a container's process is there: known from the files that its shell writes, and from /proc. */
import { parseStat } from "./launch.ts";
import type { Container, ProcessState } from "./state.ts";

/** Files of a single line are whole when they end in a newline. */
export async function readLine(state: ProcessState, path: string): Promise<string | undefined> {
  const { fs } = state.deps;
  if ((await fs.stat(path)) === undefined) return undefined;
  const text = Buffer.from(await fs.readFile(path)).toString();
  return text.endsWith("\n") ? text.trimEnd() : undefined;
}

export async function readPid(state: ProcessState, container: Container): Promise<boolean> {
  const line = await readLine(state, `${state.dirOf(container.record.id)}/pid`);
  if (line === undefined) return false;
  const { pid, started, group } = parseStat(line);
  container.pid = pid;
  container.started = started;
  container.record.group ??= group;
  return true;
}

export async function exitKnown(state: ProcessState, { record }: Container): Promise<boolean> {
  return (await readLine(state, `${state.dirOf(record.id)}/exit`)) !== undefined;
}

/** Whether the container's own process is there, and not another one with its pid. */
export async function lives(state: ProcessState, { pid, started }: Container): Promise<boolean> {
  const { fs, host } = state.deps;
  if (pid === undefined || !host.kill(pid, 0)) return false;
  if (started === "") return true;
  const stat = await fs.readFile(`/proc/${pid}/stat`).catch(() => undefined);
  return stat !== undefined && parseStat(Buffer.from(stat).toString()).started === started;
}

/** Signals the container's process, if it is still that one. */
export async function signalContainer(state: ProcessState, container: Container, signal: string): Promise<void> {
  if (await lives(state, container)) state.deps.host.kill(container.pid!, signal);
}
