import assert from "node:assert/strict";
import { test } from "node:test";
import type { Entry } from "../raft/types.ts";
import { Simulation } from "../testing/sim/simulation.ts";
import { Proposals, type Proposal } from "./proposals.ts";

const TIMEOUT_MS = 7000;

function setUp() {
  const clock = new Simulation();
  const ended: string[] = [];
  const proposals = new Proposals(clock, TIMEOUT_MS, (startedAt, waited) => new Error(`${waited} at ${startedAt}`));
  const propose = (id: bigint, asLeader = false): Proposal => {
    const proposal: Proposal = {
      id,
      type: 0,
      data: new Uint8Array(1),
      request: undefined,
      asLeader,
      startedAt: clock.monotonic(),
      resolve: (answer) => void ended.push(`${id}: ${String(answer)}`),
      reject: (error) => void ended.push(`${id}: ${(error as Error).message}`),
      index: 0,
      term: 0,
    };
    proposals.add(proposal);
    return proposal;
  };
  return { clock, ended, proposals, propose };
}

const entry = (index: number, term: number): Entry => ({ index, term, type: 0, data: new Uint8Array(1) });

test("a leader finds its proposals by place and term, between entries of others", () => {
  const { proposals, propose } = setUp();
  const [one, two] = [propose(1n), propose(2n)];
  assert.deepEqual(proposals.takeQueued(), [one, two]);
  proposals.placed(one, 5, 2);
  proposals.placed(two, 7, 2);
  assert.equal(proposals.takePlaced(entry(4, 2)), undefined);
  assert.equal(proposals.takePlaced(entry(5, 2)), one);
  assert.equal(proposals.takePlaced(entry(6, 2)), undefined);
  assert.equal(proposals.takePlaced(entry(7, 2)), two);
  assert.equal(proposals.pending, 0);
});

test("a proposal whose place another leader's entry took may still come by its id", () => {
  const { proposals, propose } = setUp();
  const one = propose(1n);
  proposals.takeQueued();
  proposals.placed(one, 5, 2);
  assert.equal(proposals.takePlaced(entry(5, 3)), undefined);
  assert.ok(proposals.hasSent);
  assert.equal(proposals.takeSent(9n), undefined);
  assert.equal(proposals.takeSent(1n), one);
  assert.ok(!proposals.hasSent);
});

test("each is given up when its own time is over, and told how far it had come", async () => {
  const { clock, ended, proposals, propose } = setUp();
  const placed = propose(1n);
  proposals.takeQueued();
  proposals.placed(placed, 1, 1);
  await clock.advance(1000);
  proposals.sent(propose(2n));
  proposals.takeQueued();
  await clock.advance(1000);
  propose(3n);
  await clock.advance(4999);
  assert.deepEqual(ended, []);
  await clock.advance(1);
  assert.deepEqual(ended, ["1: proposed at 0"]);
  await clock.advance(1000);
  assert.deepEqual(ended, ["1: proposed at 0", "2: proposed at 1000"]);
  await clock.advance(1000);
  assert.deepEqual(ended, ["1: proposed at 0", "2: proposed at 1000", "3: queued at 2000"]);
  assert.equal(proposals.pending, 0);
});

test("thousands of answers in order leave nothing behind", () => {
  const { proposals, propose } = setUp();
  for (let round = 0; round < 5; round++) {
    for (let i = 0; i < 1000; i++) propose(BigInt(i));
    const queued = proposals.takeQueued();
    queued.forEach((proposal, i) => proposals.placed(proposal, 1000 * round + i + 1, 1));
    // One always stays under way.
    for (let i = 0; i < 999 + (round === 4 ? 1 : 0); i++)
      assert.equal(proposals.takePlaced(entry(1000 * round + i + 1, 1))?.index, 1000 * round + i + 1);
    if (round < 4) assert.equal(proposals.takePlaced(entry(1000 * round + 1000, 1))?.id, 999n);
  }
  assert.equal(proposals.pending, 0);
});

test("what a member asks for as the leader isn't handed to the next one", () => {
  const { ended, proposals, propose } = setUp();
  const [one, , three] = [propose(1n), propose(2n, true), propose(3n)];
  proposals.refuseAsLeader(new Error("not leader"));
  assert.deepEqual(ended, ["2: not leader"]);
  assert.deepEqual(proposals.takeQueued(), [one, three]);
});
