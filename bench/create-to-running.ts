/**
 * How long does a pod take from its creation to Running, compared with the same pod through raw CRI calls on the same containerd? Turn by turn in one
 * run. Through the API it is created over HTTPS and watched until its status says Running; raw, it is RunPodSandbox, CreateContainer, StartContainer.
 *
 *     sh tools/node.sh bench/create-to-running.ts [samples]
 */
import { setTimeout as sleep } from "node:timers/promises";
import { pods, serviceAccounts } from "../src/client/resources.ts";
import { hasReason } from "../src/machinery/status.ts";
import { connectCri } from "../src/protocols/cri/connect.ts";
import { BUSYBOX } from "../src/testing/cluster.ts";
import { nodeWorld } from "../src/world/node/index.ts";
import { adminOf, inside, place } from "./kit/cluster.ts";
import { median, quantile, report } from "./kit/report.ts";

const [samples = "20", dataDir, node = ""] = process.argv.slice(2);
if (dataDir === undefined) {
  await using cluster = place("running");
  await cluster.up("--runtime", "containerd");
  await cluster.load();
  const client = inside(cluster, import.meta.filename, samples, cluster.dataDir, cluster.node);
  if ((await client.exited) !== 0) process.exitCode = 1;
  if (process.env["BENCH_LOG"]) console.log(cluster.log());
  await cluster.end();
} else {
  await measure(dataDir, Number(samples));
  process.exit(0);
}

async function measure(dir: string, count: number): Promise<void> {
  const client = await adminOf(dir);
  const cri = connectCri(nodeWorld(), `${dir}/containerd/containerd.sock`);
  while (!(await exists(client.get(serviceAccounts, { namespace: "default", name: "default" })))) await sleep(50);
  const steps: Record<"api" | "raw" | "scheduled" | "sandbox" | "container" | "start", number[]> = {
    api: [],
    raw: [],
    scheduled: [],
    sandbox: [],
    container: [],
    start: [],
  };
  // The first of each warms up and does not count.
  for (let i = -1; i < count; i++) {
    const api = await throughApi(i);
    await sleep(500);
    const raw = await throughCri(i);
    await sleep(500);
    if (i < 0) continue;
    for (const [step, took] of Object.entries({ ...api, ...raw })) steps[step as keyof typeof steps].push(took);
  }
  const spread = (values: readonly number[]) =>
    `p10 ${quantile(values, 0.1).toFixed(0)}, p90 ${quantile(values, 0.9).toFixed(0)}`;
  report(
    "create to Running, through the API",
    median(steps.api),
    "ms",
    {},
    `${spread(steps.api)}; scheduled after ${median(steps.scheduled).toFixed(0)}`,
  );
  report(
    "the same pod through raw CRI calls",
    median(steps.raw),
    "ms",
    {},
    `${spread(steps.raw)}; sandbox ${median(steps.sandbox).toFixed(0)}, container ${median(steps.container).toFixed(0)}, start ${median(steps.start).toFixed(0)}`,
  );
  report("ratio of the medians", median(steps.api) / median(steps.raw), "x", { below: 1.5 });

  async function throughApi(i: number) {
    const name = `pod${i + 1}`;
    const at = { namespace: "default", name };
    const stop = new AbortController();
    const { resourceVersion } = await client.list(pods, { namespace: "default" });
    const events = client.watch(pods, {
      namespace: "default",
      fieldSelector: `metadata.name=${name}`,
      resourceVersion,
      signal: stop.signal,
    });
    const begun = performance.now();
    let scheduled = 0;
    const running = (async () => {
      for await (const { object } of events) {
        if (scheduled === 0 && object.spec.nodeName !== undefined) scheduled = performance.now() - begun;
        if (object.status.phase === "Running") return performance.now() - begun;
      }
      throw new Error("the watch ended");
    })();
    await client.create(pods, {
      metadata: { name, namespace: "default" },
      spec: {
        terminationGracePeriodSeconds: 1,
        containers: [{ name: "main", image: BUSYBOX, imagePullPolicy: "IfNotPresent", command: ["sleep", "1000"] }],
      },
    });
    const api = await running;
    stop.abort();
    await client.delete(pods, at, { gracePeriodSeconds: 1 });
    while (await exists(client.get(pods, at))) await sleep(50);
    return { api, scheduled };
  }

  async function throughCri(i: number) {
    const uid = `raw${i + 1}`;
    const config = {
      metadata: { name: uid, uid, namespace: "default", attempt: 0 },
      hostname: uid,
      log_directory: `${dir}/raw/${uid}`,
      dns_config: { servers: ["10.96.0.10"], searches: ["default.svc.cluster.local"], options: ["ndots:5"] },
      labels: { "io.kubernetes.pod.name": uid, "io.kubernetes.pod.namespace": "default", "io.kubernetes.pod.uid": uid },
      linux: {
        cgroup_parent: `/t8s-${node}/raw/${uid}`,
        security_context: { namespace_options: { pid: "CONTAINER" } },
      },
    } as const;
    const begun = performance.now();
    const { pod_sandbox_id } = await cri.runtime.RunPodSandbox({ config });
    const sandbox = performance.now();
    const { container_id } = await cri.runtime.CreateContainer({
      pod_sandbox_id,
      config: {
        metadata: { name: "main", attempt: 0 },
        image: { image: BUSYBOX },
        command: ["sleep", "1000"],
        log_path: "main/0.log",
        linux: {
          resources: { cpu_shares: 2, oom_score_adj: 1000 },
          security_context: { namespace_options: { pid: "CONTAINER" } },
        },
      },
      sandbox_config: config,
    });
    const container = performance.now();
    await cri.runtime.StartContainer({ container_id });
    const end = performance.now();
    await cri.runtime.StopPodSandbox({ pod_sandbox_id });
    await cri.runtime.RemovePodSandbox({ pod_sandbox_id });
    return { raw: end - begun, sandbox: sandbox - begun, container: container - sandbox, start: end - container };
  }
}

async function exists(reading: Promise<unknown>): Promise<boolean> {
  try {
    await reading;
    return true;
  } catch (error) {
    if (hasReason(error, "NotFound")) return false;
    throw error;
  }
}
