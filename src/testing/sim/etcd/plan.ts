/** What a run is made of, all drawn from its seed: how large the cluster is, how it is set up, and what happens to it when. */
import type { EtcdOptions } from "../../../etcd/options.ts";
import { featuresOf } from "../../../etcd/features.ts";
import { randomInt, type Random } from "../../../world/world.ts";
import { FAULTS, type FaultKind } from "./faults.ts";

/** Something that happens at a moment. What exactly, its own number decides, so that taking out others changes nothing about it. */
export interface Fault {
  readonly number: number;
  readonly atMs: number;
  readonly kind: FaultKind;
}

export interface Plan {
  readonly members: number;
  readonly clients: number;
  readonly watchers: number;
  readonly leaseHolders: number;
  readonly keys: number;
  readonly thinkMs: number;
  readonly forMs: number;
  /** How much faster than real time each machine's clock runs. */
  readonly rates: readonly number[];
  readonly v2Clients: number;
  readonly options: Partial<EtcdOptions>;
  readonly faults: readonly Fault[];
}

/** More machines than members: for those that join. */
export const HOSTS = 6;

export function planOf(random: Random, forMs: number): Plan {
  const between = (least: number, most: number) => least + randomInt(random, most - least + 1);
  const chance = (part: number) => random.next() < part;
  // A few kinds at a time: what all kinds together hide, a few may show.
  const kinds = Object.keys(FAULTS) as FaultKind[];
  const chosen = kinds.filter(() => chance(0.25));
  while (chosen.length < 2) chosen.push(kinds[randomInt(random, kinds.length)]!);
  const faults: Fault[] = [];
  let at = 1500;
  for (let number = 0; at < forMs; number++) {
    faults.push({ number, atMs: Math.round(at), kind: chosen[randomInt(random, chosen.length)]! });
    at += 200 + random.next() * 1800;
  }
  const drift = chance(0.3);
  return {
    members: chance(0.25) ? 5 : chance(0.1) ? 1 : 3,
    clients: between(2, 4),
    watchers: between(2, 3),
    leaseHolders: between(0, 2),
    keys: between(2, 6),
    thinkMs: between(60, 250),
    forMs,
    rates: Array.from({ length: HOSTS }, () => (drift ? 0.98 + random.next() * 0.04 : 1)),
    options: {
      snapshotCount: chance(0.6) ? between(10, 60) : 10_000,
      snapshotCatchupEntries: between(0, 20),
      backendBatchIntervalMs: between(50, 600),
      compactionBatchLimit: between(1, 20),
      compactionSleepIntervalMs: between(10, 300),
      watchProgressNotifyIntervalMs: between(300, 3000),
      leaseCheckpointIntervalMs: between(1000, 2500),
      walSegmentBytes: chance(0.5) ? between(4, 32) * 1024 : 1024 * 1024,
      ...(chance(0.4) && { raftMessageBytes: between(1, 150) }),
      ...(chance(0.1) && { quotaBackendBytes: between(40, 160) * 1024 }),
      bcryptCost: 4,
      preVote: chance(0.7),
      initialElectionTickAdvance: chance(0.7),
      strictReconfigCheck: chance(0.5),
      features: featuresOf(chance(0.5) ? { LeaseCheckpoint: "true", LeaseCheckpointPersist: "true" } : {}),
    },
    faults,
    v2Clients: chance(0.3) ? between(1, 2) : 0,
  };
}
