/** The simulated runtime, ready for a kubelet. */
import { criCodec } from "../../../protocols/cri/connect.ts";
import { ImageService, RuntimeService } from "../../../protocols/cri/generated.ts";
import { inProcess } from "../../../wire/rpc/in-process.ts";
import type { World } from "../../../world/world.ts";
import type { Runtime } from "../runtime.ts";
import { SimulatedRuntime } from "./simulated.ts";
import type { SimulatedOptions } from "./simulated.ts";

/** Tables only: one serves all nodes of the process. */
const codec = criCodec();

export function createSimulatedRuntime(
  world: Pick<World, "clock" | "random">,
  options: SimulatedOptions = {},
): Runtime & { readonly simulation: SimulatedRuntime } {
  const simulation = new SimulatedRuntime(world, options);
  const settings = { codec, clock: world.clock };
  return {
    name: "simulated",
    runtime: inProcess(RuntimeService, simulation.runtimeService, settings),
    images: inProcess(ImageService, simulation.imageService, settings),
    streaming: simulation,
    logs: simulation,
    subscribe: (onChange) => simulation.subscribe(onChange),
    probe: (containerId) => simulation.probe(containerId),
    usesFiles: false,
    usesCgroups: false,
    simulation,
  };
}
