/**
 * A follower whose leader can't be trusted: messages of raft and snapshots of the present term, whole, damaged and made up, to a real member with a log
 * and a db file. What it once knew to be committed it keeps, over a loss of power, too; it continues with a correct leader, or stops with an error message.
 */
import assert from "node:assert/strict";
import { DamagedFile } from "../../etcd/backend/bolt/format.ts";
import { BoltBackend } from "../../etcd/backend/bolt-backend.ts";
import { StoredIndex } from "../../etcd/apply/consistent-index.ts";
import { InvariantError } from "../../base/assert.ts";
import { clusterId } from "../../etcd/cluster/identity.ts";
import { Member, type MemberTransportOptions } from "../../etcd/member.ts";
import { DEFAULTS } from "../../etcd/options.ts";
import { MessageError } from "../../etcd/peer/field-reader.ts";
import { MessageCodec } from "../../etcd/peer/message-codec.ts";
import { Metrics } from "../../observe/metrics.ts";
import { silent } from "../../observe/log.ts";
import { InternalRaftRequest } from "../../protocols/etcd/generated.ts";
import { encodeConfChange } from "../../raft/conf-change.ts";
import type { Entry, Message, NodeId } from "../../raft/types.ts";
import { DecodeError } from "../../wire/rpc/reader.ts";
import { type Random, randomInt } from "../../world/world.ts";
import { infoOf } from "../etcd-members.ts";
import { SimulatedFs } from "../sim/fs.ts";
import { simulatedWorld, type SimulatedWorld } from "../sim/world.ts";
import { damaged, within } from "./db.ts";
import { KINDS, NO_MESSAGE } from "./frames.ts";
import { type Fuzzer, mutated, pick } from "./fuzzer.ts";
import { anything } from "./member.ts";

const MEMBERS = ["m1", "m2", "m3"].map(infoOf);
const [SELF, LEADER, OTHER] = MEMBERS.map(({ ID }) => ID) as [NodeId, NodeId, NodeId];
const STEPS = 14;
const SNAPSHOTS = 5;
const DB = "/db";
const SNAP = "/data/member/snap";

export const peerMessages: Fuzzer = {
  name: "peer-messages",
  about: "raft messages of the present term, damaged, to a follower",
  briefly: 400,
  run: (random) =>
    scene(random, async (follower) => {
      let given = 0;
      for (; given < STEPS && !follower.hasFailed; given++) {
        await follower.take(someMessage(random, follower));
        if (random.next() < 0.3) await follower.pass(randomInt(random, 400));
      }
      await goesOn(random, follower);
      return given;
    }),
};

export const peerSnapshots: Fuzzer = {
  name: "peer-snapshots",
  about: "damaged db files of a leader's snapshots to a follower",
  briefly: 60,
  run: (random) =>
    scene(random, async (follower) => {
      let given = 0;
      let isWell = true;
      while (given < SNAPSHOTS && isWell) {
        for (let appends = randomInt(random, 3); appends > 0; appends--)
          await follower.take(append(random, follower, 1));
        if (follower.hasFailed) break;
        given++;
        isWell = await survives(random, follower);
      }
      if (isWell) await goesOn(random, follower);
      return Math.max(1, given);
    }),
};

/** One snapshot, damaged or whole. False where the member can't go on, and has said why, or goes on with what is damaged. */
async function survives(random: Random, follower: Follower): Promise<boolean> {
  const { raft, membership, store, confState } = follower.member;
  if (membership.isIdRemoved(LEADER) || membership.isIdRemoved(SELF)) return false;
  const { revision } = store;
  const index = raft.log.lastIndex() + 1 + randomInt(random, 20);
  const { db, revision: expected } = await dbAt(random, follower, index);
  const isWhole = random.next() < 0.1;
  const body = isWhole ? db : damaged(random, db, 4096);
  const term = Math.max(1, raft.term);
  const snapshot = { data: new Uint8Array(0), metadata: { index, term, confState } };
  await follower.takeSnapshot({ ...NO_MESSAGE, type: "MsgSnap", to: SELF, from: LEADER, term, snapshot }, body);
  await follower.pass(1000);
  if (isWhole) {
    assert.ok(!follower.hasFailed, `a whole snapshot is refused: ${String(follower.failures[0])}`);
    assert.equal(follower.member.appliedIndex, index, "a whole snapshot is installed");
    assert.equal(follower.member.store.revision, expected, "with all that is in it");
  }
  const isInstalled = follower.member.appliedIndex >= index;
  if (!follower.hasFailed) {
    if (isInstalled && !isWhole) await goesOn(random, follower);
    return isWhole || !isInstalled;
  }
  // What it had before is there still, unless it had put the damaged file in its place.
  if (!(await follower.restart(random))) return false;
  if (!isInstalled && follower.member.appliedIndex < index)
    assert.equal(follower.member.store.revision, revision, "the state before a damaged snapshot");
  return true;
}

