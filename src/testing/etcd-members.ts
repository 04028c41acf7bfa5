/**
 * Several members of etcd in virtual time, each with a disk of its own, with raft's messages carried in memory: encoded and decoded as between
 * processes, late by chance, lost where a test says so.
 */
import { assert } from "../base/assert.ts";
import { clusterId, memberId } from "../etcd/cluster/identity.ts";
import { Member, type MemberTransportOptions } from "../etcd/member.ts";
import { DEFAULTS, type EtcdOptions } from "../etcd/options.ts";
import { MessageCodec } from "../etcd/peer/message-codec.ts";
import type { PeerTransport } from "../etcd/peer/transport.ts";
import type { LeaseForwarder } from "../etcd/lease/keeper.ts";
import { silent, type Logger } from "../observe/log.ts";
import { Metrics } from "../observe/metrics.ts";
import type { Member as MemberInfo } from "../protocols/etcd/generated.ts";
import type { Message, NodeId } from "../raft/types.ts";
import type { Clock, Random } from "../world/world.ts";
import { SimulatedFs } from "./sim/fs.ts";
import type { Simulation } from "./sim/simulation.ts";
import type { SimulatedWorld } from "./sim/world.ts";

/** The wires between members. */
export class MemoryPeers {
  readonly #clock: Simulation;
  readonly #random: Random;
  readonly #codec = new MessageCodec();
  readonly #attached = new Map<NodeId, MemberTransportOptions>();
  readonly #known = new Map<MemberTransportOptions, Set<NodeId>>();
  readonly #since = new Map<NodeId, number>();
  /** When the last message between two arrives: what comes later doesn't overtake it. */
  readonly #arrivals = new Map<string, number>();
  /** One-way delay in ms, least and most. */
  latencyMs: readonly [number, number] = [0.2, 1];
  /** True for messages that get lost. */
  loses: (from: NodeId, to: NodeId, message: Message) => boolean = () => false;
  snapshots = 0;

  constructor(clock: Simulation, random: Random) {
    this.#clock = clock;
    this.#random = random;
  }

  reaches(from: NodeId, to: NodeId): boolean {
    return this.#attached.has(to) && !this.loses(from, to, PROBE);
  }

  attach(options: MemberTransportOptions): PeerTransport {
    const { id } = options;
    this.#attached.set(id, options);
    this.#since.set(id, this.#clock.monotonic());
    const peers = new Set<NodeId>();
    this.#known.set(options, peers);
    return {
      send: (messages) => {
        if (this.#attached.get(id) !== options) return;
        for (const message of messages) if (peers.has(message.to)) this.#send(options, message);
      },
      addPeer: (peer) => void peers.add(peer),
      addRemote: (peer) => void peers.add(peer),
      flush() {},
      updatePeer() {},
      removePeer: (peer) => void peers.delete(peer),
      activeSince: (peer) =>
        peers.has(peer) && this.reaches(id, peer) && this.reaches(peer, id) ? this.#since.get(peer) : undefined,
      handler() {},
      close: async () => this.detach(id, options),
    };
  }

  detach(id: NodeId, options = this.#attached.get(id)): void {
    if (this.#attached.get(id) === options) this.#attached.delete(id);
  }

  #send(from: MemberTransportOptions, message: Message): void {
    if (message.type === "MsgSnap") return void this.#sendSnapshot(from, message);
    const bytes = this.#codec.encode(message);
    this.#deliver(
      from.id,
      message,
      (to) => void to.callbacks.process(this.#codec.decode(bytes)),
      () => from.callbacks.reportUnreachable(message.to),
    );
  }

  async #sendSnapshot(from: MemberTransportOptions, asked: Message): Promise<void> {
    this.snapshots++;
    const opened = await Promise.resolve(from.snapshots.open(asked)).catch(() => undefined);
    if (opened === undefined) return from.callbacks.reportSnapshot(asked.to, false);
    const { message, body, close } = opened;
    const chunks: Uint8Array[] = [];
    for await (const chunk of body) chunks.push(chunk);
    const report = (ok: boolean) => {
      close(ok);
      from.callbacks.reportSnapshot(message.to, ok);
    };
    const bytes = this.#codec.encode(message);
    const receive = async (to: MemberTransportOptions) => {
      const decoded = this.#codec.decode(bytes);
      await to.snapshots.receive(
        decoded,
        (async function* () {
          yield* chunks;
        })(),
      );
      await to.callbacks.process(decoded);
      report(true);
    };
    this.#deliver(
      from.id,
      message,
      (to) => void receive(to).catch(() => report(false)),
      () => report(false),
    );
  }

  #deliver(from: NodeId, message: Message, take: (to: MemberTransportOptions) => void, lost: () => void): void {
    const [least, most] = this.latencyMs;
    const link = `${from}-${message.to}`;
    const now = this.#clock.monotonic();
    const at = Math.max(this.#arrivals.get(link) ?? 0, now + least + this.#random.next() * (most - least));
    this.#arrivals.set(link, at);
    const isLost = this.loses(from, message.to, message);
    this.#clock.after(at - now, () => {
      const to = this.#attached.get(message.to);
      if (to === undefined || isLost) return lost();
      // Whoever writes can be answered, known as a member or not yet.
      this.#known.get(to)!.add(from);
      take(to);
    });
  }
}

