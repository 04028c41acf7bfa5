/** The end of a container: its log made whole, its exit code kept, and those told who wait. */
import { readLine } from "./liveness.ts";
import { type LogPump, pumpLogs } from "./log-pump.ts";
import type { Container, ProcessState } from "./state.ts";

export function pumpOf(state: ProcessState, container: Container): LogPump | undefined {
  const { record } = container;
  return record.logPath === ""
    ? undefined
    : pumpLogs(state.deps, state.dirOf(record.id), record.logPath, (ms) =>
        new Date(ms).toISOString().replace("Z", "000000Z"),
      );
}

export async function finishContainer(state: ProcessState, container: Container): Promise<void> {
  const { log } = state.deps;
  const { record } = container;
  if (record.finishedAt !== undefined) return;
  const code = await readLine(state, `${state.dirOf(record.id)}/exit`);
  const known = code !== undefined;
  const finishedAt = state.now();
  // Its log is whole before anybody hears of the end: who follows it stops there.
  await container.pump
    ?.finish()
    .catch((error: unknown) => log.error("Failed to write a container's log", error, { path: record.logPath }));
  container.pump = undefined;
  record.exitCode = known ? Number(code) : 255;
  record.finishedAt = finishedAt;
  record.reason = record.exitCode === 0 ? "Completed" : known ? "Error" : "Unknown";
  if (!state.stopping)
    await state.save(container).catch((error: unknown) => log.error("Failed to record a container's end", error));
  container.ended.resolve();
  state.changed(record.sandboxId);
}
