/**
 * The node agent: it takes pods from the API server, a folder and a URL, makes the container runtime run what they say, and reports their status. It
 * speaks CRI to the runtime and REST to the API server, and nothing else.
 * Upstream: pkg/kubelet/kubelet.go
 */
import type { Component } from "../base/component-group.ts";
import { every, pause } from "../world/time.ts";
import { cgroupVersionAt, hasSwapController } from "./cgroups/manager.ts";
import { housekeeping } from "./housekeeping.ts";
import { onApiDelete, onApiPod, onStaticPods } from "./intake.ts";
import { keepLease } from "./node/lease.ts";
import { withDefaults } from "./options.ts";
import type { KubeletOptions } from "./options.ts";
import { rotateLogs } from "./runtime/log-rotation.ts";
import { podLogDir } from "./runtime/sandbox-config.ts";
import { serveHealthz, serveKubelet } from "./server/server.ts";
import { fileSource } from "./sources/file.ts";
import { httpSource } from "./sources/http.ts";
import { KubeletState } from "./state.ts";
import type { KubeletDeps } from "./state.ts";
import { viewOf } from "./view.ts";

export interface KubeletComponent extends Component {
  /** Where the server listens, once it does. */
  readonly port: number | undefined;
}

const HOUSEKEEPING_MS = 30_000;

export function createKubelet(options: KubeletOptions, deps: KubeletDeps): KubeletComponent {
  const settings = withDefaults(options);
  let kubelet: KubeletState | undefined;
  return {
    name: "kubelet",
    get port() {
      return kubelet?.port;
    },
    async run(signal, ready) {
      const { world, runtime } = deps;
      const cgroupVersion = runtime.usesCgroups ? await cgroupVersionAt(world.fs, settings.cgroupMount) : 2;
      const swap = runtime.usesCgroups && (await hasSwapController(world.fs, settings.cgroupMount, cgroupVersion));
      kubelet = new KubeletState(settings, deps, { version: cgroupVersion, swap });
      await runKubelet(kubelet, signal, ready);
    },
  };
}

async function runKubelet(kubelet: KubeletState, signal: AbortSignal, ready: () => void): Promise<void> {
  const { settings, world, log } = kubelet;
  const background: Promise<unknown>[] = [];
  if (kubelet.cri.usesFiles) {
    for (const dir of [settings.rootDir, kubelet.paths.pods, settings.podLogsDir])
      await world.fs.mkdir(dir, { recursive: true, mode: 0o750 });
  }
  await kubelet.cgroups?.start();
  await kubelet.allocated.load();
  await kubelet.actuated.load();
  kubelet.runtimeName = (await untilAnswered(kubelet, signal)).runtime_name;
  await using server = settings.port === undefined ? undefined : await serveKubelet(viewOf(kubelet));
  await using _healthz = settings.healthzPort === 0 ? undefined : await serveHealthz(viewOf(kubelet));
  kubelet.port = server?.address.port;
  await kubelet.nodeManager.look();
  await kubelet.pleg.relist();
  kubelet.started = true;

  if (kubelet.ownInformers) background.push(kubelet.informers.run(signal, () => {}));
  background.push(kubelet.pleg.run(signal));
  kubelet.sources = [
    ...(settings.staticPodPath === undefined
      ? []
      : [
          fileSource(world, log, {
            path: settings.staticPodPath,
            nodeName: settings.nodeName,
            everyMs: settings.fileCheckFrequencyMs,
          }),
        ]),
    ...(settings.staticPodUrl === undefined
      ? []
      : [
          httpSource(world, log, {
            url: settings.staticPodUrl,
            nodeName: settings.nodeName,
            everyMs: settings.httpCheckFrequencyMs,
          }),
        ]),
  ];
  for (const source of kubelet.sources)
    background.push(source.run(signal, (pods) => onStaticPods(kubelet, source.name, pods)));

  try {
    if (settings.registerNode) await kubelet.nodeManager.register(signal);
    background.push(kubelet.nodeManager.run(signal));
    const node = { name: settings.nodeName, uid: () => kubelet.nodeManager.node?.metadata.uid };
    background.push(keepLease({ client: kubelet.client, world, log }, node, settings.nodeLeaseDurationSeconds, signal));
    using _subscription = kubelet.podInformer.subscribe({
      add: (pod) => onApiPod(kubelet, pod),
      update: (_old, pod) => onApiPod(kubelet, pod),
      delete: (pod) => onApiDelete(kubelet, pod),
    });
    await kubelet.podInformer.waitForSync(signal);
    kubelet.sourcesReady.add("api");
    ready();
    await housekeeping(kubelet);
    for (const part of [kubelet.images, kubelet.evictions]) if (part !== undefined) background.push(part.run(signal));
    if (kubelet.cri.usesFiles) {
      background.push(
        rotateLogs(
          { world, log, cri: kubelet.cri },
          { maxBytes: settings.containerLogMaxSizeBytes, maxFiles: settings.containerLogMaxFiles },
          () => runningLogs(kubelet),
          signal,
        ),
      );
    }
    // A simulated node makes no orphans by itself: it looks once.
    if (kubelet.cri.usesFiles) await every(world.clock, HOUSEKEEPING_MS, signal, () => housekeeping(kubelet));
    else await untilAborted(signal);
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    kubelet.stopping = true;
    await kubelet.workers.stop();
    kubelet.probes.stop();
    kubelet.status.stop();
    kubelet.allocator.stop();
    for (const timer of kubelet.deadlines.values()) timer[Symbol.dispose]();
    await Promise.allSettled(background);
  }
}

async function untilAnswered(kubelet: KubeletState, signal: AbortSignal) {
  for (;;) {
    try {
      return await kubelet.cri.runtime.Version({ version: "0.1.0" });
    } catch (error) {
      kubelet.log.error("Container runtime is not answering", error);
      if (!(await pause(kubelet.world.clock, 1000, signal))) signal.throwIfAborted();
    }
  }
}

function runningLogs(kubelet: KubeletState): readonly { readonly containerId: string; readonly path: string }[] {
  return [...kubelet.pods.values()].flatMap((pod) =>
    kubelet.pleg
      .get(pod.metadata.uid)
      .containers.filter(({ state }) => state === "running")
      .map(({ id, name, restartCount }) => ({
        containerId: id,
        path: `${podLogDir(kubelet.settings.podLogsDir, pod)}/${name}/${restartCount}.log`,
      })),
  );
}

function untilAborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}
