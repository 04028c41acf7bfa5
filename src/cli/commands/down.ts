import { pause } from "../../world/time.ts";
import { CommandError, defineCommand } from "../command.ts";
import { clusterFlags } from "../flags/common.ts";
import { dataDirOf, isRunning, isZombie, readState, removeState } from "../state.ts";
import { sweep } from "../sweep.ts";

const STOP_TIMEOUT_MS = 120_000;

/** Stops the process that runs the cluster and waits for it to have cleaned up; cleans up itself after one that was killed. */
export const down = defineCommand({
  name: "down",
  usage: "[flags]",
  about: "Stop a cluster and all its containers; its objects stay.",
  flags: clusterFlags,
  async run(context, values) {
    const { world, out, signal } = context;
    const dir = dataDirOf(world, values.name, values["data-dir"]);
    const state = await readState(world, dir);
    if (state === undefined) {
      out(`cluster ${values.name} is not running\n`);
      return 0;
    }
    const log = context.logger({ verbosity: 0, format: "text", file: `${dir}/t8s.log` });
    if (isRunning(world, state)) {
      world.host.kill(state.pid, "SIGTERM");
      const deadline = world.clock.monotonic() + STOP_TIMEOUT_MS;
      while (isRunning(world, state) && !(await isZombie(world, state.pid))) {
        if (world.clock.monotonic() > deadline)
          throw new CommandError(`process ${state.pid} has not stopped after ${STOP_TIMEOUT_MS / 1000} s`);
        if (!(await pause(world.clock, 50, signal))) return 130;
      }
    }
    // The process removes its state at the end of an orderly stop. Where it is still there, it was killed, and its containers run on.
    if ((await readState(world, dir)) !== undefined) {
      await sweep(world, dir, state, log);
      await removeState(world, dir);
    }
    out(`cluster ${values.name} is stopped\n`);
    return 0;
  },
});
