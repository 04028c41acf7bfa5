/** Stops a container, and takes away what is left of it. */
import { deferred } from "../../../base/deferred.ts";
import { pause } from "../../../world/time.ts";
import { signalContainer } from "./liveness.ts";
import type { ProcessState } from "./state.ts";

const SIGNALS: Readonly<Record<string, string>> = { "": "SIGTERM", RUNTIME_DEFAULT: "SIGTERM" };

export async function stopContainer(state: ProcessState, id: string, graceSeconds: number): Promise<void> {
  const { host, clock } = state.deps;
  const container = state.container(id);
  if (container.pid === undefined || container.record.finishedAt !== undefined) return;
  const configured = container.record.config.stop_signal;
  const signal = SIGNALS[configured] === undefined ? configured : container.record.stopSignal;
  if (graceSeconds > 0) {
    await signalContainer(state, container, signal);
    const over = deferred();
    using _timer = clock.after(graceSeconds * 1000, () => over.resolve());
    await Promise.race([container.ended.promise, over.promise]);
  }
  if (container.record.finishedAt === undefined) {
    await signalContainer(state, container, "SIGKILL");
    await container.ended.promise;
  }
  // Whatever it started and left: a pid namespace has ended with it, without one they are all of the group that was made for it.
  const { group } = container.record;
  if (group === undefined || container.record.config.tty) return;
  for (let i = 0; i < 50 && host.kill(-group, 0); i++) {
    if (state.isolation === "none" || i > 25) host.kill(-group, "SIGKILL");
    await pause(clock, 2, new AbortController().signal);
  }
}

export async function removeContainer(state: ProcessState, id: string): Promise<void> {
  const container = state.containers.get(id);
  if (container === undefined) return;
  await stopContainer(state, id, 0);
  await container.pump?.finish();
  state.containers.delete(id);
  await state.removeFiles(state.dirOf(id));
}
