/** What may happen to a cluster. Each undoes itself after a while; what is not undone when the run ends is undone then. */
import { assert } from "../../../base/assert.ts";
import { authService } from "../../../etcd/api/auth.ts";
import { clusterVersionOf, previousMinor } from "../../../etcd/cluster/versions.ts";
import type { Member } from "../../../etcd/member.ts";
import { ETCD_VERSION } from "../../../etcd/version.ts";
import type { Message } from "../../../raft/types.ts";
import { randomInt, type Random } from "../../../world/world.ts";
import type { EtcdCluster } from "./cluster.ts";
import type { EtcdHost } from "./host.ts";

export interface FaultScene {
  readonly cluster: EtcdCluster;
  readonly random: Random;
  /** Until the run ends, at most. */
  pause(ms: number): Promise<void>;
  tell(line: string): void;
}

type Act = (scene: FaultScene) => Promise<void>;

/** A machine that runs, the leader's more often than not. */
function someone({ cluster, random }: FaultScene): EtcdHost | undefined {
  const running = cluster.hosts.filter((host) => host.isRunning);
  const leader = running.find((host) => host.member?.raft.isLeader);
  if (leader !== undefined && random.next() < 0.5) return leader;
  return running[randomInt(random, running.length)];
}

function some<T>(random: Random, list: readonly T[]): T[] {
  const chosen = list.filter(() => random.next() < 0.5);
  return chosen.length > 0 ? chosen : list.slice(0, 1);
}

const span = (random: Random, least: number, most: number) => least + random.next() * (most - least);

async function partition(scene: FaultScene, pairs: Iterable<readonly [string, string]>, what: string): Promise<void> {
  const { cluster, random, tell } = scene;
  tell(what);
  const heal = cluster.wires.cut(pairs);
  await scene.pause(span(random, 300, 4000));
  tell(`healed: ${what}`);
  heal();
}

function* between(one: readonly string[], other: readonly string[]): Generator<readonly [string, string]> {
  for (const a of one)
    for (const b of other) {
      yield [a, b];
      yield [b, a];
    }
}

async function kill(scene: FaultScene, power: boolean, hosts: readonly EtcdHost[]): Promise<void> {
  for (const host of hosts) host.kill(power);
  await scene.pause(span(scene.random, 50, 3000));
  for (const host of hosts) await scene.cluster.start(host);
}

/** What is broken about a disk, for a while; a process that can't go on is started again when the disk is whole. */
async function breaks(
  scene: FaultScene,
  what: string,
  doIt: (host: EtcdHost) => () => void,
  most: number,
): Promise<void> {
  const host = someone(scene);
  if (host === undefined) return;
  scene.tell(`${host.name}: ${what}`);
  const undo = doIt(host);
  await scene.pause(span(scene.random, 200, most));
  undo();
  await scene.cluster.start(host);
}

/** Someone who leads, or at least runs, and has been asked to do something. */
async function asked(
  scene: FaultScene,
  what: string,
  run: (member: Member, host: EtcdHost) => Promise<unknown>,
): Promise<void> {
  const host = someone(scene);
  const { member } = host ?? {};
  if (host === undefined || member === undefined || !host.isReady) return;
  scene.tell(`${host.name}: ${what}`);
  // Nobody hears from a process that dies meanwhile.
  const done = run(member, host).then(
    () => scene.tell(`${host.name} did: ${what}`),
    (error: unknown) =>
      scene.tell(`${host.name} refuses: ${what}: ${error instanceof Error ? error.message : String(error)}`),
  );
  await Promise.race([done, scene.pause(10_000)]);
}

/**
 * Leaders come and go, each for a moment, and each returns when the next one goes. Either none of them commits an entry of its own term, and the logs
 * become those of figure 8 of the Raft paper; or every other one tells nobody what it has committed, and the next is asked before it can know.
 */
