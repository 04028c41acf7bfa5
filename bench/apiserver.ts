/**
 * What does each kind of request cost the API server, over HTTPS? The server is a process of its own, etcd within it; then once more with etcd in
 * another process; and, where BENCH_KUBE_APISERVER names a genuine kube-apiserver, that one on the same etcd. Each row has requests a second, the
 * median and the 99th percentile, and CPU per request of the server's process; then starts, and memory for each object.
 *
 *     sh tools/node.sh bench/apiserver.ts [part of a row's name]…
 *
 * BENCH_SECONDS is the time a turn takes (1.5), BENCH_PODS the pods of the long list (10,000), BENCH_PORT the first port (23,500), BENCH_DIR where
 * data goes (/var/tmp), BENCH_ONLY=KIND one server only ("t8s", "t8s, etcd apart", "kube-apiserver"), BENCH_PROFILE=FOLDER leaves CPU profiles of
 * ours there.
 */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { askWell, connected, type Connection, drive, type Protocol, type Request } from "../src/testing/load/https.ts";
import { widgetDefinition } from "../src/testing/load/widgets.ts";
import { type ApiKind, PEER, type RunningApi, startApi } from "./kit/api-servers.ts";
import { median, quantile } from "./kit/report.ts";

const SECONDS = Number(process.env["BENCH_SECONDS"] ?? 1.5);
const PODS = Number(process.env["BENCH_PODS"] ?? 10_000);
const PORT = Number(process.env["BENCH_PORT"] ?? 23_500);
const only = process.argv.slice(2);
const KINDS: readonly ApiKind[] = process.env["BENCH_ONLY"]
  ? [process.env["BENCH_ONLY"] as ApiKind]
  : ["t8s", "t8s, etcd apart", ...(PEER === undefined ? [] : (["kube-apiserver"] as const))];

const FOLDER = "/api/v1/namespaces/default";
const WIDGETS = "/apis/bench.example.com/v1/namespaces/default/widgets";
const PROTOBUF = "application/vnd.kubernetes.protobuf";
const KNOWN = 1000;
const CLIENTS = 64;

const json = (value: unknown) => Buffer.from(JSON.stringify(value));
const configMap = (name: string, key = "value") => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name },
  data: { key, other: "x".repeat(100) },
});
const pod = (name: string) => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name, labels: { app: "bench" } },
  spec: {
    schedulerName: "nobody",
    containers: [{ name: "main", image: "example.com/app:1", env: [{ name: "A", value: "b" }] }],
  },
});
const WIDGET_DEFINITION = widgetDefinition("bench.example.com");
const widget = (name: string) => ({
  apiVersion: "bench.example.com/v1",
  kind: "Widget",
  metadata: { name },
  spec: {
    replicas: 3,
    name: "widget",
    parts: [
      { name: "a", size: 1 },
      { name: "b", size: 2 },
      { name: "c", size: 3 },
    ],
  },
});

let created = 0;
const known = (i: number) => `known-${i % KNOWN}`;
const apply = (i: number): Request => ({
  method: "PATCH",
  path: `${FOLDER}/configmaps/applied-${i % KNOWN}?fieldManager=bench`,
  type: "application/apply-patch+yaml",
  body: json(configMap(`applied-${i % KNOWN}`, String(i))),
});
const patch =
  (type: string, body: (i: number) => unknown) =>
  (i: number): Request => ({
    method: "PATCH",
    path: `${FOLDER}/configmaps/${known(i)}`,
    type,
    body: json(body(i)),
  });

interface Case {
  readonly name: string;
  readonly next: (i: number) => Request;
  readonly clients?: number;
  readonly protocols?: readonly Protocol[];
  /** Requests a second on one core, which is so much CPU for each. */
  readonly aim?: number;
  /** Whoever isn't privileged takes the way through roles and queues. */
  readonly as?: "user";
  /** Shows the answers' size in all. */
  readonly bytes?: true;
}

const BOTH: readonly Protocol[] = ["HTTP/2", "HTTP/1.1"];

