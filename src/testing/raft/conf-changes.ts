/**
 * Runs transcripts about changes of members: `simple`, `enter-joint [autoleave=true]` and `leave-joint`, with changes such as `v1 l2 r3 u4`.
 *
 * Upstream: confchange/datadriven_test.go
 */
import {
  ConfChangeError,
  enterJoint,
  leaveJoint,
  simpleChange,
  type ChangeBase,
} from "../../raft/confchange/changer.ts";
import { describeConfig, describeProgressMap } from "../../raft/tracker/describe.ts";
import { ProgressTracker, type Membership } from "../../raft/tracker/tracker.ts";
import type { ConfChangeSingle, ConfChangeType } from "../../raft/types.ts";
import { runTranscript, type Command } from "./data-driven.ts";

const TYPES: Readonly<Record<string, ConfChangeType>> = {
  v: "ConfChangeAddNode",
  l: "ConfChangeAddLearnerNode",
  r: "ConfChangeRemoveNode",
  u: "ConfChangeUpdateNode",
};

/** `v1 l2 r3 u4`: make 1 a voter and 2 a learner, remove 3, update 4. */
export function parseConfChanges(text: string): readonly ConfChangeSingle[] {
  return text
    .trim()
    .split(" ")
    .filter((word) => word !== "")
    .map((word) => {
      const type = TYPES[word[0]!];
      if (type === undefined) throw new Error(`unknown input: ${word}`);
      return { type, nodeId: BigInt(word.slice(1)) };
    });
}

export function runConfChangeTranscript(path: string): void {
  const tracker = new ProgressTracker(10, Infinity);
  let lastIndex = 0;
  runTranscript(path, (command) => {
    const base = {
      config: tracker.config,
      progress: tracker.progress,
      lastIndex: lastIndex++,
      newInflights: () => tracker.newInflights(),
    };
    try {
      tracker.switchTo(change(base, command));
    } catch (error) {
      if (error instanceof ConfChangeError) return error.message;
      throw error;
    }
    return `${describeConfig(tracker.config)}\n${describeProgressMap(tracker.progress)}`;
  });
}

function change(base: ChangeBase, { name, arguments: args, input, place }: Command): Membership {
  const changes = parseConfChanges(input);
  switch (name) {
    case "simple":
      return simpleChange(base, changes);
    case "enter-joint":
      return enterJoint(
        base,
        args.some(({ key, values }) => key === "autoleave" && values[0] === "true"),
        changes,
      );
    case "leave-joint":
      return leaveJoint(base);
    default:
      throw new Error(`${place}: unknown command ${name}`);
  }
}