async function relay(scene: FaultScene): Promise<void> {
  const { cluster, random, pause, tell } = scene;
  const { messages } = cluster;
  const itsOwn = ofItsOwnTerm(cluster);
  if (messages.drops !== undefined) return;
  const isFigure8 = random.next() < 0.5;
  let down: EtcdHost | undefined;
  for (let round = 0; round < 4; round++) {
    let leader = leading(cluster);
    for (let i = 0; i < 160 && leader === undefined; i++) {
      await pause(50);
      leader = leading(cluster);
    }
    if (leader === undefined) break;
    const isCommitLost = !isFigure8 && round % 2 === 0;
    tell(`${leader.name} leads, and ${isCommitLost ? "what it commits" : "what it writes itself"} is heard by nobody`);
    messages.drops = isCommitLost ? withoutEntries : itsOwn;
    await pause(span(random, 200, isFigure8 ? 700 : 1500));
    const next = down;
    down = leader;
    leader.kill(random.next() < 0.5);
    // Whoever is elected next is silenced from the first moment on.
    messages.drops = isFigure8 || isCommitLost ? itsOwn : withoutEntries;
    if (next !== undefined) await cluster.start(next);
  }
  messages.drops = undefined;
  tell("all that leaders say is heard");
  if (down !== undefined) await cluster.start(down);
}

/** Ready to serve or not. */
function leading({ hosts }: EtcdCluster): EtcdHost | undefined {
  const leaders = hosts.filter(({ member }) => member?.raft.isLeader === true);
  return leaders.toSorted((one, other) => other.member!.raft.term - one.member!.raft.term)[0];
}

/** What the receiver would keep: that it lacks what comes before, the leader does learn. */
const ofItsOwnTerm =
  ({ hosts }: EtcdCluster) =>
  ({ type, entries, term, index, logTerm, to }: Message): boolean =>
    type === "MsgApp" &&
    entries.at(-1)?.term === term &&
    hosts.find(({ member }) => member?.id === to)?.member?.raft.log.matchTerm(index, logTerm) !== false;
const withoutEntries = ({ type, entries }: Message) =>
  type === "MsgHeartbeat" || (type === "MsgApp" && entries.length === 0);

const PREVIOUS_VERSION = previousMinor(clusterVersionOf(ETCD_VERSION)!);
const ROOT = { name: "root", password: "secret" } as const;

async function enableAuth(member: Member): Promise<void> {
  const { name, password } = ROOT;
  const auth = authService(member);
  // It may be there from the last time.
  const isThere = (error: unknown) => assert(/already exist|is already/.test(String(error)), String(error));
  await auth.UserAdd({ name, password }).catch(isThere);
  await auth.RoleAdd({ name }).catch(isThere);
  await auth.UserGrantRole({ user: name, role: name }).catch(isThere);
  await auth.AuthEnable({});
}

export async function disableAuth(member: Member): Promise<void> {
  if (!member.auth.enabled) return;
  const auth = authService(member);
  const { token } = await auth.Authenticate(ROOT);
  await auth.AuthDisable({}, { metadata: { token }, signal: new AbortController().signal, peer: "in-process" });
}