/** It accepts the messages of a correct leader, before and after a loss of power. */
async function goesOn(random: Random, follower: Follower): Promise<void> {
  for (const again of [false, true]) {
    if (follower.hasFailed) return;
    if (again) {
      const { committed } = follower;
      if (!(await follower.restart(random))) return;
      assert.ok(follower.member.raft.log.lastIndex() >= committed, "what was applied is in the log after a restart");
    }
    const { raft, membership } = follower.member;
    const others = raft.tracker.confState().voters.filter((id) => id !== SELF && !membership.isIdRemoved(id));
    if (membership.isIdRemoved(SELF) || others.length === 0) return;
    // Whatever others made of it meanwhile, a new leader's term is later.
    const term = raft.term + 1;
    const last = raft.log.lastIndex();
    const known = raft.log.term(last);
    assert.ok(known !== undefined && known < term, `the log ends in term ${known}, in term ${raft.term}`);
    const put = { header: { ID: 77n }, put: { key: Buffer.from("sane"), value: Buffer.from(String(term)) } };
    const entry: Entry = {
      term,
      index: last + 1,
      type: 0,
      data: follower.member.codec.encode(InternalRaftRequest, put),
    };
    const message = {
      ...NO_MESSAGE,
      type: "MsgApp",
      to: SELF,
      from: others[0]!,
      term,
      logTerm: known,
      index: last,
    } as const;
    await follower.take({ ...message, entries: [entry], commit: last + 1 });
    await follower.pass(300);
    if (follower.hasFailed) return; // What was committed before and not applied can't be.
    assert.equal(follower.member.appliedIndex, last + 1, "a correct leader is followed");
  }
}

class Follower {
  readonly world: SimulatedWorld;
  readonly failures: unknown[] = [];
  readonly fs: SimulatedFs;
  member!: Member;
  #peers!: MemberTransportOptions;
  /** By index: term and data of what was known to be committed. */
  readonly #kept = new Map<number, string>();
  #term = 0;
  committed = 0;

  constructor(world: SimulatedWorld, random: Random) {
    this.world = world;
    this.fs = new SimulatedFs(() => world.clock.now(), random.fork("disk"));
  }

  get hasFailed(): boolean {
    return this.failures.length > 0;
  }

  async open(isNew: boolean): Promise<void> {
    const cluster = clusterId(MEMBERS.map(({ ID }) => ID));
    this.member = await Member.open(
      {
        ...DEFAULTS,
        name: "m1",
        dataDir: "/data",
        initialAdvertisePeerUrls: [...MEMBERS[0]!.peerURLs],
        bcryptCost: 4,
        walSegmentBytes: 8 * 1024,
        snapshotCount: 12,
        snapshotCatchupEntries: 5,
      },
      {
        clock: this.world.clock,
        random: this.world.random.fork(`life ${isNew}`),
        fs: this.fs,
        log: silent,
        metrics: new Metrics(),
        ...(isNew && { bootstrap: { id: SELF, clusterId: cluster, members: MEMBERS, joins: false } }),
        transport: (options) => {
          this.#peers = options;
          return {
            send() {},
            flush() {},
            addPeer() {},
            addRemote() {},
            updatePeer() {},
            removePeer() {},
            activeSince: () => undefined,
            handler() {},
            close: async () => {},
          };
        },
      },
      (error) => this.failures.push(error),
    );
  }

  async take(message: Message): Promise<void> {
    await this.#given(message);
    await this.pass(2);
    this.#look();
  }

