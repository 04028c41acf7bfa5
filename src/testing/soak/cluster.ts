/** The members together: started, healed, brought level. */
import { assert } from "../../base/assert.ts";
import type { HashKVResponse } from "../../protocols/etcd/generated.ts";
import type { World } from "../../world/world.ts";
import type { Ledger } from "../sim/etcd/ledger.ts";
import { SoakMember } from "./member.ts";
import { freeDisk, Machine, mountSmallDisk } from "./sandbox.ts";

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
/** After all faults are gone, with other work on the machine. */
const LEVEL_WITHIN_MS = 90_000;
/** Two segments of the log, and the db file. */
const SMALL_DISK_MEGABYTES = 320;

export class SoakCluster {
  readonly members: readonly SoakMember[];
  readonly otherProgram: string | undefined;
  readonly #ledger: Ledger;
  /** Behind which no watcher needs anything. */
  readonly #needed: () => number;

  constructor(
    options: { readonly members: number; readonly dir: string; readonly otherProgram: string | undefined },
    world: World,
    ledger: Ledger,
    needed: () => number,
  ) {
    this.otherProgram = options.otherProgram;
    this.#ledger = ledger;
    this.#needed = needed;
    this.members = Array.from({ length: options.members }, (_, i) => {
      const machine = new Machine(`m${i + 1}`, i + 1);
      return new SoakMember(machine, options.dir, world, (member, how) =>
        ledger.fail(`${member.name} ended by itself, ${how}:\n${member.logTail()}`),
      );
    });
    mountSmallDisk(this.members.at(-1)!.dataDir, SMALL_DISK_MEGABYTES);
  }

  get #initialCluster(): string {
    return this.members.map(({ name, peerUrl }) => `${name}=${peerUrl}`).join(",");
  }

  startAll(): void {
    for (const member of this.members) member.start(this.#initialCluster);
  }

  async leader(): Promise<SoakMember> {
    let found: SoakMember | undefined;
    await until("a leader", 60_000, async () => {
      for (const member of this.members) {
        const status = await member.client.maintenance.Status({}, { timeoutMs: 1000 }).catch(() => undefined);
        if (status !== undefined && status.leader === status.header!.member_id) found = member;
      }
      return found !== undefined;
    });
    return found!;
  }

  /** The old one is gone for good; a new one comes in its place. */
  async replace(member: SoakMember): Promise<void> {
    const other = this.members.find((one) => one !== member && one.isRunning)!;
    await until(`the removal of ${member.name}`, 60_000, async () => {
      const { members } = await other.cluster.MemberList({ linearizable: true }, { timeoutMs: 5000 });
      const old = members.find(({ peerURLs }) => peerURLs.includes(member.peerUrl));
      if (old === undefined) return true;
      member.mayEnd = true;
      await other.cluster.MemberRemove({ ID: old.ID }, { timeoutMs: 5000 });
      return false;
    });
    await member.kill();
    member.replace();
    await until(`the new ${member.name}`, 60_000, async () => {
      const { members } = await other.cluster.MemberList({ linearizable: true }, { timeoutMs: 5000 });
      if (members.some(({ peerURLs }) => peerURLs.includes(member.peerUrl))) return true;
      await other.cluster.MemberAdd({ peerURLs: [member.peerUrl] }, { timeoutMs: 5000 });
      return false;
    });
    member.mayEnd = false;
    member.start(this.#initialCluster);
  }

  async compact(): Promise<void> {
    const revision = this.#needed() - 20;
    if (revision <= this.#ledger.compacted) return;
    try {
      await this.members[0]!.client.kv.Compact({ revision, physical: false }, { timeoutMs: 10_000 });
    } catch {
      // Done or not.
    }
    this.#ledger.compacted = revision;
  }

  /** All wires whole, all disks free, everybody there. */
  async heal(): Promise<void> {
    freeDisk(this.members.at(-1)!.dataDir);
    for (const member of this.members) {
      member.machine.heal();
      if (member.isStopped) member.letGo();
      if (!member.isRunning) member.start(this.#initialCluster);
      member.mayEnd = false;
    }
  }

  /** Until all are at the same revision with the same keys. */
  async untilLevel(): Promise<void> {
    let hashes: readonly HashKVResponse[] = [];
    await until("members at the same revision", LEVEL_WITHIN_MS, async () => {
      if (this.#ledger.violation !== undefined) throw new Violation(this.#ledger.violation.message);
      // A linearizable read at each, so that none lags.
      const ask = ({ client }: SoakMember) =>
        client.kv
          .Range({ key: Buffer.from("k") }, { timeoutMs: 5000 })
          .then(() => client.maintenance.HashKV({ revision: 0 }, { timeoutMs: 10_000 }));
      hashes = await Promise.all(this.members.map(ask));
      const [first] = hashes;
      return hashes.every(
        ({ hash_revision, compact_revision }) =>
          hash_revision === first!.hash_revision && compact_revision === first!.compact_revision,
      );
    });
    const told = hashes.map(({ hash, hash_revision }, i) => `${this.members[i]!.name}: ${hash} at ${hash_revision}`);
    assert(new Set(hashes.map(({ hash }) => hash)).size === 1, `members differ: ${told.join(", ")}`);
  }
}

/** Nothing to wait for any longer. */
class Violation extends Error {}

export async function until(what: string, limitMs: number, reached: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + limitMs;
  let last = "";
  for (;;) {
    try {
      if (await reached()) return;
      last = "";
    } catch (error) {
      last = `: ${(error as Error).message}`;
      if (error instanceof Violation) throw error;
    }
    assert(performance.now() < end, `not within ${limitMs / 1000} s: ${what}${last}`);
    await pause(100);
  }
}
