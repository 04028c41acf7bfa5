/** The machines of a cluster, their wires, and how the cluster's members come and go. */
import type { Member } from "../../../etcd/member.ts";
import { hashKV } from "../../../etcd/mvcc/hash.ts";
import type { Logger } from "../../../observe/log.ts";
import type { NodeId } from "../../../raft/types.ts";
import { randomInt } from "../../../world/world.ts";
import type { Links } from "../links.ts";
import type { SimulatedWorld } from "../world.ts";
import { disableAuth, type FaultScene } from "./faults.ts";
import { EtcdHost } from "./host.ts";
import { Ledger } from "./ledger.ts";
import type { MessageFaults } from "./raft-chaos.ts";
import { Wires } from "./wires.ts";
import { HOSTS, type Plan } from "./plan.ts";

export class EtcdCluster {
  readonly hosts: readonly EtcdHost[];
  readonly ledger: Ledger;
  readonly wires: Wires;
  readonly links: Links;
  readonly messages: MessageFaults = { loss: 0, repeat: 0, late: 0, lateMs: 0 };
  readonly calls = { loss: 0 };
  readonly clients: readonly string[];
  readonly #tell: (line: string) => void;
  readonly #world: SimulatedWorld;
  #lastGoingBack = -Infinity;
  #isReconfiguring = false;
  #isHealing = false;
  readonly #first: string;

  constructor(
    world: SimulatedWorld,
    plan: Plan,
    clients: readonly string[],
    logger: (name: string) => Logger,
    ledger: Ledger,
    tell: (line: string) => void,
  ) {
    this.ledger = ledger;
    this.clients = clients;
    this.#tell = tell;
    this.links = world.net.links;
    this.wires = new Wires(this.links);
    const deps = {
      world,
      ledger,
      messages: this.messages,
      options: plan.options,
      servesV2: plan.v2Clients > 0,
      logger,
      tell,
      lastGoingBack: () => this.#lastGoingBack,
    };
    this.#world = world;
    this.hosts = Array.from({ length: HOSTS }, (_, i) => new EtcdHost(`m${i + 1}`, plan.rates[i]!, deps));
    const first = this.hosts.slice(0, plan.members);
    for (const host of first) host.isWanted = true;
    this.#first = initialClusterOf(first);
  }

  /** Of those that take part. */
  get names(): readonly string[] {
    return this.hosts.filter((host) => host.isWanted).map(({ name }) => name);
  }

  get leader(): EtcdHost | undefined {
    let found: EtcdHost | undefined;
    for (const host of this.hosts)
      if (host.isReady && host.member?.raft.isLeader && (found?.member?.raft.term ?? 0) < host.member.raft.term)
        found = host;
    return found;
  }

