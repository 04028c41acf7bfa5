/** `t8s node`: everything that a machine runs to be a node of a cluster. All that it knows of the cluster are two kubeconfigs. */
import { ComponentGroup } from "../../base/component-group.ts";
import type { Client } from "../../client/client.ts";
import { createClient } from "../../client/create-client.ts";
import { httpsTransport } from "../../client/https.ts";
import { CommandError, defineCommand } from "../command.ts";
import { nodeFlags } from "../flags/node.ts";
import { primaryAddress } from "../host-facts.ts";
import { credentialsIn, readyFile } from "../machines/machine.ts";
import { releaseMemory } from "../memory.ts";
import { connection } from "../processes/connection.ts";
import { readText } from "../processes/files.ts";
import { cgroupRootOf, createNode, createNodeProxy, type NodeDependencies } from "../node.ts";
import { userAgent } from "../version.ts";

const AFTER_START_MS = 3000;

export const node = defineCommand({
  name: "node",
  usage: "[flags]",
  about: "Run a node on a machine of its own.",
  flags: nodeFlags,
  async run({ world, signal, logger }, values, positional) {
    if (positional.length > 0) throw new CommandError(`unexpected argument ${JSON.stringify(positional[0])}`);
    const { "data-dir": dir, "proxy-mode": mode, "cluster-cidr": clusterCidr } = values;
    if (dir === "") throw new CommandError("--data-dir is needed: the folder with the node's kubeconfigs");
    if (mode !== "iptables" && mode !== "none")
      throw new CommandError(`unsupported proxy mode ${JSON.stringify(mode)}`);
    const files = credentialsIn(dir);
    const text = (path: string) => readText(world.fs, path);
    const connections = {
      kubelet: await connection(world, { kubeconfig: files.kubelet }, userAgent(world.host, "kubelet")),
      "kube-proxy": await connection(world, { kubeconfig: files.proxy }, userAgent(world.host, "kube-proxy")),
    };
    const clients = new Map<string, Client>();
    const name = values["hostname-override"] || world.host.hostname.toLowerCase();
    const address = values["node-ip"] || primaryAddress(world);
    const deps: NodeDependencies = {
      world,
      log: logger({ verbosity: values.v, format: values["logging-format"] === "json" ? "json" : "text" }),
      clientOf(program) {
        const client = clients.get(program) ?? createClient(httpsTransport(world, connections[program]));
        clients.set(program, client);
        return client;
      },
    };
    try {
      await using group = new ComponentGroup();
      const kubelet = createNode(
        {
          name,
          address,
          dir,
          machineDir: dir,
          cgroupRoot: values["cgroup-root"] || cgroupRootOf(name),
          runtime: "containerd",
          containerRuntimeEndpoint: values["container-runtime-endpoint"],
          serving: {
            port: values.port,
            tls: { cert: await text(files.cert), key: await text(files.key) },
            clientCa: await text(files.ca),
          },
          clusterCidr,
          clusterDns: values["cluster-dns"],
          staticPodPath: values["pod-manifest-path"],
          staticPodUrl: values["manifest-url"],
        },
        deps,
      );
      await group.start(kubelet, signal);
      if (mode !== "none")
        await group.start(createNodeProxy({ nodeName: name, address, mode, clusterCidr }, deps), signal);
      world.clock.after(AFTER_START_MS, releaseMemory);
      await world.fs.writeFile(readyFile(dir), String(world.host.pid), { atomic: true });
      await group.wait(signal);
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      await Promise.all([...clients.values()].map((client) => client.transport.close()));
    }
    return 0;
  },
});
