/**
 * How many small requests a second does the API server take over HTTPS? The whole cluster runs; the client is a process of its own on the same
 * machine, with 8 connections of 8 streams each, and an administrator's certificate.
 *
 *     sh tools/node.sh bench/creates.ts [seconds [case,case…]]
 *     T8S_NODE_OPTIONS="--cpu-prof --cpu-prof-dir=/tmp/profile" sh tools/node.sh bench/creates.ts   # where the server's time goes
 */
import { connection, inside, place } from "./kit/cluster.ts";
import { connections, load, type Request, send } from "./kit/http2.ts";
import { usage } from "./kit/machine.ts";
import { report } from "./kit/report.ts";

const [what = "4", dataDir, pid, cases = ""] = process.argv.slice(2);
if (dataDir === undefined || pid === undefined) {
  await using cluster = place("creates");
  await cluster.up("--runtime", "simulated", "--port", "27443");
  const client = inside(cluster, import.meta.filename, what, cluster.dataDir, String(cluster.pid), dataDir ?? "");
  if ((await client.exited) !== 0) process.exitCode = 1;
  await cluster.end();
} else {
  await measure(await connection(dataDir), Number(pid), Number(what), cases.split(",").filter(Boolean));
  process.exit(0);
}

async function measure(
  to: Awaited<ReturnType<typeof connection>>,
  pid: number,
  seconds: number,
  only: readonly string[],
): Promise<void> {
  const sessions = connections(to, 8);
  const [first] = sessions;
  const folder = "/api/v1/namespaces/default";
  const configMap = (name: string) => ({
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name },
    data: { key: "value", other: "x".repeat(100) },
  });
  const run = async (name: string, next: (i: number) => Request, aim?: number) => {
    if (only.length > 0 && !only.includes(name.split(" ")[0]!)) return;
    await load(sessions, 8, 1, next);
    const before = usage(pid);
    const { perSecond, p50, p99, count } = await load(sessions, 8, seconds, next);
    const after = usage(pid);
    const own = after.cpu - before.cpu;
    const others = (after.busy - before.busy - own) / ((after.at - before.at) / 1000);
    report(
      name,
      perSecond,
      "/s",
      aim === undefined ? {} : { above: aim },
      `p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms, ${Math.round((own * 1e6) / count)} µs of the server's CPU each; client and others kept ${others.toFixed(1)} cores busy`,
    );
  };

  for (let i = 0; i < 1000; i++)
    await send(first!, { method: "POST", path: `${folder}/configmaps`, body: JSON.stringify(configMap(`known-${i}`)) });
  const name = (i: number) => `${folder}/configmaps/known-${i % 1000}`;
  let created = 0;
  await run(
    "create of a ConfigMap",
    () => ({ method: "POST", path: `${folder}/configmaps`, body: JSON.stringify(configMap(`new-${created++}`)) }),
    1500,
  );
  await run("get of a ConfigMap", (i) => ({ method: "GET", path: name(i) }));
  await run("patch of a ConfigMap (merge)", (i) => ({
    method: "PATCH",
    path: name(i),
    type: "application/merge-patch+json",
    body: JSON.stringify({ data: { key: String(i) } }),
  }));
  await run("apply of a ConfigMap (server side)", (i) => ({
    method: "PATCH",
    path: `${folder}/configmaps/applied-${i % 1000}?fieldManager=bench`,
    type: "application/apply-patch+yaml",
    body: JSON.stringify({ ...configMap(`applied-${i % 1000}`), data: { key: String(i) } }),
  }));
  // Pods that nobody schedules: what is measured is the list, not what becomes of them.
  for (let i = 0; i < 1000; i += 50)
    await Promise.all(
      Array.from({ length: 50 }, (_, j) =>
        send(sessions[j % sessions.length]!, {
          method: "POST",
          path: `${folder}/pods`,
          body: JSON.stringify({
            apiVersion: "v1",
            kind: "Pod",
            metadata: { name: `pod-${i + j}`, labels: { app: "bench" } },
            spec: {
              schedulerName: "nobody",
              containers: [{ name: "main", image: "example.com/app:1", env: [{ name: "A", value: "b" }] }],
            },
          }),
        }),
      ),
    );
  await run("list of 1,000 pods", () => ({ method: "GET", path: `${folder}/pods` }));
  await run("list of 1,000 pods, from the cache", () => ({ method: "GET", path: `${folder}/pods?resourceVersion=0` }));
  await run("list of 1,000 pods as a table", () => ({
    method: "GET",
    path: `${folder}/pods`,
    accept: "application/json;as=Table;v=v1;g=meta.k8s.io,application/json",
  }));
  if (only.length === 0 || only.includes("fan-out")) await fanOut(to, 100, 2000);
}

/** One object's changes to many watchers: how many events a second reach their readers. */
async function fanOut(to: Awaited<ReturnType<typeof connection>>, watchers: number, changes: number): Promise<void> {
  const readers = connections(to, 8);
  const [writer] = connections(to, 1);
  const path = "/api/v1/namespaces/kube-public/configmaps";
  let events = 0;
  let wake = () => {};
  const total = watchers * changes;
  const newline = "\n".charCodeAt(0);
  await Promise.all(
    Array.from({ length: watchers }, async (_, i) => {
      const stream = readers[i % readers.length]!.request({ ":path": `${path}?watch=true&labelSelector=fan%3Dout` });
      await new Promise((resolve) => stream.once("response", resolve));
      stream.on("data", (chunk: Buffer) => {
        for (let at = chunk.indexOf(newline); at >= 0; at = chunk.indexOf(newline, at + 1)) events++;
        if (events >= total) wake();
      });
    }),
  );
  const all = new Promise<void>((resolve) => (wake = resolve));
  const begun = performance.now();
  let next = 0;
  await Promise.all(
    Array.from({ length: 16 }, async () => {
      while (next < changes) {
        const name = `fan-${next++}`;
        await send(writer!, {
          method: "POST",
          path,
          body: JSON.stringify({
            apiVersion: "v1",
            kind: "ConfigMap",
            metadata: { name, labels: { fan: "out" } },
            data: { key: "value" },
          }),
        });
      }
    }),
  );
  await all;
  const seconds = (performance.now() - begun) / 1000;
  report(
    `fan-out of a change to ${watchers} watchers`,
    total / seconds,
    "/s",
    {},
    `${Math.round(changes / seconds)} creates/s meanwhile`,
  );
}
