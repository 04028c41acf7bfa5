/**
 * Containers as processes of this machine, behind CRI: for machines without root or containerd, and for several nodes on one. A container gets mount,
 * pid and host name namespaces and a root of its own over its image (as root, or in a user namespace where the kernel allows it); without a loaded
 * image, over this machine's own files. As root with `ip` and `iptables` at hand each pod has a network of its own with an address of the node's
 * `podCIDR`; otherwise pods share the machine's network, their address is the node's, and two that listen on one port clash.
 * What runs survives us and is taken over by the next start; all of it is in files below `dir`. Weaker than a real runtime: no cgroups (so no limits),
 * no seccomp, and a container with a terminal dies with us, since its terminal is ours.
 */
import type { Component } from "../../../base/component-group.ts";
import { deferred } from "../../../base/deferred.ts";
import type { ImageService, RuntimeService } from "../../../protocols/cri/generated.ts";
import { ImageService as imageService, RuntimeService as runtimeService } from "../../../protocols/cri/generated.ts";
import { criCodec } from "../../../protocols/cri/connect.ts";
import { inProcess } from "../../../wire/rpc/in-process.ts";
import type { Implementation } from "../../../wire/rpc/service.ts";
import type { Runtime } from "../runtime.ts";
import { adoptContainers } from "./adopt.ts";
import { attachToContainer, execInContainer } from "./exec.ts";
import { processImageService } from "./image-service.ts";
import { findPrograms, probeIsolation, probeNetwork } from "./isolation.ts";
import { forwardPort } from "./port-forward.ts";
import { processRuntimeService } from "./runtime-service.ts";
import { ProcessState } from "./state.ts";
import type { ProcessDeps, ProcessRuntimeOptions } from "./state.ts";
import { stopContainer } from "./stop.ts";

export interface ProcessRuntime extends Component {
  readonly runtime: Runtime;
}

const STOP_GRACE_SECONDS = 2;

export function createProcessRuntime(options: ProcessRuntimeOptions, deps: ProcessDeps): ProcessRuntime {
  const state = new ProcessState(options, deps);
  return { name: "process runtime", runtime: runtimeOf(state), run: (signal, ready) => run(state, signal, ready) };
}

function runtimeOf(state: ProcessState): Runtime {
  const codec = criCodec();
  return {
    name: "process",
    runtime: inProcess(runtimeService, processRuntimeService(state) as Implementation<typeof RuntimeService>, {
      codec,
      clock: state.deps.clock,
    }),
    images: inProcess(imageService, processImageService(state) as Implementation<typeof ImageService>, {
      codec,
      clock: state.deps.clock,
    }),
    streaming: {
      exec: (id, command, tty, streams) => execInContainer(state, id, command, tty, streams),
      attach: (id, streams) => attachToContainer(state, id, streams),
      portForward: (id, port, stream) => forwardPort(state, id, port, stream),
    },
    subscribe: (onChange) => {
      state.listeners.add(onChange);
      return { [Symbol.dispose]: () => void state.listeners.delete(onChange) };
    },
    usesFiles: true,
    usesCgroups: false,
  };
}

async function run(state: ProcessState, signal: AbortSignal, ready: () => void): Promise<void> {
  const { fs, log } = state.deps;
  state.programs = await findPrograms(state.deps);
  state.isolation = await probeIsolation(state);
  state.network = await probeNetwork(state);
  for (const folder of ["sandboxes", "containers"])
    await fs.mkdir(`${state.options.dir}/${folder}`, { recursive: true });
  await adoptContainers(state);
  log.info("Containers run as processes", {
    isolation: state.isolation,
    network: state.network === undefined ? "host" : "pod",
  });
  ready();
  const stopped = deferred();
  signal.addEventListener("abort", () => stopped.resolve(), { once: true });
  if (!signal.aborted) await stopped.promise;
  state.stopping = true;
  await Promise.all([...state.containers.keys()].map((id) => stopContainer(state, id, STOP_GRACE_SECONDS)));
  for (const container of state.containers.values()) await container.pump?.finish();
  if (state.network !== undefined) {
    for (const { id, config } of state.sandboxes.values()) await state.network.remove(id, config.port_mappings);
    await state.network.close();
  }
  await state.removeFiles(state.options.dir);
}