const CASES: readonly Case[] = [
  {
    name: "create of a ConfigMap",
    next: () => ({ method: "POST", path: `${FOLDER}/configmaps`, body: json(configMap(`new-${created++}`)) }),
    protocols: BOTH,
    aim: 5000,
  },
  {
    name: "get of a ConfigMap",
    next: (i) => ({ method: "GET", path: `${FOLDER}/configmaps/${known(i)}` }),
    protocols: BOTH,
    aim: 20_000,
  },
  {
    name: "get of a ConfigMap by a user with roles",
    next: (i) => ({ method: "GET", path: `${FOLDER}/configmaps/${known(i)}` }),
    as: "user",
  },
  {
    name: "get of a ConfigMap from the cache",
    next: (i) => ({ method: "GET", path: `${FOLDER}/configmaps/${known(i)}?resourceVersion=0` }),
  },
  {
    name: "get of a ConfigMap, protobuf",
    next: (i) => ({ method: "GET", path: `${FOLDER}/configmaps/${known(i)}`, accept: PROTOBUF }),
  },
  {
    name: "create of a ConfigMap by a user with roles",
    next: () => ({ method: "POST", path: `${FOLDER}/configmaps`, body: json(configMap(`new-${created++}`)) }),
    as: "user",
  },
  {
    name: "create of a pod",
    next: () => ({ method: "POST", path: "/api/v1/namespaces/kube-public/pods", body: json(pod(`pod-${created++}`)) }),
  },
  {
    name: "patch of a ConfigMap, merge",
    next: patch("application/merge-patch+json", (i) => ({ data: { key: String(i) } })),
  },
  {
    name: "patch of a ConfigMap, strategic",
    next: patch("application/strategic-merge-patch+json", (i) => ({ data: { key: String(i) } })),
  },
  {
    name: "patch of a ConfigMap, JSON",
    next: patch("application/json-patch+json", (i) => [{ op: "replace", path: "/data/key", value: String(i) }]),
  },
  { name: "apply of a ConfigMap, server side", next: apply },
  {
    name: "create of a custom object with CEL rules",
    next: () => ({ method: "POST", path: WIDGETS, body: json(widget(`widget-${created++}`)) }),
  },
];

const LISTS: readonly Case[] = [
  { name: "list of pods, JSON", next: () => ({ method: "GET", path: `${FOLDER}/pods` }), bytes: true },
  {
    name: "list of pods, JSON, from the cache",
    next: () => ({ method: "GET", path: `${FOLDER}/pods?resourceVersion=0` }),
    bytes: true,
  },
  {
    name: "list of pods, JSON, gzip",
    next: () => ({ method: "GET", path: `${FOLDER}/pods`, encoding: "gzip" }),
    bytes: true,
  },
  {
    name: "list of pods, protobuf",
    next: () => ({ method: "GET", path: `${FOLDER}/pods`, accept: PROTOBUF }),
    bytes: true,
  },
  {
    name: "list of pods, 500 a page",
    next: () => ({ method: "GET", path: `${FOLDER}/pods?limit=500` }),
    bytes: true,
  },
  {
    name: "list of pods as a table",
    next: () => ({
      method: "GET",
      path: `${FOLDER}/pods`,
      accept: "application/json;as=Table;v=v1;g=meta.k8s.io,application/json",
    }),
    bytes: true,
  },
];
const WATCHERS = [1, 100, 1000];

interface Sum {
  requests: number;
  seconds: number;
  cpu: number;
  bytes: number;
  errors: number;
  firstError: string;
  loadCores: number;
  readonly latencies: number[];
}

const wanted = (name: string) => only.length === 0 || only.some((part) => name.includes(part));
const number = (value: number, digits = value >= 100 ? 0 : value >= 10 ? 1 : 2) =>
  value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });

console.log(
  `${"".padEnd(66)}${"/s".padStart(9)}${"p50 ms".padStart(9)}${"p99 ms".padStart(9)}${"CPU µs".padStart(9)}${"a core/s".padStart(10)}${"load".padStart(6)}`,
);
const begun = performance.now();
const short: string[] = [];
/** CPU for a request of each row, by the server's kind, to compare. */
const costs = new Map<string, Map<ApiKind, { readonly cpu: number; readonly rate: number }>>();
for (const kind of KINDS) await measureAll(kind);
compare();
if (wanted("start")) await starts();
console.log(
  `\n${number((performance.now() - begun) / 1000, 0)} s in all. a core/s: requests for each second of the server's CPU. load: cores that the client kept busy.`,
);
if (short.length > 0) console.log(`Short of the aim:\n${short.map((line) => `  ${line}`).join("\n")}`);
process.exit();

async function measureAll(kind: ApiKind): Promise<void> {
  const cases = CASES.flatMap((each) => {
    const { protocols = ["HTTP/2"] } = each;
    return protocols.map((protocol) => ({
      each,
      protocol,
      name: protocols.length === 1 ? each.name : `${each.name}, ${protocol}`,
    }));
  }).filter(({ name }) => wanted(name));
  const lists = LISTS.filter(({ name }) => wanted(name));
  const fanOuts = wanted("watch fan-out");
  const memory = wanted("memory");
  if (cases.length + lists.length === 0 && !fanOuts && !memory) return;
  await using server = await startApi(kind, PORT + KINDS.indexOf(kind) * 20);
  const [admin] = (await connected(server.target, "HTTP/2", 1)) as [Connection];
  await prepare(server, admin);
  for (const { name, each, protocol } of cases) await row(server, name, each, protocol);
  if (fanOuts) for (const count of WATCHERS) await fanOut(server, admin, count);
  if (lists.length > 0 || memory) await fill(server, memory);
  for (const each of lists)
    await row(server, each.name.replace("pods", `${number(PODS)} pods`), { ...each, clients: 4 }, "HTTP/2");
}