  async begin(): Promise<void> {
    for (const host of this.hosts) if (host.isWanted) await host.start(this.#first);
  }

  /** Starts what doesn't run and should. */
  async start(host: EtcdHost): Promise<void> {
    if (!host.isWanted || host.isRunning || host.isRemoved) return;
    // Without a leader whoever has heard most of the cluster: it may take this one to elect another.
    const leader =
      this.leader?.member ??
      this.hosts
        .flatMap((one) => one.member ?? [])
        .reduce<Member | undefined>(
          (best, one) => (one.appliedIndex > (best?.appliedIndex ?? 0) ? one : best),
          undefined,
        );
    // Whom it asked had not heard of it yet, or the members have changed since.
    if (host.existing !== undefined && !host.hasData && leader !== undefined) return this.join(host, leader);
    await host.start(host.existing ?? this.#first);
  }

  look(): void {
    for (const host of this.hosts) {
      host.observed?.look(this.#tell);
      if (host.member?.membership.downgrade.enabled) this.#lastGoingBack = this.#world.clock.monotonic();
    }
  }

  /** The members at one revision have equal keys. */
  compareHashes(): Promise<void> {
    const found = new Map<string, { readonly name: string; readonly hash: number }>();
    for (const host of this.hosts) {
      const { member } = host;
      if (member === undefined || host.clock.frozen) continue;
      const { store } = member;
      // Where all of them are, or have been.
      const revision = Math.min(
        ...this.hosts.flatMap((one) => (one.member === undefined ? [] : [one.member.store.revision])),
      );
      if (revision < store.compactRevision || revision < 2) continue;
      const key = `${revision}/${store.compactRevision}`;
      const hash = hashKV(store, revision);
      const known = found.get(key);
      if (known === undefined) found.set(key, { name: host.name, hash });
      else if (known.hash !== hash)
        this.ledger.fail(`${known.name} and ${host.name} have other keys at revision ${revision}, by their hashes`);
    }
    return Promise.resolve();
  }

  #hostOf(id: NodeId): EtcdHost | undefined {
    return this.hosts.find((host) => host.member?.id === id);
  }

  #byUrl(urls: readonly string[]): EtcdHost | undefined {
    return this.hosts.find((host) => urls.includes(host.peerUrl));
  }

  async #reconfigure(scene: FaultScene, run: (leader: Member) => Promise<void>): Promise<void> {
    const leader = this.leader?.member;
    if (this.#isReconfiguring || leader === undefined) return;
    this.#isReconfiguring = true;
    try {
      await run(leader);
    } catch (error) {
      scene.tell(`the change of members has failed: ${error instanceof Error ? error.message : String(error)}`);
    } finally {
      this.#isReconfiguring = false;
    }
  }

  /** What is not answered, because the member that was asked has died, isn't waited for. */
  async #answer<T>(scene: FaultScene, call: Promise<T>): Promise<T> {
    call.catch(() => {});
    return Promise.race([
      call,
      scene.pause(9000).then((): never => {
        throw new Error("no answer");
      }),
    ]);
  }

