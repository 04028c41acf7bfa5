/**
 * Nodes as separate machines on one computer: each is a network namespace with its own address, in which a process runs containerd, a kubelet and
 * kube-proxy and reaches the API server as a remote computer would. A process that dies is restarted and takes its containers over.
 */
import type { Component } from "../../base/component-group.ts";
import type { Logger } from "../../observe/log.ts";
import type { Process } from "../../world/host.ts";
import { pause } from "../../world/time.ts";
import type { World } from "../../world/world.ts";
import type { Pki } from "../pki.ts";
import { isReady, killProcess, logFile, startProcess, sweepMachine, writeCredentials } from "./machine.ts";
import type { Lan, Machine } from "./plan.ts";

export interface MachinesOptions {
  readonly lan: Lan;
  /** The API server, as the machines reach it. */
  readonly server: string;
  readonly pki: Pki;
  /** What all machines' processes are told. */
  readonly args: readonly string[];
}

const STOP_TIMEOUT_MS = 60_000;
const RESTART_MIN_MS = 1000;
const RESTART_MAX_MS = 30_000;

export function createMachines(
  { lan, server, pki, args }: MachinesOptions,
  { world, log }: { readonly world: World; readonly log: Logger },
): Component {
  /** Runs one machine until `signal` aborts. `ready` is called when it is for the first time; an end before that is an error. */
  async function keep(machine: Machine, signal: AbortSignal, ready: () => void): Promise<void> {
    const { node } = machine;
    await killProcess(world, machine);
    await writeCredentials(world, machine, server, pki);
    let started = false;
    for (let delay = RESTART_MIN_MS; !signal.aborted; delay = Math.min(2 * delay, RESTART_MAX_MS)) {
      const begun = world.clock.monotonic();
      const child = await startProcess(world, machine, [
        `--hostname-override=${node}`,
        `--node-ip=${machine.address}`,
        `--cgroup-root=${machine.cgroup}`,
        ...args,
      ]);
      log.info("Started a node's process", { node, pid: child.pid });
      const ended = new AbortController();
      const over = child.exited.finally(() => ended.abort());
      const stopping = new Promise<void>((resolve) =>
        signal.addEventListener("abort", () => resolve(), { once: true }),
      );
      if (!started) {
        const either = AbortSignal.any([signal, ended.signal]);
        while (!started && (await pause(world.clock, 20, either))) started = await isReady(world, machine, child.pid);
        if (started) ready();
        else if (!signal.aborted)
          throw new Error(`the process of node ${node} ended with ${(await over).code}; ${await endOfLog(machine)}`);
      }
      await (signal.aborted ? undefined : Promise.race([over, stopping]));
      if (signal.aborted) return await stop(machine, child);
      const { code, signal: killedBy } = await over;
      if (world.clock.monotonic() - begun > 60_000) delay = RESTART_MIN_MS;
      log.info("A node's process ended and is started again", { node, pid: child.pid, code, signal: killedBy, delay });
      await pause(world.clock, delay, signal);
    }
  }

  async function stop(machine: Machine, child: Process): Promise<void> {
    child.kill("SIGTERM");
    const late = new AbortController();
    const gone = child.exited.finally(() => late.abort());
    if (await pause(world.clock, STOP_TIMEOUT_MS, late.signal)) {
      log.info("A node's process did not end and is killed", { node: machine.node, pid: child.pid });
      child.kill("SIGKILL");
    }
    await gone;
  }

  async function endOfLog(machine: Machine): Promise<string> {
    const text = Buffer.from(await world.fs.readFile(logFile(machine))).toString();
    return `its log ${logFile(machine)} ends with:\n${text.trim().split("\n").slice(-4).join("\n")}`;
  }

  return {
    name: "machines",
    async run(signal, ready) {
      const failed = new AbortController();
      const stopping = AbortSignal.any([signal, failed.signal]);
      try {
        let waiting = lan.machines.length;
        const running = lan.machines.map((machine) =>
          keep(machine, stopping, () => {
            if (--waiting === 0) ready();
          }),
        );
        for (const machine of running) machine.catch((error: unknown) => failed.abort(error));
        await Promise.allSettled(running);
      } finally {
        for (const machine of lan.machines) await sweepMachine(world, machine, log);
      }
      if (failed.signal.aborted) throw failed.signal.reason;
    },
  };
}
