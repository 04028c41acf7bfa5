/** Runs a case: a fresh server, a prober beside the load, and the verdict. */
import type { Account, LoadCase, Sizes } from "./case.ts";
import { figure } from "./figures.ts";
import { askWell, connected, type Connection } from "./https.ts";
import { type Probed, Prober } from "./prober.ts";
import { LoadServer } from "./server.ts";

/** A get waits no longer, at the 99th percentile, on a machine with two cores to itself. */
const P99_MAX_MS = 50;
/** So much of a pace has to be held. */
const PACE_HELD = 0.98;
/** Nothing that the server does at once takes longer. */
const TURN_MAX_MS = 20;

export interface Options {
  readonly sizes: Sizes;
  /** Where data goes. */
  readonly under: string;
  readonly nodeArgs?: readonly string[];
  readonly log?: boolean;
  /** Default true; not where the machine isn't the load's alone. */
  readonly isTimed?: boolean;
  say(text: string): void;
}

/** What became of a case. */
export interface Result {
  readonly size: string;
  readonly reached: string;
  readonly probed: Probed;
  readonly peakMb: number;
  /** Cores that the server kept busy, and those who load it. */
  readonly serverCores: number;
  readonly clientCores: number;
  /** What fell short; empty where all is well. */
  readonly short: readonly string[];
}

export async function runCase(
  load: LoadCase,
  { sizes, under, nodeArgs = [], log = false, isTimed = true, say }: Options,
): Promise<Result> {
  await using server = await LoadServer.start(under, {
    words: load.words?.(sizes) ?? [],
    nodeArgs: [...(load.nodeArgs ?? []), ...nodeArgs],
    log,
  });
  const user = await server.place.user("loader");
  await prepare(server);
  const prober = new Prober(await server.place.user("prober"), "/api/v1/namespaces/default/configmaps/probed");
  await prober.ready;
  const used = () => {
    const { user: own, system } = process.cpuUsage();
    return { at: performance.now(), server: server.cpu(), clients: (own + system) / 1e6 };
  };
  let before = used();
  let after = before;
  let probed: Probed | undefined;
  let turns: Awaited<ReturnType<LoadServer["turns"]>> | undefined;
  const account = await load.run({
    server,
    user,
    sizes,
    say,
    async begin() {
      await server.turns();
      await prober.begin();
      before = used();
    },
    async end() {
      after = used();
      probed = await prober.end();
      turns = await server.turns();
    },
  });
  await prober.stop();
  if (probed === undefined || turns === undefined) throw new Error(`${load.name} has not said when its load was over`);
  const seconds = (after.at - before.at) / 1000;
  const serverCores = (after.server - before.server) / seconds;
  const clientCores = (after.clients - before.clients) / seconds;
  const peakMb = server.peakMb();
  const maxMb = load.maxMb(sizes);
  say(
    `gets beside it: p50 ${figure(probed.p50)} ms, p99 ${figure(probed.p99)} ms, at most ${figure(probed.max)} ms of ${probed.gets}; the prober itself was ${figure(probed.lateP99)} ms late at the p99`,
  );
  say(
    `the server kept ${figure(serverCores)} cores busy, its clients ${figure(clientCores)}; longest turn ${figure(turns.longestTurnMs)} ms of CPU, ${turns.turnsOver20Ms} over ${TURN_MAX_MS}; longest collection of garbage ${figure(turns.longestCollectionMs)} ms; ${figure(peakMb)} MB at most; heap ${figure(turns.heapMb)} MB, buffers ${figure(turns.buffersMb)} MB`,
  );
  const short = [
    ...account.short,
    ...(probed.failed > 0 ? [`${probed.failed} gets failed`] : []),
    ...(isTimed ? late(account, probed) : []),
    ...(peakMb > maxMb ? [`${figure(peakMb)} MB, over ${figure(maxMb)}`] : []),
  ];
  return { size: load.size(sizes), reached: account.reached, probed, peakMb, serverCores, clientCores, short };
}

function late({ pace = [] }: Account, { p99 }: Probed): readonly string[] {
  return [
    ...pace
      .filter(({ asked, reached }) => reached < asked * PACE_HELD)
      .map(({ what, asked, reached }) => `${figure(reached)} ${what} a second, where ${figure(asked)} were due`),
    ...(p99 > P99_MAX_MS ? [`the p99 of a get is ${figure(p99)} ms, over ${P99_MAX_MS}`] : []),
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
