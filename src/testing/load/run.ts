/** Runs a case: a fresh server, a prober beside the load, and the verdict. */
import { connected, askWell, type Connection } from "./https.ts";
import type { LoadCase, Sizes } from "./cases.ts";
import { figure } from "./figures.ts";
import { Prober } from "./prober.ts";
import { LoadServer } from "./server.ts";

/** A get waits no longer, at the 99th percentile, on a machine with two cores to itself. */
const P99_MAX_MS = 50;
/** Nothing that the server does at once takes longer. */
const TURN_MAX_MS = 20;

export interface Options {
  readonly sizes: Sizes;
  /** Where data goes. */
  readonly under: string;
  readonly nodeArgs?: readonly string[];
  readonly log?: boolean;
  /** Default 50; more where the machine isn't the load's alone. */
  readonly p99MaxMs?: number;
  say(text: string): void;
}

/** What fell short; empty where all is well. */
export async function runCase(
  load: LoadCase,
  { sizes, under, nodeArgs = [], log = false, p99MaxMs = P99_MAX_MS, say }: Options,
): Promise<readonly string[]> {
  await using server = await LoadServer.start(under, {
    words: load.words ?? [],
    nodeArgs: [...(load.nodeArgs ?? []), ...nodeArgs],
    log,
  });
  const user = await server.place.user("loader");
  const prober = await server.place.user("prober");
  await prepare(server);
  const probe = new Prober(prober, "/api/v1/namespaces/default/configmaps/probed");
  await probe.begun;
  await load.run({ server, user, sizes, say, begin: async () => void (await server.turns()) });
  const probed = await probe.end();
  const { longestTurnMs, turnsOver20Ms, heapMb } = await server.turns();
  const rss = server.rssMb();
  const max = load.maxMb(sizes);
  say(
    `gets beside it: p50 ${figure(probed.p50)} ms, p99 ${figure(probed.p99)} ms, at most ${figure(probed.max)} ms of ${probed.gets}; longest turn ${figure(longestTurnMs)} ms of CPU, ${turnsOver20Ms} over ${TURN_MAX_MS}; RSS ${figure(rss)} MB, heap ${figure(heapMb)} MB`,
  );
  return [
    ...(probed.failed > 0 ? [`${probed.failed} gets failed`] : []),
    ...(probed.p99 > p99MaxMs ? [`the p99 of a get is ${figure(probed.p99)} ms, over ${p99MaxMs}`] : []),
    ...(rss > max ? [`${figure(rss)} MB, over ${figure(max)}`] : []),
  ];
}

/** What the prober gets, and the roles of those who have none by birth. */
async function prepare(server: LoadServer): Promise<void> {
  const [connection] = (await connected(server.place.admin, "HTTP/2", 1)) as [Connection];
  const post = (path: string, value: object) =>
    askWell(connection, { method: "POST", path, body: Buffer.from(JSON.stringify(value)) });
  await post("/api/v1/namespaces/default/configmaps", {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name: "probed" },
    data: { key: "value" },
  });
  const rbac = "rbac.authorization.k8s.io";
  await post(`/apis/${rbac}/v1/clusterroles`, {
    apiVersion: `${rbac}/v1`,
    kind: "ClusterRole",
    metadata: { name: "load" },
    rules: [{ apiGroups: [""], resources: ["configmaps", "pods"], verbs: ["get", "list", "watch"] }],
  });
  await post(`/apis/${rbac}/v1/clusterrolebindings`, {
    apiVersion: `${rbac}/v1`,
    kind: "ClusterRoleBinding",
    metadata: { name: "load" },
    roleRef: { apiGroup: rbac, kind: "ClusterRole", name: "load" },
    subjects: [{ apiGroup: rbac, kind: "Group", name: "loaders" }],
  });
  connection.close();
}
