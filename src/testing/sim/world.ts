import type { World } from "../../world/world.ts";
import { SimulatedFs } from "./fs.ts";
import { simulatedHost } from "./host.ts";
import { SimulatedNet } from "./net.ts";
import { SeededRandom } from "./random.ts";
import { Simulation } from "./simulation.ts";

/** A world of virtual time. The same seed gives the same run, byte for byte. */
export interface SimulatedWorld extends World {
  readonly clock: Simulation;
  readonly net: SimulatedNet;
  readonly fs: SimulatedFs;
}

export function simulatedWorld(seed: number | string): SimulatedWorld {
  const clock = new Simulation();
  const random = new SeededRandom(seed);
  const net = new SimulatedNet(clock, random.fork("net"));
  return { clock, random, net, fs: new SimulatedFs(() => clock.now(), random.fork("fs")), host: simulatedHost() };
}