/** What the cases work on, and the roles of the user who isn't privileged. */
async function prepare(server: RunningApi, admin: Connection): Promise<void> {
  const rbac = "rbac.authorization.k8s.io";
  // The bootstrap policy's own come from a controller that doesn't run here.
  await askWell(admin, {
    method: "POST",
    path: `/apis/${rbac}/v1/clusterroles`,
    body: json({
      apiVersion: `${rbac}/v1`,
      kind: "ClusterRole",
      metadata: { name: "bencher" },
      rules: [
        { apiGroups: [""], resources: ["configmaps", "pods"], verbs: ["get", "list", "watch", "create", "patch"] },
      ],
    }),
  });
  await askWell(admin, {
    method: "POST",
    path: `/apis/${rbac}/v1/clusterrolebindings`,
    body: json({
      apiVersion: `${rbac}/v1`,
      kind: "ClusterRoleBinding",
      metadata: { name: "loaders" },
      roleRef: { apiGroup: rbac, kind: "ClusterRole", name: "bencher" },
      subjects: [{ apiGroup: rbac, kind: "Group", name: "loaders" }],
    }),
  });
  await askWell(admin, {
    method: "POST",
    path: "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
    body: json(WIDGET_DEFINITION),
  });
  const connections = await connected(server.target, "HTTP/2", 4);
  const { firstError } = await drive(connections, 16, { requests: KNOWN }, (i) => ({
    method: "POST",
    path: `${FOLDER}/configmaps`,
    body: json(configMap(known(i))),
  }));
  if (firstError !== "") throw new Error(firstError);
  await drive(connections, 16, { requests: KNOWN }, apply);
  for (const connection of connections) connection.close();
  await established(admin);
}

