import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { acked, naiveCommittedIndex } from "../../testing/raft/quorums.ts";
import type { NodeId } from "../types.ts";
import { byId } from "./ids.ts";
import { jointCommittedIndex, jointVoteResult, voterIds } from "./joint.ts";
import { committedIndex, voteResult } from "./majority.ts";

const voters = fc
  .uniqueArray(fc.bigInt({ min: 1n, max: 12n }), { maxLength: 9 })
  .map((ids): readonly NodeId[] => ids.sort(byId));
const indexes = fc.array(fc.tuple(fc.bigInt({ min: 1n, max: 12n }), fc.nat(20))).map((pairs) => new Map(pairs));
const votes = fc.array(fc.tuple(fc.bigInt({ min: 1n, max: 12n }), fc.boolean())).map((pairs) => new Map(pairs));

test("the committed index of a majority is what its definition says", () => {
  fc.assert(
    fc.property(voters, indexes, (config, logs) => {
      assert.equal(committedIndex(config, acked(logs)), naiveCommittedIndex(config, logs));
    }),
    { numRuns: 2_000 },
  );
});

test("a joint configuration has committed what both halves have, whichever comes first", () => {
  fc.assert(
    fc.property(voters, voters, indexes, (incoming, outgoing, logs) => {
      const joint = jointCommittedIndex({ incoming, outgoing }, acked(logs));
      assert.equal(joint, Math.min(naiveCommittedIndex(incoming, logs), naiveCommittedIndex(outgoing, logs)));
      assert.equal(joint, jointCommittedIndex({ incoming: outgoing, outgoing: incoming }, acked(logs)));
    }),
  );
});

test("a vote is decided as soon as those that are missing can't change it, and not before", () => {
  fc.assert(
    fc.property(voters, votes, (config, cast) => {
      const missing = config.filter((id) => !cast.has(id));
      const outcomeIf = (rest: boolean) => {
        const granted = config.filter((id) => cast.get(id) ?? rest).length;
        return config.length === 0 || granted > config.length / 2;
      };
      const expected = !outcomeIf(true) ? "VoteLost" : outcomeIf(false) ? "VoteWon" : "VotePending";
      assert.equal(voteResult(config, cast), expected, `missing ${missing.join(" ")}`);
    }),
    { numRuns: 2_000 },
  );
});

test("a joint vote is won when both halves are, and lost when one is", () => {
  fc.assert(
    fc.property(voters, voters, votes, (incoming, outgoing, cast) => {
      const halves = [voteResult(incoming, cast), voteResult(outgoing, cast)];
      const expected = halves.includes("VoteLost")
        ? "VoteLost"
        : halves.every((half) => half === "VoteWon")
          ? "VoteWon"
          : "VotePending";
      assert.equal(jointVoteResult({ incoming, outgoing }, cast), expected);
    }),
  );
});

test("the voters of a joint configuration are those of both halves, in order, each once", () => {
  assert.deepEqual(voterIds({ incoming: [2n, 10n], outgoing: [1n, 2n] }), [1n, 2n, 10n]);
});
