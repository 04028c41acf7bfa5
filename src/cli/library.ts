/**
 * The package as a library: a whole cluster inside the process that asks for it.
 *
 *     await using cluster = await startCluster();
 *     await cluster.client.create(deployments, { … });
 */
import { mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { formatKubeconfig, singleContext } from "../client/kubeconfig.ts";
import type { Client } from "../client/client.ts";
import { type Logger, silent } from "../observe/log.ts";
import { machineWorld } from "./world.ts";
import { deferred } from "../base/deferred.ts";
import { runCluster } from "./cluster.ts";
import { freePort, nameServers, primaryAddress } from "./host-facts.ts";
import { ensurePki } from "./pki.ts";

export interface StartOptions {
  /** Names of the nodes, or how many; default one. */
  readonly nodes?: number | readonly string[];
  /** `simulated` (default): pods follow a script. `process`: containers are processes of this machine. */
  readonly runtime?: "simulated" | "process";
  /** Where everything is kept; default a temporary folder that goes with the cluster. */
  readonly dataDir?: string;
  readonly log?: Logger;
  /** Aborting it stops the cluster. */
  readonly signal?: AbortSignal;
}

export interface RunningCluster extends AsyncDisposable {
  /** The administrator, in process: calls without bytes. */
  readonly client: Client;
  /** For everything else: `https://127.0.0.1:PORT`, and a kubeconfig with the administrator's certificate. */
  readonly server: string;
  readonly kubeconfig: string;
  /** Settles when the cluster has stopped; rejects if a part of it failed. */
  readonly stopped: Promise<void>;
}

export async function startCluster(options: StartOptions = {}): Promise<RunningCluster> {
  const world = machineWorld();
  const { nodes = 1, runtime = "simulated", log = silent } = options;
  const dataDir = options.dataDir ?? mkdtempSync(join(tmpdir(), "typernetes-"));
  const advertiseAddress = primaryAddress(world);
  const port = await freePort(world, "0.0.0.0", 0);
  const pki = await ensurePki(world, `${dataDir}/pki`, [], [advertiseAddress, "10.96.0.1"]);
  const stop = new AbortController();
  const signal = options.signal === undefined ? stop.signal : AbortSignal.any([stop.signal, options.signal]);
  const ready = deferred<Client>();
  const stopped = runCluster(
    {
      dataDir,
      nodes: typeof nodes === "number" ? Array.from({ length: nodes }, (_, i) => `node-${i + 1}`) : nodes,
      runtime,
      serving: { port, pki },
      serviceAccountKey: pki.serviceAccountKey,
      advertiseAddress,
      clusterCidr: "10.128.0.0/10",
      serviceRange: "10.96.0.0/12",
      etcdServers: [],
      proxyMode: "none",
      dns: false,
      nameServers: await nameServers(world),
      containerRuntimeEndpoint: "",
      staticPodPath: "",
      staticPodUrl: "",
      kubeletPort: 0,
    },
    { world, log, progress: { step: (_title, work) => work() } },
    signal,
    ({ client }) => ready.resolve(client),
  )
    .catch((error: unknown) => {
      if (!signal.aborted) throw error;
    })
    .finally(async () => {
      if (options.dataDir === undefined) await rm(dataDir, { recursive: true, force: true });
    });
  stopped.then(
    () => ready.reject(signal.reason),
    (error: unknown) => ready.reject(error),
  );
  const client = await ready.promise;
  const server = `https://127.0.0.1:${port}`;
  return {
    client,
    server,
    kubeconfig: formatKubeconfig(singleContext("typernetes", { server, ca: pki.ca.cert }, pki.admin)),
    stopped,
    async [Symbol.asyncDispose]() {
      stop.abort();
      await stopped;
    },
  };
}

export { builtinResources } from "../api/index.ts";
export { createClient } from "../client/create-client.ts";
export { createInformers } from "../client/informer/informers.ts";
export type { Client } from "../client/client.ts";
export * from "../client/resources.ts";
