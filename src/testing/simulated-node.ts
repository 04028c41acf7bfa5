/** One node of simulated containers before a fake API server, in virtual time: what tests of the kubelet start. */
import type { Pod } from "../api/generated/core.v1.ts";
import { ComponentGroup } from "../base/component-group.ts";
import { createClient } from "../client/create-client.ts";
import type { EventRecorder } from "../client/events.ts";
import { namespaces, pods } from "../client/resources.ts";
import { createKubelet } from "../kubelet/kubelet.ts";
import type { KubeletOptions } from "../kubelet/options.ts";
import { createSimulatedRuntime } from "../kubelet/runtimes/simulated/index.ts";
import { silent } from "../observe/log.ts";
import { Metrics } from "../observe/metrics.ts";
import { fakeTransport } from "./fake-transport.ts";
import { simulatedWorld } from "./sim/world.ts";

export async function startNode(
  options: Partial<KubeletOptions> = {},
  files: Readonly<Record<string, string>> = {},
  podCidr: string | null = "10.244.0.0/24",
) {
  const world = simulatedWorld(7);
  for (const [path, text] of Object.entries(files)) {
    await world.fs.mkdir(path.slice(0, path.lastIndexOf("/")), { recursive: true });
    await world.fs.writeFile(path, text);
  }
  const api = fakeTransport({ now: () => world.clock.now() });
  const client = createClient(api);
  const told: string[] = [];
  const events: EventRecorder = {
    event(about, type, reason, message) {
      const name = "metadata" in about ? about.metadata.name : about.name;
      told.push(`${name} ${type} ${reason} ${message}`);
    },
  };
  api.put(namespaces, { metadata: { name: "default" } });
  api.put(namespaces, { metadata: { name: "kube-node-lease" } });
  const runtime = createSimulatedRuntime(world, podCidr === null ? {} : { podCidr });
  const metrics = new Metrics();
  const deps = { world, client, events, log: silent, metrics, runtime };
  const group = new ComponentGroup();
  const settings = {
    nodeName: "node-1",
    nodeIPs: ["172.18.0.2"],
    capacity: { cpu: "4", memory: "8Gi" },
    clusterDns: ["10.96.0.10"],
    ...options,
  };
  const start = async () => {
    let started = false;
    const starting = group.start(createKubelet(settings, deps)).then(() => (started = true));
    await world.clock.until(() => started, 60_000);
    await starting;
  };
  await start();
  const pod = (name: string): Pod | undefined => api.get<Pod>(pods, `default/${name}`);
  return {
    world,
    api,
    client,
    told,
    pod,
    runtime,
    metrics,
    group,
    until: (reached: () => boolean, ms = 600_000) => world.clock.until(reached, ms),
    phase: (name: string) => pod(name)?.status?.phase,
    condition: (name: string, type: string) =>
      pod(name)?.status?.conditions?.find((condition) => condition.type === type)?.status,
    run(name: string, spec: Omit<Partial<Pod["spec"]>, "containers"> & { containers: any[] }, metadata: object = {}) {
      return api.put<Pod>(pods, {
        metadata: { name, namespace: "default", generation: 1, creationTimestamp: "2026-01-01T00:00:00Z", ...metadata },
        spec: {
          nodeName: "node-1",
          restartPolicy: "Always",
          terminationGracePeriodSeconds: 30,
          enableServiceLinks: true,
          securityContext: {},
          ...spec,
          containers: spec.containers.map((container) => ({
            resources: {},
            imagePullPolicy: "IfNotPresent",
            ...container,
          })),
        },
        status: { phase: "Pending" },
      });
    },
    restart: async () => {
      await group[Symbol.asyncDispose]();
      await start();
    },
    async [Symbol.asyncDispose]() {
      await group[Symbol.asyncDispose]();
    },
  };
}