export const FAULTS = {
  messages: async ({ cluster, random, pause, tell }) => {
    const { messages } = cluster;
    messages.loss = random.next() < 0.6 ? random.next() * 0.3 : 0;
    messages.repeat = random.next() < 0.5 ? random.next() * 0.3 : 0;
    messages.late = random.next() < 0.6 ? random.next() * 0.4 : 0;
    messages.lateMs = span(random, 5, 600);
    tell(
      `messages: ${JSON.stringify(messages, (_, value: unknown) => (typeof value === "number" ? Math.round(value * 100) / 100 : value))}`,
    );
    await pause(span(random, 1000, 6000));
    Object.assign(messages, { loss: 0, repeat: 0, late: 0 });
    tell("messages are safe");
  },
  delay: async ({ cluster, random, pause, tell }) => {
    const most = span(random, 5, random.next() < 0.3 ? 900 : 80);
    tell(`the network takes up to ${Math.round(most)} ms`);
    cluster.links.default = { ...cluster.links.default, delayMs: [0.1, most] };
    await pause(span(random, 500, 5000));
    cluster.links.default = { ...cluster.links.default, delayMs: [0.1, 0.5] };
    tell("the network is quick");
  },
  resets: async ({ cluster, random, pause, tell }) => {
    const resetRate = span(random, 0.01, 0.1);
    tell("connections break");
    cluster.links.default = { ...cluster.links.default, resetRate };
    await pause(span(random, 300, 3000));
    cluster.links.default = { ...cluster.links.default, resetRate: 0 };
    tell("connections hold");
  },
  partition: (scene) => {
    const one = some(scene.random, scene.cluster.names);
    const other = scene.cluster.names.filter((name) => !one.includes(name));
    return partition(scene, between(one, other), `partition: ${one.join()} | ${other.join()}`);
  },
  isolated: async (scene) => {
    const host = someone(scene);
    if (host === undefined) return;
    const all = [
      ...scene.cluster.hosts.map(({ name }) => name),
      ...(scene.random.next() < 0.5 ? scene.cluster.clients : []),
    ];
    return partition(scene, between([host.name], all), `${host.name} is cut off`);
  },
  oneWay: async (scene) => {
    const host = someone(scene);
    if (host === undefined) return;
    const inward = scene.random.next() < 0.5;
    const pairs = scene.cluster.names.map((name): [string, string] => (inward ? [name, host.name] : [host.name, name]));
    return partition(scene, pairs, `${host.name} ${inward ? "hears" : "is heard by"} nobody`);
  },
  partial: async (scene) => {
    const names = scene.cluster.names;
    const a = names[randomInt(scene.random, names.length)]!;
    const b = names[randomInt(scene.random, names.length)]!;
    return partition(scene, between([a], [b]), `${a} and ${b} don't reach each other`);
  },
  clients: (scene) => {
    const clients = some(scene.random, scene.cluster.clients);
    const hosts = some(scene.random, scene.cluster.names);
    return partition(scene, between(clients, hosts), `${clients.join()} don't reach ${hosts.join()}`);
  },
  lostCalls: async ({ cluster, random, pause, tell }) => {
    cluster.calls.loss = span(random, 0.02, 0.25);
    tell("calls of clients get lost");
    await pause(span(random, 500, 4000));
    cluster.calls.loss = 0;
    tell("calls of clients arrive");
  },
  kill: (scene) => kill(scene, false, [someone(scene) ?? []].flat()),
  killAll: (scene) =>
    kill(
      scene,
      false,
      some(
        scene.random,
        scene.cluster.hosts.filter((host) => host.isRunning),
      ),
    ),
  power: (scene) => kill(scene, true, [someone(scene) ?? []].flat()),
  relay,
  blackout: (scene) =>
    kill(
      scene,
      true,
      scene.cluster.hosts.filter((host) => host.isRunning),
    ),
  stop: async (scene) => {
    const host = someone(scene);
    if (host === undefined) return;
    await Promise.race([host.stop(), scene.pause(15_000)]);
    await scene.pause(span(scene.random, 50, 1000));
    await scene.cluster.start(host);
  },
  tornWrite: (scene) =>
    breaks(
      scene,
      "will stop in the middle of a write",
      (host) => {
        host.broken.crashAfter = { writes: 1 + randomInt(scene.random, 60), power: scene.random.next() < 0.6 };
        return () => delete host.broken.crashAfter;
      },
      4000,
    ),
  tornWrites: async (scene) => {
    const hosts = scene.cluster.hosts.filter((host) => host.isRunning);
    scene.tell("all will stop in the middle of a write");
    for (const host of hosts) host.broken.crashAfter = { writes: 1 + randomInt(scene.random, 30), power: true };
    await scene.pause(span(scene.random, 500, 2500));
    for (const host of hosts) {
      delete host.broken.crashAfter;
      await scene.cluster.start(host);
    }
  },
  sync: (scene) =>
    breaks(scene, "a sync will fail", ({ broken }) => ((broken.failSync = true), () => delete broken.failSync), 3000),
  full: (scene) =>
    breaks(scene, "the disk is full", ({ broken }) => ((broken.full = true), () => delete broken.full), 2000),
  /** No room to grow the db file, or for one that another member sends, while someone waits to be sent one. */
  fullForDb: async (scene) => {
    const { cluster, random, pause, tell } = scene;
    const leader = cluster.leader;
    const behind = cluster.hosts.find((host) => host.isRunning && host !== leader && cluster.names.includes(host.name));
    if (leader === undefined || behind === undefined) return;
    behind.kill(false);
    await pause(span(random, 500, 3000));
    const [host, fullFor] = random.next() < 0.5 ? [leader, /\/snap\/db$/] : [behind, /\/snap\/tmp/];
    tell(`${host.name}: no room for ${fullFor.source}`);
    host.broken.fullFor = fullFor;
    await cluster.start(behind);
    await pause(span(random, 500, 4000));
    delete host.broken.fullFor;
    await cluster.start(host);
  },
  slowDisk: (scene) =>
    breaks(
      scene,
      "the disk is slow",
      ({ broken }) => {
        broken.slowMs = [1, span(scene.random, 5, scene.random.next() < 0.3 ? 400 : 60)];
        return () => delete broken.slowMs;
      },
      5000,
    ),
  /** Each write takes seconds, while the process goes on: it has learned before that this disk isn't waited for. */
  stall: async (scene) => {
    const host = someone(scene);
    if (host === undefined) return;
    scene.tell(`${host.name}: the disk is slow`);
    host.broken.slowMs = [1.5, 4];
    await scene.pause(span(scene.random, 1000, 2500));
    scene.tell(`${host.name}: the disk stalls`);
    host.broken.slowMs = [1000, 6000];
    await scene.pause(span(scene.random, 500, 4000));
    scene.tell(`${host.name}: the disk is quick`);
    delete host.broken.slowMs;
    await scene.cluster.start(host);
  },
  freeze: async (scene) => {
    const host = someone(scene);
    if (host === undefined) return;
    const ms = span(scene.random, 200, 5000);
    scene.tell(`${host.name} stands still for ${Math.round(ms)} ms`);
    host.clock.freeze(ms);
    const all = scene.cluster.hosts.map(({ name }) => name);
    const goOn = scene.cluster.wires.cut(between([host.name], all));
    await scene.pause(ms);
    goOn();
  },
  clock: async (scene) => {
    const host = someone(scene);
    if (host === undefined) return;
    const ms = Math.round((scene.random.next() - 0.5) * 120_000);
    scene.tell(`the clock of ${host.name} is set by ${ms} ms`);
    host.clock.jump(ms);
  },
  moveLeader: (scene) => {
    const leader = scene.cluster.leader;
    const others = leader?.member?.members.filter(({ ID, isLearner }) => ID !== leader.member!.id && !isLearner) ?? [];
    if (leader?.member === undefined || others.length === 0) return Promise.resolve();
    const { ID, name } = others[randomInt(scene.random, others.length)]!;
    scene.tell(`${leader.name} hands over to ${name}`);
    const done = leader.member.moveLeader(ID).then(
      () => scene.tell(`${name} has taken over`),
      (error: unknown) => scene.tell(`${name} has not taken over: ${String(error)}`),
    );
    return Promise.race([done, scene.pause(10_000)]);
  },
  compact: (scene) => {
    const { ledger } = scene.cluster;
    const revision = Math.max(1, ledger.revision - randomInt(scene.random, 12));
    const physical = scene.random.next() < 0.4;
    return asked(scene, `compact ${revision}${physical ? " physically" : ""}`, async (_, host) => {
      await host.server!.client().kv.Compact({ revision, physical });
    });
  },
  compactOften: async (scene) => {
    for (let i = 0; i < 8; i++) {
      await FAULTS.compact(scene);
      await scene.pause(100 + scene.random.next() * 300);
    }
  },
  defragment: (scene) => asked(scene, "defragment", (member) => member.maintenance.defragment()),
  snapshot: (scene) => asked(scene, "snapshot", (member) => member.snapshot()),
  hash: async (scene) => scene.cluster.compareHashes(),
  /** Nobody may do anything but root, and the members themselves. */
  auth: async (scene) => {
    await asked(scene, "authentication on", enableAuth);
    await scene.pause(span(scene.random, 100, 3000));
    await asked(scene, "authentication off", disableAuth);
  },
  noSpace: async (scene) => {
    let memberID = 0n;
    const ask = (action: "ACTIVATE" | "DEACTIVATE") => (member: Member) =>
      member.propose({ alarm: { action, memberID: (memberID ||= member.id), alarm: "NOSPACE" } });
    await asked(scene, "an alarm: no space", ask("ACTIVATE"));
    await scene.pause(span(scene.random, 100, 2500));
    await asked(scene, "the alarm is over", ask("DEACTIVATE"));
  },
  /** The cluster goes back to the version before, and comes again. */
  downgrade: async (scene) => {
    const client = (host: EtcdHost) => host.server!.client().maintenance;
    await asked(scene, "the cluster is to go back a version", (_, host) =>
      client(host).Downgrade({ action: "ENABLE", version: PREVIOUS_VERSION }),
    );
    await scene.pause(span(scene.random, 500, 9000));
    await asked(scene, "the cluster needn't go back", (_, host) => client(host).Downgrade({ action: "CANCEL" }));
  },
  addMember: (scene) => scene.cluster.addMember(scene),
  removeMember: (scene) => scene.cluster.removeMember(scene),
  replaceMember: (scene) => scene.cluster.replaceMember(scene),
} as const satisfies Record<string, Act>;
export type FaultKind = keyof typeof FAULTS;
