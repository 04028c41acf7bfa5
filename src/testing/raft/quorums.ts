/**
 * Runs transcripts about quorums: `committed cfg=(1,2,3) [cfgj=(…)|zero] idx=(…)` and `vote cfg=(…) [cfgj=(…)] votes=(y,n,_)`. Answers are given
 * for the voters in order, each once; `_` is none. Each case is also asked in other ways that must not change the result; one that does
 * shows in the output.
 *
 * Upstream: quorum/datadriven_test.go
 */
import { byId } from "../../raft/quorum/ids.ts";
import { jointCommittedIndex, jointVoteResult, voterIds, type JointConfig } from "../../raft/quorum/joint.ts";
import { committedIndex, voteResult, type AckedIndexes, type MajorityConfig } from "../../raft/quorum/majority.ts";
import type { NodeId } from "../../raft/types.ts";
import { runTranscript, type Command } from "./data-driven.ts";

export function runQuorumTranscript(path: string): void {
  runTranscript(path, answer);
}

function answer(command: Command): string {
  const valuesOf = (key: string) => command.arguments.find((argument) => argument.key === key)?.values;
  const ids = (valuesOf("cfg") ?? []).filter((id) => id !== "").map(BigInt);
  const isJoint = valuesOf("cfgj") !== undefined;
  const idsJoint = (valuesOf("cfgj") ?? []).filter((id) => id !== "zero" && id !== "").map(BigInt);
  const answers = (valuesOf(command.name === "vote" ? "votes" : "idx") ?? []).filter((text) => text !== "");
  const config = { incoming: [...new Set(ids)].sort(byId), outgoing: [...new Set(idsJoint)].sort(byId) };
  const voters = [...new Set([...ids, ...idsJoint])];
  if (voters.length !== answers.length) {
    const shown = answers.map((text) => ({ y: "2", n: "1", _: "0" })[text] ?? text);
    const sorted = voterIds(config).map((id) => `${id}`);
    return `error: mismatched input (explicit or _) for voters map[${sorted.map((id) => `${id}:{}`).join(" ")}]: [${shown.join(" ")}]`;
  }
  const given = new Map(voters.map((id, i) => [id, answers[i]!] as const).filter(([, text]) => text !== "_"));
  switch (command.name) {
    case "vote": {
      const votes = new Map([...given].map(([id, text]) => [id, text === "y"] as const));
      const result = isJoint ? jointVoteResult(config, votes) : voteResult(config.incoming, votes);
      const swapped = jointVoteResult({ incoming: config.outgoing, outgoing: config.incoming }, votes);
      return isJoint && swapped !== result ? `${swapped} <-- via symmetry\n${result}` : result;
    }
    case "committed": {
      const indexes = new Map([...given].map(([id, text]) => [id, Number(text)] as const));
      return isJoint ? committedJoint(config, indexes) : committedMajority(config.incoming, indexes);
    }
    default:
      throw new Error(`${command.place}: unknown command ${command.name}`);
  }
}

export function acked(indexes: ReadonlyMap<NodeId, number>): AckedIndexes {
  return { ackedIndex: (id) => indexes.get(id) };
}

const show = (index: number) => (index === Infinity ? "∞" : String(index));

function committedMajority(voters: MajorityConfig, indexes: ReadonlyMap<NodeId, number>): string {
  const result = committedIndex(voters, acked(indexes));
  let text = describeMajority(voters, acked(indexes));
  const expectSame = (other: number, way: string) => {
    if (other !== result) text += `${show(other)} <-- ${way}\n`;
  };
  expectSame(naiveCommittedIndex(voters, indexes), "via alternative computation");
  expectSame(jointCommittedIndex({ incoming: voters, outgoing: [] }, acked(indexes)), "via zero-joint quorum");
  expectSame(jointCommittedIndex({ incoming: voters, outgoing: voters }, acked(indexes)), "via self-joint quorum");
  for (const [id, index] of indexes) {
    if (index >= result) continue;
    // A log that ends below the result has no part in it, and may as well be shorter.
    for (const lower of [index - 1, 0])
      expectSame(committedIndex(voters, acked(new Map(indexes).set(id, lower))), `overlaying ${id}->${lower}`);
  }
  return `${text}${show(result)}`;
}

function committedJoint(config: JointConfig, indexes: ReadonlyMap<NodeId, number>): string {
  const result = jointCommittedIndex(config, acked(indexes));
  const swapped = jointCommittedIndex({ incoming: config.outgoing, outgoing: config.incoming }, acked(indexes));
  const symmetry = swapped === result ? "" : `${show(swapped)} <-- via symmetry\n`;
  return `${describeMajority(voterIds(config), acked(indexes))}${symmetry}${show(result)}`;
}

/** The same by the definition: the highest index such that more than half of the voters have it. */
export function naiveCommittedIndex(voters: MajorityConfig, indexes: ReadonlyMap<NodeId, number>): number {
  if (voters.length === 0) return Infinity;
  const reaches = (index: number) => voters.filter((id) => (indexes.get(id) ?? 0) >= index).length;
  return Math.max(0, ...[...indexes.values()].filter((index) => reaches(index) > voters.length / 2));
}

/** One line a voter, with a bar as long as the number of voters whose logs are shorter; the one that decides ends below the middle. */
function describeMajority(voters: MajorityConfig, acked: AckedIndexes): string {
  const count = voters.length;
  if (count === 0) return "<empty majority quorum>";
  const indexes = voters.map((id) => acked.ackedIndex(id) ?? 0);
  const lines = voters.map((id, i) => {
    const shorter = indexes.filter((index) => index < indexes[i]!).length;
    const bar =
      acked.ackedIndex(id) === undefined
        ? `?${" ".repeat(count)}`
        : `${"x".repeat(shorter)}>${" ".repeat(count - shorter)}`;
    return `${bar} ${String(indexes[i]).padStart(5)}    (id=${id.toString(16)})\n`;
  });
  return `${" ".repeat(count)}    idx\n${lines.join("")}`;
}
