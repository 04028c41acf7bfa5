/**
 * A cluster of real processes under load and faults, in rounds: calm, one or two faults, healing; then all members must be level, and what clients and
 * watchers saw in this round is judged. A seed decides the faults and what clients ask for (not when the machine lets them).
 */
import { mkdirSync } from "node:fs";
import { assert } from "../../base/assert.ts";
import { machineWorld } from "../../cli/world.ts";
import { keyValueModel, type KvInput, type KvOutput, type KvState, type KvVersion } from "../model/key-value.ts";
import { checkLinearizable, type Operation } from "../model/linearizability.ts";
import { completed, text, type Recorded } from "../sim/etcd/clients.ts";
import { Ledger } from "../sim/etcd/ledger.ts";
import { SeededRandom } from "../sim/random.ts";
import { pick } from "../fuzz/fuzzer.ts";
import { expireLeases, SoakClient, SoakWatcher } from "./clients.ts";
import { SoakCluster, until } from "./cluster.ts";
import { FAULTS, type FaultName } from "./faults.ts";

export interface SoakOptions {
  readonly seed: number;
  readonly forMs: number;
  readonly members: number;
  readonly dir: string;
  /** Takes a member's place now and then. */
  readonly otherProgram?: string | undefined;
  /** These alone. */
  readonly faults?: readonly FaultName[] | undefined;
  readonly maxMegabytes: number;
}

export interface SoakResult {
  readonly rounds: number;
  readonly faults: number;
  readonly operations: number;
  readonly acknowledged: number;
  readonly revisions: number;
  readonly peakMegabytes: number;
}

const CLIENTS = 8;
const KEYS = 12;
/** To begin with, with others at work on the machine. */
const START_MS = 60_000;
const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

export async function soak(options: SoakOptions, tell: (line: string) => void): Promise<SoakResult> {
  const random = new SeededRandom(options.seed);
  const ledger = new Ledger();
  const history: Recorded[] = [];
  mkdirSync(options.dir, { recursive: true });
  const watchers: SoakWatcher[] = [];
  const needed = () => Math.min(...watchers.map(({ next }) => next));
  const cluster = new SoakCluster({ otherProgram: undefined, ...options }, machineWorld(), ledger, needed);
  cluster.startAll();
  await cluster.leader();
  await until("all members are ready", START_MS, () => cluster.untilLevel().then(() => true));

  let isOver = false;
  const judge = new Judge(ledger, history);
  const work: Promise<void>[] = [];
  for (const member of cluster.members) {
    const watcher = new SoakWatcher(member, ledger, () => isOver);
    watchers.push(watcher);
    work.push(watcher.run());
  }
  const result = { rounds: 0, faults: 0, peakMegabytes: 0 };
  const schedule = random.fork("faults");
  const names = options.faults ?? (Object.keys(FAULTS) as FaultName[]).filter((name) => canBe(name, options));
  let deck: FaultName[] = [];
  const end = performance.now() + options.forMs;
  const sees = () => {
    for (const member of cluster.members) {
      result.peakMegabytes = Math.max(result.peakMegabytes, member.peakMegabytes);
      assert(member.peakMegabytes < options.maxMegabytes, `${member.name} takes ${member.peakMegabytes} MB`);
    }
    if (ledger.violation !== undefined) throw ledger.violation;
  };
  while (performance.now() < end) {
    const begun = performance.now();
    const before = history.length;
    let roundIsOver = false;
    const clients = Array.from({ length: CLIENTS }, (_, i) => {
      const id = result.rounds * CLIENTS + i + 1;
      const deps = { random: random.fork(`client ${id}`), members: cluster.members, history, keys: KEYS };
      return new SoakClient(id, { ...deps, isOver: () => roundIsOver }).run();
    });
    const leases = { random: random.fork(`lease ${result.rounds}`), members: cluster.members, history, keys: KEYS };
    clients.push(expireLeases({ ...leases, isOver: () => roundIsOver }, result.rounds));
    await pause(500 + schedule.next() * 1500);
    for (let faults = schedule.next() < 0.35 ? 2 : 1; faults > 0; faults--) {
      if (deck.length === 0) deck = [...names].sort(() => schedule.next() - 0.5);
      const name = deck.pop()!;
      const context = { cluster, random: schedule.fork(`fault ${result.faults}`), tell, pause };
      // What one fault broke, another may need.
      await FAULTS[name](context).catch((error: Error) => tell(`${name}: ${error.message}`));
      result.faults++;
      if (schedule.next() < 0.5) await cluster.heal();
      sees();
    }
    if (schedule.next() < 0.3) pick(schedule, watchers).leave();
    await cluster.heal();
    await cluster.leader();
    await pause(1000);
    roundIsOver = true;
    await Promise.all(clients);
    await until("leases are gone", 60_000, async () => {
      const { count } = await cluster.members[0]!.client.kv.Range({ key: Buffer.from("l0") }, { timeoutMs: 5000 });
      return Number(count) === 0;
    });
    await cluster.untilLevel();
    const { hash_revision: revision } = await cluster.members[0]!.client.maintenance.HashKV({ revision: 0 });
    await until(`watchers see revision ${revision}`, 60_000, async () => needed() > revision);
    sees();
    const judged = judge.round();
    result.rounds++;
    const asked = history.slice(before);
    const known = asked.filter(({ output }) => output !== undefined).length;
    const seconds = ((performance.now() - begun) / 1000).toFixed(0);
    tell(
      `round ${result.rounds}: ${known} of ${asked.length} answered, revision ${revision}, ${judged} judged, ${seconds} s`,
    );
    if (schedule.next() < 0.4) await cluster.compact();
  }
  // Everything once more from the disks.
  await Promise.all(cluster.members.map((member) => member.kill()));
  await cluster.heal();
  await cluster.untilLevel();
  const { kvs } = await cluster.members[0]!.client.kv.Range({ key: Buffer.from("k"), range_end: Buffer.from("m") });
  const kept = ledger.rangeAt("k", "m", ledger.revision);
  assert(
    kept.length === kvs.length && kept.every(({ revision }, i) => revision === kvs[i]!.mod_revision),
    `after a restart of all, ${kvs.length} keys are there, and should be ${kept.length}`,
  );
  sees();
  isOver = true;
  for (const watcher of watchers) watcher.leave();
  await Promise.all(cluster.members.map((member) => member.kill("SIGTERM")));
  const acknowledged = history.filter(({ output }) => output !== undefined).length;
  return { ...result, operations: history.length, acknowledged, revisions: ledger.revision };
}

