/** A cluster to measure: `t8s up` in a process and a network namespace of its own, so that nothing of this machine is touched. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createClient } from "../../src/client/create-client.ts";
import type { Client } from "../../src/client/client.ts";
import { httpsTransport } from "../../src/client/https.ts";
import { connectionOf, parseKubeconfig } from "../../src/client/kubeconfig.ts";
import { noCluster, type Running, TestCluster } from "../../src/testing/cluster.ts";
import { nodeWorld } from "../../src/world/node/index.ts";

const NODE = join(import.meta.dirname, "../../tools/node.sh");

/** An empty namespace with a folder; `up` starts a cluster in it. Leaves with the reason where there can be none. */
export function place(name: string): TestCluster {
  const why = noCluster("");
  if (why !== undefined) {
    console.log(`skipped: ${why}`);
    process.exit(0);
  }
  return new TestCluster(`bench-${name}`, "");
}

/** Starts this file again, in the cluster's namespace: a client must reach the server, and must not share its thread. */
export function inside(cluster: TestCluster, file: string, ...args: readonly string[]): Running {
  const running = cluster.start("sh", [NODE, file, ...args], { env: { NODE_OPTIONS: "" } });
  running.child.stdout!.pipe(process.stdout);
  running.child.stderr!.pipe(process.stderr);
  return running;
}

/** The administrator's connection, from the kubeconfig that `up` wrote. */
export async function connection(dataDir: string) {
  const world = nodeWorld();
  return connectionOf(parseKubeconfig(readFileSync(join(dataDir, "kubeconfig"), "utf8")), world.fs);
}

export async function adminOf(dataDir: string): Promise<Client> {
  return createClient(httpsTransport(nodeWorld(), await connection(dataDir)));
}