const PROBE = { type: "MsgHeartbeat" } as Message;

export interface Started {
  readonly name: string;
  readonly fs: SimulatedFs;
  readonly clock: SleepyClock;
  member: Member;
}

/** The clock of a process that can be stopped for a while: what was due meanwhile happens when it goes on. */
class SleepyClock implements Clock {
  readonly #clock: Clock;
  #until = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  sleep(ms: number): void {
    this.#until = this.#clock.monotonic() + ms;
  }
  now(): number {
    return this.#clock.now();
  }
  monotonic(): number {
    return this.#clock.monotonic();
  }
  soon(fn: () => void): void {
    const left = this.#until - this.#clock.monotonic();
    if (left > 0) this.#clock.after(left, fn);
    else this.#clock.soon(fn);
  }
  after(ms: number, fn: () => void): Disposable {
    let timer = this.#clock.after(ms, () => {
      const left = this.#until - this.#clock.monotonic();
      if (left > 0) timer = this.#clock.after(left, fn);
      else fn();
    });
    return { [Symbol.dispose]: () => timer[Symbol.dispose]() };
  }
}

export class EtcdMembers {
  readonly world: SimulatedWorld;
  readonly peers: MemoryPeers;
  readonly #options: Partial<EtcdOptions>;
  readonly #log: Logger;
  readonly #random: Random;
  readonly started = new Map<string, Started>();
  readonly failures: unknown[] = [];

