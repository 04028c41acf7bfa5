/**
 * What does raft itself cost? One member that proposes to itself: propose, take the work, confirm it, until the entry is committed and applied.
 * No disk and no network, so this is what every write pays on top of those.
 *
 *     sh tools/node.sh bench/raft.ts [entries] [entries in a batch]
 */
import { MemoryStorage } from "../src/raft/memory-storage.ts";
import { RawNode } from "../src/raft/raw-node.ts";
import { EMPTY_CONF_STATE } from "../src/raft/storage.ts";

const [entries = "1000000", batch = "1"] = process.argv.slice(2);
const KEEP = 5_000;

for (let round = 0; round < 3; round++) {
  const storage = new MemoryStorage();
  const confState = { ...EMPTY_CONF_STATE, voters: [1n] };
  storage.applySnapshot({ data: new Uint8Array(0), metadata: { confState, index: 1, term: 1 } });
  const node = new RawNode({
    id: 1n,
    electionTick: 10,
    heartbeatTick: 1,
    storage,
    applied: 1,
    maxSizePerMsg: 1 << 20,
    maxInflightMsgs: 512,
    checkQuorum: true,
    preVote: true,
    random: () => 0.5,
  });
  let applied = 1;
  const work = () => {
    while (node.hasReady()) {
      const ready = node.ready();
      if (ready.hardState !== undefined) storage.setHardState(ready.hardState);
      if (ready.entries.length > 0) storage.append(ready.entries);
      for (const entry of ready.committedEntries) applied = entry.index;
      node.advance();
    }
    if (applied - storage.firstIndex() > KEEP + 100) storage.compact(applied - KEEP);
  };
  node.campaign();
  work();
  const data = new Uint8Array(256);
  const started = performance.now();
  for (let done = 0; done < Number(entries); done += Number(batch)) {
    for (let i = 0; i < Number(batch); i++) node.propose(data);
    work();
  }
  const us = ((performance.now() - started) * 1_000) / Number(entries);
  console.log(`${us.toFixed(2)} us an entry (applied ${applied})`);
}
