/** A machine with a disk, on which a member of the cluster runs, dies and is started again. */
import { createEtcd, type EtcdServer } from "../../../etcd/server.ts";
import type { Member } from "../../../etcd/member.ts";
import type { EtcdOptions } from "../../../etcd/options.ts";
import type { Logger } from "../../../observe/log.ts";
import { Metrics } from "../../../observe/metrics.ts";
import type { Message } from "../../../raft/types.ts";
import type { Random } from "../../../world/world.ts";
import { V2Store } from "../../../etcd/v2/store.ts";
import { SimulatedFs } from "../fs.ts";
import { mortal, type MortalWorld } from "../mortal.ts";
import type { SimulatedWorld } from "../world.ts";
import type { Ledger } from "./ledger.ts";
import { checkDb } from "./check-db.ts";
import { Observed } from "./observed.ts";
import { HOSTS } from "./plan.ts";
import { ProcessClock } from "./process-clock.ts";
import { withFaults, type MessageFaults } from "./raft-chaos.ts";

export interface HostDeps {
  readonly world: SimulatedWorld;
  readonly ledger: Ledger;
  readonly messages: MessageFaults;
  readonly options: Partial<EtcdOptions>;
  /** There are clients of the v2 API. */
  readonly servesV2: boolean;
  readonly logger: (name: string) => Logger;
  readonly tell: (line: string) => void;
  /** When the cluster was last on its way back to an older version, ms on the world's clock: it takes in no member of this one meanwhile. */
  readonly lastGoingBack: () => number;
}

/** How a host's disk fails, as long as it does. */
export interface Broken {
  /** Everything else that asks the disk waits so long, at least and at most. */
  slowMs?: readonly [number, number];
  /** Writes fail: there is no room. */
  full?: boolean;
  /** There is no room for files of this name. */
  fullFor?: RegExp;
  /** The next sync fails, and what it should have made durable may be lost. */
  failSync?: boolean;
  /** The writes left before the machine stops in the middle of one, and how it does. */
  crashAfter?: { writes: number; readonly power: boolean };
}

export class EtcdHost {
  readonly name: string;
  readonly broken: Broken = {};
  disk: SimulatedFs;
  clock: ProcessClock;
  world: MortalWorld | undefined;
  server: EtcdServer | undefined;
  /** Of the process that runs, once it is open. */
  member: Member | undefined;
  observed: Observed | undefined;
  v2: V2Store | undefined;
  isReady = false;
  lives = 0;
  /** It was removed from the cluster, and its data is of no more use. */
  isRemoved = false;
  /** It takes part, or should: it is started when all is healed. */
  isWanted = false;
  /** What it has told others that it keeps. */
  promised = { term: 0, vote: 0n };
  /** Of one that joins a running cluster: the members as it is told of them at its start. */
  existing: string | undefined;
  /** There is a log on its disk. */
  hasData = false;
  readonly #deps: HostDeps;
  readonly #rate: number;
  readonly #random: Random;
  #stop = new AbortController();
  #ended: Promise<void> = Promise.resolve();
  #disks = 0;

  constructor(name: string, rate: number, deps: HostDeps) {
    this.name = name;
    this.#rate = rate;
    this.#deps = deps;
    this.#random = deps.world.random.fork(`host ${name}`);
    this.disk = this.#newDisk();
    this.clock = new ProcessClock(deps.world.clock, rate);
  }

  get peerUrl(): string {
    return `http://${this.name}:2380`;
  }
  get isRunning(): boolean {
    return this.world !== undefined;
  }
  get rate(): number {
    return this.#rate;
  }
  get dbPath(): string {
    return `/${this.name}/member/snap/db`;
  }