  constructor(world: SimulatedWorld, options: Partial<EtcdOptions> = {}, log: Logger = silent) {
    this.world = world;
    this.#options = options;
    this.#log = log;
    this.#random = world.random.fork("members");
    this.peers = new MemoryPeers(world.clock, this.#random.fork("peers"));
  }

  /** Members of a new cluster. */
  async start(names: readonly string[]): Promise<void> {
    const members = names.map(infoOf);
    const cluster = clusterId(members.map(({ ID }) => ID));
    for (const [i, name] of names.entries())
      await this.#open(name, { id: members[i]!.ID, clusterId: cluster, members, joins: false });
  }

  /** One that the cluster has been told of. */
  async join(name: string): Promise<Member> {
    const [{ member }] = [...this.started.values()] as [Started];
    return this.#open(name, { id: infoOf(name).ID, clusterId: member.clusterId, members: member.members, joins: true });
  }

  /** The machine loses its power. */
  async kill(name: string): Promise<void> {
    const { member, fs } = this.#get(name);
    this.started.delete(name);
    this.peers.detach(member.id);
    fs.powerCut();
    fs.failWrites = new Error("the machine is off");
    await member.close().catch(() => {});
    this.#off.set(name, fs);
  }
  readonly #off = new Map<string, SimulatedFs>();

  async restart(name: string): Promise<Member> {
    const fs = this.#off.get(name);
    assert(fs !== undefined, `${name} was not killed`);
    this.#off.delete(name);
    fs.failWrites = undefined;
    return this.#open(name, undefined, fs);
  }

  /** Of one that runs or doesn't. */
  diskOf(name: string): SimulatedFs {
    return this.#off.get(name) ?? this.#get(name).fs;
  }

  /** The process is stopped for a while. */
  sleeps(name: string, ms: number): void {
    this.#get(name).clock.sleep(ms);
  }

  async stop(): Promise<void> {
    for (const { member } of this.started.values()) {
      this.peers.detach(member.id);
      await member.close();
    }
    this.started.clear();
  }

  member(name: string): Member {
    return this.#get(name).member;
  }
  get all(): readonly Member[] {
    return [...this.started.values()].map(({ member }) => member);
  }

  /** The one that all who are there take for their leader. */
  get leader(): Member | undefined {
    const leader = this.all.find(({ leadership }) => leadership.isLeader);
    return this.all.every((member) => member.leader === leader?.id) ? leader : undefined;
  }

  async untilLeader(): Promise<Member> {
    await this.until(() => this.leader !== undefined);
    return this.leader!;
  }

  /** Looks each virtual millisecond. */
  async until(reached: () => boolean, limitMs = 60_000): Promise<void> {
    for (let ms = 0; !reached(); ms++) {
      assert(ms < limitMs, `the condition is still false after ${limitMs} virtual ms`);
      await this.pass(1);
    }
  }

  pass(ms: number): Promise<void> {
    return new Promise((resolve) => this.world.clock.after(ms, resolve));
  }

  #get(name: string): Started {
    const started = this.started.get(name);
    assert(started !== undefined, `${name} does not run`);
    return started;
  }

  async #open(
    name: string,
    bootstrap: NonNullable<Parameters<typeof Member.open>[1]["bootstrap"]> | undefined,
    fs = new SimulatedFs(() => this.world.clock.now(), this.#random.fork(`disk of ${name}`)),
  ): Promise<Member> {
    const clock = new SleepyClock(this.world.clock);
    const member = await Member.open(
      { ...DEFAULTS, name, dataDir: "/data", initialAdvertisePeerUrls: [urlOf(name)], ...this.#options },
      {
        clock,
        random: this.#random.fork(`life of ${name} from ${clock.monotonic()}`),
        fs,
        log: this.#log.with({ member: name }),
        metrics: new Metrics(),
        ...(bootstrap !== undefined && { bootstrap }),
        transport: (options) => this.peers.attach(options),
        leases: this.#leasesFrom(infoOf(name).ID),
      },
      (error) => {
        // The dead don't count.
        if (this.started.get(name)?.fs === fs) this.failures.push(error);
      },
    );
    this.started.set(name, { name, fs, clock, member });
    return member;
  }

  #leasesFrom(from: NodeId): LeaseForwarder {
    const leaderOf = ({ ID }: MemberInfo): Member => {
      const found = this.all.find(({ id }) => id === ID);
      if (found === undefined || !this.peers.reaches(from, ID)) throw new Error("the leader is not reached");
      return found;
    };
    return {
      renew: async (leader, id) => {
        const ttl = await leaderOf(leader).leases.renewHere(id);
        if (ttl === "not primary") throw new Error("not a primary lessor");
        return ttl;
      },
      timeToLive: async (leader, id, keys) => leaderOf(leader).leases.timeToLiveHere(id, keys),
    };
  }
}

export function infoOf(name: string): MemberInfo {
  const peerURLs = [urlOf(name)];
  return { ID: memberId(peerURLs, DEFAULTS.initialClusterToken), name, peerURLs, clientURLs: [], isLearner: false };
}

function urlOf(name: string): string {
  return `http://${name}:2380`;
}