function canBe(name: FaultName, { members, otherProgram }: SoakOptions): boolean {
  if (name === "another's program") return otherProgram !== undefined;
  if (members === 1) return /kill one|kill all|end one|hold|full|tidy|crash/.test(name);
  return true;
}

/** Looks at what has happened since the last time, when nobody asks for anything. */
class Judge {
  readonly #ledger: Ledger;
  readonly #history: Recorded[];
  #revision = 1;
  #time = -Infinity;

  constructor(ledger: Ledger, history: Recorded[]) {
    this.#ledger = ledger;
    this.#history = history;
  }

  round(): number {
    const all = completed(this.#history, this.#ledger);
    if (this.#ledger.violation !== undefined) throw this.#ledger.violation;
    const operations = all.filter(({ output, call }) => call >= this.#time || output!.revision > this.#revision);
    const verdict = checkLinearizable<KvState, KvInput, KvOutput>(
      { ...keyValueModel, initial: this.#state() },
      operations,
    );
    if (verdict.kind === "illegal")
      throw new Error(
        `not linearizable after ${verdict.longest.length} of ${operations.length} operations:\n  ${verdict.stuck.map(shown).join("\n  ")}`,
      );
    assert(verdict.kind === "linearizable", "the history was not judged");
    this.#revision = this.#ledger.revision;
    this.#time = performance.now();
    return operations.length;
  }

  /** What was there when this round began. */
  #state(): KvState {
    const keys = new Map<string, KvVersion>();
    for (const { key, value, revision, created, version } of this.#ledger.rangeAt("k", "m", this.#revision))
      keys.set(key, { value, version, modRevision: revision, createRevision: created });
    return { revision: this.#revision, keys };
  }
}

function shown({ client, input, output, call, return: back }: Operation<KvInput, KvOutput>): string {
  const kvs = output?.kvs?.map(({ key, modRevision }) => `${key}@${modRevision}`).join(" ");
  return `client ${client} ${text(input).slice(0, 100)} from ${call.toFixed(1)} to ${back.toFixed(1)}: ${JSON.stringify({ ...output, kvs })}`;
}