  /** A learner joins, and is made a voter if that goes. */
  addMember(scene: FaultScene): Promise<void> {
    return this.#reconfigure(scene, async (leader) => {
      if (leader.members.length >= 5) return;
      await this.#add(scene, leader);
    });
  }

  async #add(scene: FaultScene, leader: Member): Promise<void> {
    const host = this.hosts.find((one) => !one.isWanted && !one.isRunning);
    if (host === undefined || this.#byUrl(leader.members.flatMap(({ peerURLs }) => peerURLs)) === host) return;
    host.wipe();
    const isLearner = scene.random.next() < 0.8;
    scene.tell(`${host.name} is to join as a ${isLearner ? "learner" : "voter"}`);
    // Whether or not there is an answer, it may have been done.
    host.isWanted = true;
    const added = await this.#answer(scene, leader.reconfigure.add([host.peerUrl], isLearner)).catch(
      (error: unknown) => {
        scene.tell(`${host.name} was not added: ${String(error)}`);
        return undefined;
      },
    );
    if (added === undefined) {
      // It is looked for at the end.
      host.isWanted = false;
      return;
    }
    await this.join(host, leader);
    if (!isLearner) return;
    for (let i = 0; i < 8 && !this.#isHealing; i++) {
      await scene.pause(500);
      const now = this.leader?.member;
      if (now === undefined) continue;
      await this.start(host);
      try {
        await this.#answer(scene, now.reconfigure.promote(added.ID));
        scene.tell(`${host.name} is a voter`);
        return;
      } catch {
        // Not ready, or nobody leads: once more.
      }
    }
  }

  /** Starts a machine as the member that it was added as. */
  async join(host: EtcdHost, leader: Member): Promise<void> {
    host.existing = leader.members
      .map(({ name, peerURLs }) => `${name || (this.#byUrl(peerURLs)?.name ?? "unknown")}=${peerURLs[0]}`)
      .join();
    host.isWanted = true;
    await host.start(host.existing);
  }

  removeMember(scene: FaultScene): Promise<void> {
    return this.#reconfigure(scene, async (leader) => {
      if (leader.members.length <= 3) return;
      const { members } = leader;
      await this.#remove(scene, leader, members[randomInt(scene.random, members.length)]!.ID);
    });
  }

  async #remove(scene: FaultScene, leader: Member, id: NodeId): Promise<boolean> {
    const info = leader.members.find(({ ID }) => ID === id);
    const host = info && this.#byUrl(info.peerURLs);
    if (info === undefined) return false;
    scene.tell(`${host?.name ?? info.name} is to be removed`);
    await this.#answer(scene, leader.reconfigure.remove(id));
    if (host !== undefined) host.isWanted = false;
    // It hears of it, or not; then it is switched off.
    await scene.pause(scene.random.next() * 3000);
    if (host !== undefined && !host.isWanted) host.kill(false);
    return true;
  }

  /** A machine is lost with its disk, and another takes its place. */
  replaceMember(scene: FaultScene): Promise<void> {
    return this.#reconfigure(scene, async (leader) => {
      const voters = leader.members.filter(({ isLearner }) => !isLearner);
      const running = voters.filter(({ ID }) => this.#hostOf(ID)?.isReady);
      // A quorum must be left without the one that goes.
      if (voters.length < 3 || running.length < voters.length) return;
      const victim = voters[randomInt(scene.random, voters.length)]!;
      const host = this.#hostOf(victim.ID);
      if (host === undefined || victim.ID === leader.id) return;
      scene.tell(`the disk of ${host.name} is lost`);
      host.kill(true);
      host.isWanted = false;
      if (!(await this.#remove(scene, leader, victim.ID).catch(() => false))) {
        // It may have been done all the same: `settle` sees.
        return;
      }
      const now = this.leader?.member;
      if (now !== undefined) await this.#add(scene, now);
    });
  }

  /** After the faults: everyone that the leader counts among the members runs, and nobody else. True when that is so. */
  async settle(): Promise<boolean> {
    this.#isHealing = true;
    const leader = this.leader?.member;
    if (leader === undefined) {
      for (const host of this.hosts) if (host.isWanted) await this.start(host);
      return false;
    }
    // Clients are to see the end.
    if (leader.auth.enabled) {
      void disableAuth(leader).catch(() => {});
      return false;
    }
    // Else a member that has lost its disk can't come back.
    if (leader.membership.downgrade.enabled) {
      void this.leader!.server!.client()
        .maintenance.Downgrade({ action: "CANCEL" })
        .catch(() => {});
      return false;
    }
    let isSettled = true;
    const known = new Set<EtcdHost>();
    for (const { ID, peerURLs, name } of leader.members) {
      const host = this.#byUrl(peerURLs);
      if (host === undefined) continue;
      known.add(host);
      if (host.member?.id === ID) {
        isSettled &&= host.isReady;
        continue;
      }
      isSettled = false;
      if (host.isRunning) continue;
      if (name === "" && (!host.isWanted || host.isRemoved)) {
        // It was added, and whoever asked for it never heard so; or it was told who belongs by one who took it for the member before it.
        host.wipe();
        await this.join(host, leader);
      } else {
        host.isWanted = true;
        await this.start(host);
      }
    }
    for (const host of this.hosts)
      if (!known.has(host)) {
        host.isWanted = false;
        host.kill(false);
      }
    return isSettled;
  }

  /** All that run have applied the same, and are done with what they were asked. */
  get isLevel(): boolean {
    const members = this.hosts.flatMap((host) => (host.isRunning ? [host.member] : []));
    const first = this.leader?.member;
    return (
      first !== undefined &&
      members.every(
        (member) =>
          member !== undefined && member.appliedIndex === first.raft.log.lastIndex() && member.leader === first.id,
      )
    );
  }

  healHosts(): void {
    for (const host of this.hosts)
      for (const key of Object.keys(host.broken)) delete host.broken[key as keyof typeof host.broken];
  }
}

function initialClusterOf(hosts: readonly EtcdHost[]): string {
  return hosts.map(({ name, peerUrl }) => `${name}=${peerUrl}`).join();
}
