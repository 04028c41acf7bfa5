import assert from "node:assert/strict";
import { test } from "node:test";
import { Network, type NetworkOptions } from "../testing/raft/network.ts";

const SETTINGS: Readonly<Record<string, NetworkOptions["config"]>> = {
  "plain members": {},
  "members with pre-vote and check-quorum": { preVote: true, checkQuorum: true },
  "members with asynchronous storage writes": { asyncStorageWrites: true },
  "members with everything": {
    asyncStorageWrites: true,
    preVote: true,
    checkQuorum: true,
    stepDownOnRemoval: true,
    maxCommittedSizePerReady: 30,
    maxInflightBytes: 60,
    maxUncommittedEntriesSize: 50,
  },
};

for (const [name, config] of Object.entries(SETTINGS)) {
  test(`${name} keep the five properties of the paper's figure 3 on a lossy network, and come together when it heals`, () => {
    const total = { leaders: 0, committed: 0, confChanges: 0, snapshots: 0, crashes: 0, reads: 0 };
    for (let seed = 1; seed <= 20; seed++) {
      const network = new Network({ seed, steps: 3_000, loss: 50, crash: 3, confChange: 80, config });
      try {
        network.run();
      } catch (error) {
        throw new Error(`seed ${seed}`, { cause: error });
      }
      for (const key of Object.keys(total) as (keyof typeof total)[]) total[key] += network.counts[key];
    }
    for (const [what, count] of Object.entries(total))
      assert.ok(count > 20, `too few ${what} to prove anything: ${count}`);
  });
}