  /** What is no message of raft's its port refuses. */
  async #given(message: Message): Promise<void> {
    try {
      await this.#peers.callbacks.process(message);
    } catch (error) {
      if (!(error instanceof MessageError)) throw error;
    }
  }

  async takeSnapshot(message: Message, db: Buffer): Promise<void> {
    await this.#peers.snapshots.receive(
      message,
      (async function* () {
        for (let at = 0; at < db.length; at += 10_000) yield db.subarray(at, at + 10_000);
      })(),
    );
    await this.#given(message);
    await this.pass(5);
    this.#look();
  }

  /** As it would send it to another. */
  async takenDb(): Promise<Buffer> {
    const outgoing = await this.#peers.snapshots.open({ ...NO_MESSAGE, type: "MsgSnap", to: OTHER, from: SELF });
    const chunks: Uint8Array[] = [];
    for await (const chunk of outgoing.body) chunks.push(chunk);
    outgoing.close(true);
    return Buffer.concat(chunks);
  }

  pass(ms: number): Promise<void> {
    return new Promise((resolve) => void this.world.clock.after(ms, resolve));
  }

  /** The power fails. False where it can't start again, and says why. */
  async restart(random: Random): Promise<boolean> {
    this.fs.powerCut();
    this.fs.failWrites = new Error("the machine is off");
    await this.member.close().catch(() => {});
    this.fs.failWrites = undefined;
    this.failures.length = 0;
    // The state is in the db file; these are for others.
    for (const name of await this.fs.list(SNAP))
      if (name.endsWith(".snap") && random.next() < 0.5)
        await this.fs.writeFile(`${SNAP}/${name}`, mutated(random, await this.fs.readFile(`${SNAP}/${name}`)));
    try {
      await this.open(false);
    } catch (error) {
      told(error);
      return false;
    }
    await this.pass(5);
    if (this.hasFailed) return false;
    this.#look();
    return true;
  }

  #look(): void {
    for (const failure of this.failures) told(failure);
    if (this.hasFailed) return;
    const { raft, appliedIndex } = this.member;
    assert.ok(raft.term >= this.#term, `back from term ${this.#term} to ${raft.term}`);
    this.#term = raft.term;
    assert.ok(appliedIndex <= raft.log.committed, "applied is only what is committed");
    this.committed = Math.max(this.committed, appliedIndex);
    const first = raft.log.firstIndex();
    for (const [index, known] of this.#kept)
      if (index >= first) assert.equal(shown(raft.log.slice(index, index + 1, Infinity)?.[0]), known, "kept");
    for (let index = first; index <= appliedIndex; index++)
      if (!this.#kept.has(index)) this.#kept.set(index, shown(raft.log.slice(index, index + 1, Infinity)?.[0]));
  }

  async close(): Promise<void> {
    await this.member.close().catch(() => {});
  }
}

const shown = (entry: Entry | undefined) =>
  entry === undefined
    ? "nothing"
    : `${entry.term}/${entry.index} ${entry.type} ${Buffer.from(entry.data).toString("hex")}`;

/** How a member may end: in words about what it was given. */
function told(error: unknown): void {
  for (let at: unknown = error; at !== undefined; at = (at as Error).cause) {
    const isMeant =
      at instanceof InvariantError ||
      at instanceof DamagedFile ||
      at instanceof MessageError ||
      at instanceof DecodeError ||
      // Of JSON, where the words around it say whose.
      (at instanceof SyntaxError && at !== error) ||
      (at instanceof Error && at.constructor === Error);
    if (!isMeant) throw new Error("a bug ends the member", { cause: at });
    assert.ok((at as Error).message.length > 10, `"${(at as Error).message}" says too little`);
  }
}

async function scene(random: Random, play: (follower: Follower) => Promise<number>): Promise<number> {
  const world = simulatedWorld(String(random.next()));
  const follower = new Follower(world, random);
  return within(world.clock, async () => {
    await follower.open(true);
    try {
      return await play(follower);
    } finally {
      await follower.close();
    }
  });
}

function someMessage(random: Random, follower: Follower): Message {
  const dice = random.next();
  const proper = append(random, follower, randomInt(random, 4));
  if (dice < 0.45) return proper;
  const { raft } = follower.member;
  if (dice < 0.6) {
    const message = { ...anyMessage(random, follower), type: "MsgHeartbeat", from: LEADER } as const;
    return { ...message, commit: Math.min(message.commit, raft.log.lastIndex()) };
  }
  if (dice < 0.8) return anyMessage(random, follower);
  const codec = new MessageCodec();
  try {
    const message = codec.decode(
      mutated(random, codec.encode(random.next() < 0.7 ? proper : anyMessage(random, follower))),
    );
    // A message is for its receiver and from another: its port sees to the first, and no member takes itself for another.
    return { ...message, to: SELF, from: message.from === SELF ? LEADER : message.from };
  } catch (error) {
    if (!(error instanceof MessageError)) throw error;
    return proper;
  }
}

/** Entries that go on from what the follower has, more often than not. */
function append(random: Random, follower: Follower, count: number): Message {
  const { raft, codec } = follower.member;
  const last = raft.log.lastIndex();
  const index = random.next() < 0.85 ? last : Math.max(raft.log.firstIndex() - 1, last - randomInt(random, 4));
  const term = Math.max(1, raft.term) + (random.next() < 0.1 ? 1 : 0);
  const entries = Array.from({ length: count }, (_, i): Entry => ({
    term,
    index: index + 1 + i,
    ...content(random, codec),
  }));
  return {
    ...NO_MESSAGE,
    type: "MsgApp",
    to: SELF,
    from: LEADER,
    term,
    logTerm: raft.log.term(index) ?? term,
    index,
    entries,
    commit: random.next() < 0.7 ? index + count : randomInt(random, index + count + 1),
  };
}

function content(random: Random, codec: Member["codec"]): Pick<Entry, "type" | "data"> {
  const dice = random.next();
  if (dice < 0.05) return { type: 0, data: new Uint8Array(0) };
  if (dice < 0.12) {
    const type = pick(random, [
      "ConfChangeAddNode",
      "ConfChangeRemoveNode",
      "ConfChangeUpdateNode",
      "ConfChangeAddLearnerNode",
    ] as const);
    const nodeId = pick(random, [OTHER, LEADER, 5n, 6n]);
    const context = Buffer.from(
      pick(random, [
        "",
        "{}",
        `{"id":${nodeId},"peerURLs":["http://new:2380"]}`,
        `{"id":${nodeId},"peerURLs":["http://m3:2380"],"isPromote":true}`,
        "{",
      ]),
    );
    const change = { id: 1n, transition: "ConfChangeTransitionAuto", changes: [{ type, nodeId }], context } as const;
    return { type: 1, data: encodeConfChange(change, 1) };
  }
  let data: Uint8Array;
  try {
    const header = { ID: BigInt(randomInt(random, 1000)), username: "", auth_revision: 0 };
    data = codec.encode(InternalRaftRequest, { ...anything(random, InternalRaftRequest, codec.registry), header });
  } catch {
    data = new Uint8Array(0); // Of values that a type doesn't have.
  }
  return { type: 0, data: dice < 0.97 ? data : mutated(random, data) };
}

function anyMessage(random: Random, follower: Follower): Message {
  const { raft } = follower.member;
  const last = raft.log.lastIndex();
  const place = () => pick(random, [0, 1, last, last + 1, raft.log.committed, last + 1000]);
  const term = pick(random, [0, raft.term, raft.term, raft.term, Math.max(0, raft.term - 1), raft.term + 1]);
  return {
    ...NO_MESSAGE,
    type: pick(
      random,
      KINDS.filter((kind) => kind !== "MsgSnap"),
    ),
    to: SELF,
    from: pick(random, [LEADER, OTHER, 9n]),
    term,
    logTerm: pick(random, [0, raft.term, Math.max(0, raft.term - 1)]),
    index: place(),
    commit: pick(random, [0, raft.log.committed, last]),
    vote: pick(random, [0n, SELF, OTHER]),
    reject: random.next() < 0.2,
    rejectHint: place(),
    context: random.next() < 0.3 ? random.bytes(8) : undefined,
  };
}

/** The follower's state as it is, and some more, up to an entry. */
async function dbAt(random: Random, follower: Follower, index: number): Promise<{ db: Buffer; revision: number }> {
  const { member, world } = follower;
  const fs = new SimulatedFs(() => world.clock.now(), random.fork("leader's disk"));
  await fs.writeFile(DB, await follower.takenDb());
  const options = { batchIntervalMs: 1e9, batchLimit: 1e9, cacheBytes: 1 << 20 };
  const backend = await BoltBackend.open(DB, options, {
    fs,
    clock: world.clock,
    onFailure: (error) => assert.fail(String(error)),
  });
  let { revision } = member.store;
  for (let count = randomInt(random, 20); count > 0; count--) {
    revision++;
    const key = Buffer.from(`s${revision}`);
    const value = random.bytes(pick(random, [0, 30, 2000]));
    backend.put({ key, value, create_revision: revision, mod_revision: revision, version: 1, lease: 0n }, 0);
  }
  const stored = new StoredIndex(backend);
  stored.advance(index, Math.max(1, member.raft.term));
  stored.save();
  await backend.commit();
  await backend.close();
  return { db: Buffer.from(await fs.readFile(DB)), revision };
}
