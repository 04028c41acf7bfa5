/**
 * What do a thousand watchers of pods cost? The server's memory for them, the time until the last of them hears of a change when changes come one by
 * one, and how many events a second reach their readers when changes come as fast as they are taken. Half watch all pods, half those of one node.
 *
 *     sh tools/node.sh bench/watch.ts [watchers]
 */
import type { ClientHttp2Session } from "node:http2";
import { setTimeout as sleep } from "node:timers/promises";
import { pods } from "../src/client/resources.ts";
import { adminOf, connection, inside, place } from "./kit/cluster.ts";
import { connections, type Connection, send } from "./kit/http2.ts";
import { memory, usage } from "./kit/machine.ts";
import { median, quantile, report } from "./kit/report.ts";

const [watchers = "1000", dataDir, pid] = process.argv.slice(2);
if (dataDir === undefined) {
  await using cluster = place("watch");
  await cluster.up("--runtime", "simulated", "--port", "27444");
  const client = inside(cluster, import.meta.filename, watchers, cluster.dataDir, String(cluster.pid));
  if ((await client.exited) !== 0) process.exitCode = 1;
  await cluster.end();
} else {
  await measure(await connection(dataDir), Number(pid), Number(watchers));
  process.exit(0);
}

async function measure(to: Connection, server: number, count: number): Promise<void> {
  const path = "/api/v1/namespaces/default/pods";
  const [writer] = connections(to, 1) as [ClientHttp2Session];
  for (let i = 0; i < 100; i++) {
    const pod = {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: `pod-${i}` },
      spec: { schedulerName: "nobody", nodeName: "none", containers: [{ name: "main", image: "example.com/app:1" }] },
    };
    await send(writer, { method: "POST", path, body: JSON.stringify(pod) });
  }
  const { resourceVersion } = await (await adminOf(dataDir!)).list(pods, { namespace: "default", limit: 1 });
  const before = memory(server);
  const readers = connections(to, 20);
  let events = 0;
  let awaited = Number.POSITIVE_INFINITY;
  let wake = () => {};
  const reached = (total: number) =>
    new Promise<void>((resolve) => {
      awaited = total;
      wake = resolve;
      if (events >= total) resolve();
    });
  const newline = "\n".charCodeAt(0);
  await Promise.all(
    Array.from({ length: count }, async (_, i) => {
      const selector = i % 2 === 0 ? "" : "&fieldSelector=spec.nodeName%3Dnone";
      const stream = readers[i % readers.length]!.request({
        ":path": `/api/v1/pods?watch=true&allowWatchBookmarks=true&resourceVersion=${resourceVersion}${selector}`,
      });
      stream.on("data", (chunk: Buffer) => {
        for (let at = chunk.indexOf(newline); at >= 0; at = chunk.indexOf(newline, at + 1)) events++;
        if (events >= awaited) wake();
      });
      await new Promise((resolve) => stream.once("response", resolve));
    }),
  );
  await sleep(1000);
  const after = memory(server);
  report(
    `memory of a watcher, ${count} of them`,
    ((after.privateMb - before.privateMb) * 1000) / count,
    "kB",
    {},
    `${after.rssMb.toFixed(0)} MB RSS in all`,
  );

  const change = (i: number) =>
    send(writer, {
      method: "PATCH",
      path: `${path}/pod-${i % 100}`,
      type: "application/merge-patch+json",
      body: JSON.stringify({ metadata: { annotations: { change: String(i) } } }),
    });
  const latencies: number[] = [];
  for (let i = 0; i < 100; i++) {
    const last = reached(events + count);
    const begun = performance.now();
    await change(i);
    await last;
    latencies.push(performance.now() - begun);
  }
  report(
    `a change until the last of ${count} watchers hears of it`,
    median(latencies),
    "ms",
    {},
    `p99 ${quantile(latencies, 0.99).toFixed(0)} ms`,
  );

  const changes = 500;
  const total = changes * count;
  const all = reached(events + total);
  const begun = usage(server);
  let next = 100;
  await Promise.all(
    Array.from({ length: 16 }, async () => {
      while (next < 100 + changes) await change(next++);
    }),
  );
  await all;
  const end = usage(server);
  const seconds = (end.at - begun.at) / 1000;
  const own = end.cpu - begun.cpu;
  report(
    `events to ${count} watchers`,
    total / seconds,
    "/s",
    {},
    `${((own * 1e6) / total).toFixed(1)} µs of the server's CPU each; client and others kept ${((end.busy - begun.busy - own) / seconds).toFixed(1)} cores busy`,
  );
}