async function established(admin: Connection): Promise<void> {
  for (let tries = 0; ; tries++) {
    try {
      await askWell(admin, { method: "POST", path: WIDGETS, body: json(widget(`first-${created++}`)) });
      return;
    } catch (error) {
      if (tries === 200) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

async function row(
  server: RunningApi,
  name: string,
  { next, clients = CLIENTS, aim, as, bytes }: Case,
  protocol: Protocol,
): Promise<void> {
  const target = as === "user" ? server.user : server.target;
  const connections = await connected(target, protocol, protocol === "HTTP/2" ? Math.max(1, clients / 8) : clients);
  await drive(connections, clients, { seconds: Math.min(1, SECONDS) }, next);
  const before = server.cpu();
  const { latencies, ...turn } = await drive(connections, clients, { seconds: SECONDS }, next);
  const sum: Sum = { ...turn, cpu: server.cpu() - before, requests: latencies.length, latencies: [...latencies] };
  for (const connection of connections) connection.close();
  print(server.kind, name, sum, aim, bytes === true ? `${number(sum.bytes / sum.seconds / 1e6)} MB/s` : "");
}

function print(kind: ApiKind, name: string, sum: Sum, aim?: number, note = ""): void {
  const rate = sum.requests / sum.seconds;
  const cpu = (sum.cpu * 1e6) / sum.requests;
  const perCore = 1e6 / cpu;
  const verdict = aim === undefined ? "" : `  aim ${number(aim)} ${perCore >= aim ? "met" : "MISSED"}`;
  if (aim !== undefined && perCore < aim && kind === "t8s") short.push(`${name}: ${number(perCore)} of ${number(aim)}`);
  const errors = sum.errors > 0 ? `  ERRORS ${sum.errors}: ${sum.firstError}` : "";
  const cells = [rate, quantile(sum.latencies, 0.5), quantile(sum.latencies, 0.99), cpu].map((value) =>
    number(value).padStart(9),
  );
  console.log(
    `${name.padEnd(50)}${kind.padEnd(16)}${cells.join("")}${number(perCore).padStart(10)}${number(sum.loadCores, 2).padStart(6)}${verdict}${note === "" ? "" : `  ${note}`}${errors}`,
  );
  const known = costs.get(name) ?? new Map();
  costs.set(name, known.set(kind, { cpu, rate }));
}

/** A change, until the last of so many watchers has heard of it; then the next. Requests are events here. */
async function fanOut(server: RunningApi, admin: Connection, watchers: number): Promise<void> {
  const connections = await connected(server.target, "HTTP/2", Math.ceil(watchers / 50));
  const path = `${FOLDER}/configmaps`;
  let lacking = watchers;
  let all = () => {};
  const allHeard = () => new Promise<void>((resolve) => (all = resolve));
  const { metadata } = JSON.parse(String(await askWell(admin, { method: "GET", path: `${path}?limit=1` })));
  for (let i = 0; i < watchers; i++)
    connections[i % connections.length]!.call(
      { method: "GET", path: `${path}?watch=true&resourceVersion=${metadata.resourceVersion}` },
      {
        onData(buffer, start, end) {
          // An event ends with its line.
          if (buffer[end - 1] === 0x0a && --lacking === 0) all();
        },
        onEnd() {
          throw new Error("a watch has ended");
        },
      },
    );
  const sum: Sum = {
    requests: 0,
    seconds: 0,
    cpu: 0,
    bytes: 0,
    errors: 0,
    firstError: "",
    loadCores: 0,
    latencies: [],
  };
  const change = async (i: number) => {
    lacking = watchers;
    const told = allHeard();
    await Promise.all([
      askWell(admin, patch("application/merge-patch+json", () => ({ data: { key: `changed ${created++}` } }))(i)),
      told,
    ]);
  };
  await new Promise((resolve) => setTimeout(resolve, 500));
  for (let i = 0; i < 20; i++) await change(i);
  const [before, load] = [server.cpu(), process.cpuUsage()];
  const started = performance.now();
  let now = started;
  for (let i = 0; now < started + SECONDS * 1000; i++) {
    await change(i);
    const last = performance.now();
    sum.latencies.push(last - now);
    sum.requests += watchers;
    now = last;
  }
  const { user, system } = process.cpuUsage(load);
  sum.loadCores = (user + system) / 1000 / (now - started);
  sum.seconds = (now - started) / 1000;
  sum.cpu = server.cpu() - before;
  for (const connection of connections) connection.close();
  print(server.kind, `watch fan-out to ${number(watchers, 0)}, events`, sum);
}

/** The pods of the long list, and what each of them takes of memory. */
async function fill(server: RunningApi, tell: boolean): Promise<void> {
  const connections = await connected(server.target, "HTTP/2", 8);
  const before = server.rssMb();
  const cpu = server.cpu();
  const { firstError } = await drive(connections, CLIENTS, { requests: PODS }, (i) => ({
    method: "POST",
    path: `${FOLDER}/pods`,
    body: json(pod(`listed-${i}`)),
  }));
  if (firstError !== "") throw new Error(firstError);
  const spent = server.cpu() - cpu;
  for (const connection of connections) connection.close();
  if (!tell) return;
  await new Promise((resolve) => setTimeout(resolve, 2000));
  const grown = ((server.rssMb() - before) * 1e3) / PODS;
  console.log(
    `${`memory for each of ${number(PODS)} pods, by RSS`.padEnd(50)}${server.kind.padEnd(16)}${number(grown).padStart(9)} kB  ${number((spent * 1e6) / PODS)} µs of CPU each, ${number(server.rssMb())} MB in all`,
  );
}

function compare(): void {
  if (!KINDS.includes("kube-apiserver")) return;
  console.log(
    `\n${"against kube-apiserver, etcd apart for both".padEnd(50)}${"throughput".padStart(12)}${"CPU".padStart(8)}`,
  );
  for (const [name, kinds] of costs) {
    const [ours, theirs] = [kinds.get("t8s, etcd apart"), kinds.get("kube-apiserver")];
    if (ours === undefined || theirs === undefined) continue;
    console.log(
      `${name.padEnd(50)}${number(ours.rate / theirs.rate, 2).padStart(12)}${number(ours.cpu / theirs.cpu, 2).padStart(8)}`,
    );
  }
}

/** From the start of a process until it is ready, and in process. */
async function starts(): Promise<void> {
  console.log("");
  for (const kind of KINDS) {
    const all: number[] = [];
    const cpu: number[] = [];
    const rss: number[] = [];
    for (let i = 0; i < 3; i++) {
      await using server = await startApi(kind, PORT + 10);
      all.push(server.readyMs);
      cpu.push(server.cpu() * 1000);
      rss.push(server.rssMb());
    }
    const aim = kind === "t8s, etcd apart" ? `, aim < 500 ${median(all) < 500 ? "met" : "MISSED"}` : "";
    console.log(
      `${"start of the process, until it is ready".padEnd(50)}${kind.padEnd(16)}${number(median(all)).padStart(9)} ms${aim}  ${number(median(cpu))} ms of CPU, ${number(median(rss))} MB`,
    );
  }
  const { stdout } = spawnSync(process.execPath, [...process.execArgv, join(import.meta.dirname, "up.ts"), "api"]);
  const [first, ...later] = JSON.parse(String(stdout)) as [number, ...number[]];
  for (const [name, value] of [
    ["first in the process", first],
    ["later ones", median(later)],
  ] as const)
    console.log(
      `${`start in process, ${name}`.padEnd(50)}${"t8s".padEnd(16)}${number(value).padStart(9)} ms, aim < 150 ${value < 150 ? "met" : "MISSED"}`,
    );
}
