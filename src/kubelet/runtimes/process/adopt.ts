/** Takes over what an earlier process left. */
import { pause } from "../../../world/time.ts";
import { finishContainer, pumpOf } from "./finish.ts";
import { exitKnown, lives, readPid } from "./liveness.ts";
import { newContainer } from "./state.ts";
import type { Container, ContainerRecord, ProcessState, Sandbox } from "./state.ts";

/** What an earlier process left: those still alive go on under us, the others have ended. */
export async function adoptContainers(state: ProcessState): Promise<void> {
  const { fs } = state.deps;
  const read = async <T>(path: string): Promise<T> => JSON.parse(Buffer.from(await fs.readFile(path)).toString()) as T;
  for (const name of await fs.list(`${state.options.dir}/sandboxes`)) {
    if (!name.endsWith(".json")) continue;
    const sandbox = await read<Sandbox>(`${state.options.dir}/sandboxes/${name}`);
    state.sandboxes.set(sandbox.id, sandbox);
    if (sandbox.address === undefined || state.network === undefined) continue;
    if (await state.network.exists(sandbox.id)) state.network.keep(sandbox.id, sandbox.address);
    else sandbox.ready = false;
  }
  for (const id of await fs.list(`${state.options.dir}/containers`)) {
    if ((await fs.stat(`${state.dirOf(id)}/record.json`)) === undefined) {
      await fs.remove(state.dirOf(id));
      continue;
    }
    const container = newContainer(await read<ContainerRecord>(`${state.dirOf(id)}/record.json`));
    state.containers.set(id, container);
    if (container.record.finishedAt !== undefined) {
      container.ended.resolve();
      continue;
    }
    const known = await readPid(state, container);
    // Killed between starting a process and noting it: the process counts.
    if (known) container.record.startedAt ??= container.record.createdAt;
    if (container.record.startedAt === undefined) continue;
    container.pump = pumpOf(state, container);
    void watchAdopted(state, container);
  }
}

async function watchAdopted(state: ProcessState, container: Container): Promise<void> {
  const { clock, fs } = state.deps;
  let changed = new AbortController();
  {
    using _watch = fs.watch(state.dirOf(container.record.id), () => changed.abort());
    while (!(await exitKnown(state, container)) && (await lives(state, container))) {
      await pause(clock, 1000, changed.signal);
      if (!changed.signal.aborted) continue;
      await pause(clock, 50, new AbortController().signal);
      changed = new AbortController();
    }
  }
  // The shell writes the exit code just after the end.
  for (let i = 0; i < 10 && !(await exitKnown(state, container)); i++)
    await pause(clock, 20, new AbortController().signal);
  await finishContainer(state, container);
}
