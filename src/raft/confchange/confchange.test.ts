import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { describeConfig, describeProgressMap } from "../tracker/describe.ts";
import { ProgressTracker, type Membership } from "../tracker/tracker.ts";
import type { ConfChangeSingle, ConfState } from "../types.ts";
import { ConfChangeError, enterJoint, leaveJoint, simpleChange, type ChangeBase } from "./changer.ts";
import { restoreMembership } from "./restore.ts";

const single: fc.Arbitrary<ConfChangeSingle> = fc.record({
  type: fc.constantFrom(
    "ConfChangeAddNode",
    "ConfChangeAddNode",
    "ConfChangeRemoveNode",
    "ConfChangeUpdateNode",
    "ConfChangeAddLearnerNode",
  ),
  nodeId: fc.bigInt({ min: 1n, max: 7n }),
});
const changes = fc.array(single, { minLength: 1, maxLength: 6 });

function baseOf(membership?: Membership): ChangeBase {
  const tracker = new ProgressTracker(10, Infinity);
  if (membership !== undefined) tracker.switchTo(membership);
  const { config, progress } = tracker;
  return { config, progress, lastIndex: 10, newInflights: () => tracker.newInflights() };
}

/** A group with voter 1, changed one by one; what is refused is left out. */
function after(made: readonly ConfChangeSingle[]): Membership {
  let membership = simpleChange(baseOf(), [{ type: "ConfChangeAddNode", nodeId: 1n }]);
  for (const change of made) {
    try {
      membership = simpleChange(baseOf(membership), [change]);
    } catch (error) {
      if (!(error instanceof ConfChangeError)) throw error;
    }
  }
  return membership;
}

const text = ({ config, progress }: Membership) => `${describeConfig(config)}\n${describeProgressMap(progress)}`;

test("changes that are made one by one lead where they lead through a joint configuration", () => {
  fc.assert(
    fc.property(changes, single, (before, change) => {
      const start = after(before);
      let direct: Membership;
      try {
        direct = simpleChange(baseOf(start), [change]);
      } catch {
        return; // It would leave no voter.
      }
      for (const autoLeave of [true, false]) {
        const joint = enterJoint(baseOf(start), autoLeave, [change]);
        assert.equal(joint.config.autoLeave, autoLeave);
        assert.equal(text(leaveJoint(baseOf(joint))), text(direct));
      }
    }),
  );
});

test("a configuration, joint or not, is restored from what a snapshot says of it", () => {
  fc.assert(
    fc.property(changes, changes, fc.boolean(), fc.boolean(), (before, made, isJoint, autoLeave) => {
      let membership = after(before);
      try {
        if (isJoint) membership = enterJoint(baseOf(membership), autoLeave, made);
      } catch {
        return;
      }
      const tracker = new ProgressTracker(10, Infinity);
      tracker.switchTo(membership);
      const confState = tracker.confState();
      const shuffled: ConfState = { ...confState, voters: confState.voters.toReversed() };
      assert.equal(describeConfig(restoreMembership(baseOf(), shuffled).config), describeConfig(membership.config));
    }),
  );
});

test("a change leaves the configuration it was made of as it was", () => {
  fc.assert(
    fc.property(changes, changes, (before, made) => {
      const start = after(before);
      const shown = text(start);
      try {
        leaveJoint(baseOf(enterJoint(baseOf(start), false, made)));
      } catch {
        // Refused, which must change nothing either.
      }
      assert.equal(text(start), shown);
    }),
  );
});

test("any two majorities before and after a simple change have a member in common", () => {
  fc.assert(
    fc.property(changes, changes, (before, made) => {
      const start = after(before);
      let end: Membership;
      try {
        end = simpleChange(baseOf(start), made);
      } catch {
        return;
      }
      const [a, b] = [start.config.voters.incoming, end.config.voters.incoming];
      const quorums = Math.floor(a.length / 2) + 1 + Math.floor(b.length / 2) + 1;
      assert.ok(quorums > new Set([...a, ...b]).size, `(${a.join(" ")}) and (${b.join(" ")})`);
    }),
  );
});
