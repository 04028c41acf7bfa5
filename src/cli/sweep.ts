/** Removes what a killed cluster left running: its pods, its containerd, its rules. An orderly stop does this through the components. */
import type { Logger } from "../observe/log.ts";
import type { World } from "../world/world.ts";
import { createContainerd, removeMounts } from "../kubelet/runtimes/containerd/containerd.ts";
import { cleanNodeNetwork } from "../kubelet/network/node-network.ts";
import { createProcessRuntime } from "../kubelet/runtimes/process/process.ts";
import { removeLan } from "./machines/lan.ts";
import { sweepMachine } from "./machines/machine.ts";
import { cgroupRootOf, containerdOptions, proxyBackend } from "./node.ts";
import type { ClusterState } from "./state.ts";

export async function sweep(world: World, dir: string, state: ClusterState, log: Logger): Promise<void> {
  const text = (key: string) => String(state.options[key] ?? "");
  /** Starts a component and stops it at once: starting adopts what runs, stopping stops that. */
  const throughOnce = async (component: { run(signal: AbortSignal, ready: () => void): Promise<void> }) => {
    const stop = new AbortController();
    await component.run(stop.signal, () => stop.abort());
  };
  const { lan } = state;
  if (lan !== undefined) {
    await Promise.all(lan.machines.map((machine) => sweepMachine(world, machine, log)));
    await removeLan(world, lan);
  }
  for (const name of lan === undefined ? state.nodes : []) {
    if (state.runtime === "containerd") {
      const endpoint = text("container-runtime-endpoint");
      await throughOnce(createContainerd(containerdOptions(dir, cgroupRootOf(name), endpoint), { ...world, log }));
    }
    if (state.runtime === "process") {
      const address = text("advertise-address");
      await throughOnce(
        createProcessRuntime(
          {
            dir: `${dir}/nodes/${name}/process`,
            imageDir: `${dir}/images`,
            address,
            clusterCidr: text("cluster-cidr"),
          },
          { ...world, log },
        ),
      );
    }
  }
  if (state.runtime === "containerd" && lan === undefined)
    await cleanNodeNetwork({ bridge: "cni0", confDir: `${dir}/cni/conf` }, world);
  await removeMounts(world, `${dir}/nodes`);
  if (text("proxy-mode") === "iptables") {
    await proxyBackend(
      { mode: "iptables", clusterCidr: text("cluster-cidr"), address: text("advertise-address") },
      world,
      log,
    ).cleanup();
  }
}