  /** Starts the process, with the data that it finds. */
  async start(initialCluster: string): Promise<void> {
    if (this.world !== undefined) return;
    const { world, options, logger, tell, ledger } = this.#deps;
    await checkDb(this.name, this.disk, this.dbPath, world.clock, ledger);
    if (this.world !== undefined) return;
    this.lives++;
    const startedAt = world.clock.monotonic();
    const life = `${this.name}/${this.lives}`;
    this.clock = new ProcessClock(world.clock, this.#rate);
    const own = mortal({ ...world, clock: this.clock, fs: this.disk, net: world.net.host(this.name) }, life);
    this.world = own;
    const chaos = this.#random.fork(`messages ${this.lives}`);
    const server = createEtcd(
      {
        ...options,
        name: this.name,
        dataDir: `/${this.name}`,
        listenPeerUrls: [this.peerUrl],
        initialAdvertisePeerUrls: [this.peerUrl],
        advertiseClientUrls: [`http://${this.name}:2379`],
        initialCluster,
        initialClusterState: this.existing === undefined ? "new" : "existing",
      },
      {
        ...own,
        log: logger(this.name),
        metrics: new Metrics(),
        seams: {
          given: (deps) => ({
            ...deps,
            transport: (known) => {
              const { process } = known.callbacks;
              const inner = deps.transport!({
                ...known,
                callbacks: {
                  ...known.callbacks,
                  process: (message) => (own.end.aborted ? undefined : process(message)),
                },
              });
              const chaotic = withFaults(inner, this.#deps.messages, own.clock, chaos);
              return {
                ...chaotic,
                send: (messages) => {
                  if (own.end.aborted) return;
                  for (const message of messages) this.#promise(message);
                  chaotic.send(messages);
                },
              };
            },
          }),
          opened: (member) => {
            if (own.end.aborted) return;
            this.member = member;
            this.hasData = true;
            this.observed = new Observed(this.name, member, ledger, () => world.clock.monotonic());
            this.#checkPromises(member);
            void member.removed.then(() => {
              if (this.world === own) this.isRemoved = true;
            });
          },
        },
      },
    );
    this.server = server;
    this.#stop = new AbortController();
    const stop = this.#stop;
    tell(`${life} starts`);
    const run = server.run(stop.signal, () => {
      if (this.world !== own) return;
      this.isReady = true;
      if (this.#deps.servesV2) this.v2 = new V2Store(this.member!, { clock: own.clock, log: logger(this.name) });
    });
    this.#ended = run.then(
      () => {
        if (!own.end.aborted) this.#gone(own, "ended");
      },
      (error: unknown) => {
        if (own.end.aborted) return;
        const why = reason(error);
        const isTooNew = TOO_NEW.test(why) && this.#deps.lastGoingBack() >= startedAt;
        if (!EXPECTED.test(why) && !isTooNew) ledger.fail(`${life} fails by itself: ${why}`);
        this.#gone(own, `failed: ${why}`);
      },
    );
  }

  /** As the process ends in good order. */
  async stop(): Promise<void> {
    if (this.world === undefined) return;
    this.#deps.tell(`${this.name} is told to stop`);
    this.isReady = false;
    this.#stop.abort();
    await this.#ended;
  }

  /** As `kill -9`, or as power that fails, which takes with it what no sync has put on the disk. */
  kill(power: boolean): void {
    const { world } = this;
    if (world === undefined) return;
    this.#gone(world, power ? "loses its power" : "is killed");
    if (power) this.disk.powerCut();
  }

  #gone(world: MortalWorld, how: string): void {
    if (this.world !== world) return;
    this.#deps.tell(`${this.name}/${this.lives} ${how}`);
    this.world = undefined;
    this.server = undefined;
    this.member = undefined;
    this.observed = undefined;
    this.v2?.[Symbol.dispose]();
    this.v2 = undefined;
    this.isReady = false;
    world.kill();
    delete this.broken.crashAfter;
    delete this.broken.failSync;
  }

  /** A new disk: what was on the old one is gone. */
  wipe(): void {
    this.disk = this.#newDisk();
    this.promised = { term: 0, vote: 0n };
    this.isRemoved = false;
    this.hasData = false;
  }

  #newDisk(): SimulatedFs {
    const { clock } = this.#deps.world;
    const random = this.#random.fork(`disk ${this.#disks++}`);
    const disk = new SimulatedFs(() => clock.now(), random);
    void disk.mkdir("/etc");
    void disk.writeFile("/etc/hosts", HOSTS_FILE, { atomic: true });
    const { broken } = this;
    const slow = (): number => {
      const [least, most] = broken.slowMs!;
      return least + random.next() * (most - least);
    };
    disk.faults = {
      write: (path, bytes, tear) => {
        if (broken.full === true || (bytes > 0 && broken.fullFor?.test(path) === true))
          throw Object.assign(new Error("ENOSPC: no space left on device"), { code: "ENOSPC" });
        const { crashAfter } = broken;
        if (crashAfter === undefined || this.world === undefined || --crashAfter.writes > 0) return;
        // A process that is killed has written a beginning; a machine without power any sectors.
        let left = Math.ceil((bytes / 512) * random.next());
        const mood = random.next();
        tear(crashAfter.power ? () => random.next() < mood : () => left-- > 0);
        this.kill(crashAfter.power);
        throw new Error("the process is dead");
      },
      sync: () => {
        if (broken.failSync !== true || this.world === undefined) return;
        delete broken.failSync;
        throw Object.assign(new Error("EIO: i/o error, fdatasync"), { code: "EIO" });
      },
      wait: () => {
        if (broken.slowMs === undefined) return undefined;
        const { world } = this;
        return new Promise((resolve) => void clock.after(slow(), () => this.world === world && resolve()));
      },
      block: () => {
        if (broken.slowMs !== undefined) this.clock.block(slow());
      },
    };
    return disk;
  }

  #promise({ type, term, to, reject }: Message): void {
    if (type === "MsgPreVote" || type === "MsgPreVoteResp" || reject || term < this.promised.term) return;
    const vote = type === "MsgVoteResp" ? to : term === this.promised.term ? this.promised.vote : 0n;
    this.promised = { term, vote };
  }

  #checkPromises({ raft }: Member): void {
    const { term, vote } = this.promised;
    if (raft.term < term) this.#deps.ledger.fail(`${this.name} comes back in term ${raft.term} and was in ${term}`);
    // It may have been told of more since it started.
    if (raft.term === term && vote !== 0n && raft.vote !== vote)
      this.#deps.ledger.fail(`${this.name} has forgotten whom it voted for in term ${term}`);
  }
}

/** Why a member may end: its disk fails, or those whom it wants to join don't know of it yet. */
const EXPECTED = /ENOSPC|EIO|member count is unequal|cannot fetch cluster info|no match found|permanently removed/;

/** Who joins while the cluster goes back a version must be of that version. */
const TOO_NEW = /incompatible with current running cluster/;

/** Without it a member asks name servers that don't answer, and has joined when the run is over. */
const HOSTS_FILE = Array.from({ length: HOSTS }, (_, i) => `10.0.0.${i + 1} m${i + 1}\n`).join("");

function reason(error: unknown): string {
  const parts: string[] = [];
  for (let at: unknown = error; at instanceof Error; at = at.cause) parts.push(at.message);
  return parts.join(": ");
}
