/**
 * Where an older upstream is known to answer otherwise than 3.7, which ours is held to. Each says which versions it is of, and what 3.7 would have
 * answered: whatever else differs is a defect.
 */
import { ETCD_ERRORS } from "../../protocols/etcd/errors.ts";
import type { Plain, PlainRecord } from "./plain.ts";
import type { Step } from "./step.ts";

export interface KnownDifference {
  readonly name: string;
  readonly because: string;
  isOf(version: string): boolean;
  /** The newer version's outcome; undefined where this is not about the step. */
  newer(step: Step, theirs: PlainRecord, ours: PlainRecord): PlainRecord | undefined;
}

/** What an older version can't be asked at all. */
export interface Unasked {
  readonly name: string;
  readonly because: string;
  isOf(version: string): boolean;
  /** `isGuarded`: authentication is on. */
  isAbout(step: Step, isGuarded: boolean): boolean;
}

const says = (step: Step, pattern: RegExp): boolean => pattern.test(JSON.stringify(step));

const UNGUARDED: ReadonlySet<string> = new Set([
  "LeaseGrant",
  "LeaseRevoke",
  "LeaseTimeToLive",
  "LeaseLeases",
  "Compact",
  "Hash",
  "HashKV",
  "Snapshot",
  "Defragment",
  "MemberList",
  "MemberRemove",
  "Alarm",
  "Status",
]);

export const unasked: readonly Unasked[] = [
  {
    name: "orders that there are not",
    because: "3.4 ends with a panic for a target, and takes any number for an order; later versions refuse both",
    isOf: (version) => version < "3.5",
    isAbout: (step) => says(step, /"sort_target":9|"sort_order":7/),
  },
  {
    name: "streamed ranges that are not served",
    because: "3.4 is asked for the same as one answer, which may be in any order",
    isOf: (version) => version < "3.7",
    isAbout: ({ rpc, request }) => rpc === "RangeStream" && /revision":|sort_/.test(JSON.stringify(request)),
  },
  {
    name: "progress on request",
    because: "3.4 tells it at once, whether its watchers have caught up or not; since 3.4.25 they have to",
    isOf: (version) => version < "3.5",
    isAbout: (step) => says(step, /"progress_request"/),
  },
  {
    name: "watches from before the beginning",
    because: "3.4 makes the watcher and cancels it for the compaction; 3.6 and later refuse it",
    isOf: (version) => version < "3.6",
    isAbout: (step) => says(step, /"start_revision":-1/),
  },
  {
    name: "grants of nothing, and alarms of no kind",
    because: "3.4 ends with a panic, at the latest when it is told of the next",
    isOf: (version) => version < "3.5",
    isAbout: ({ rpc, request }) =>
      (rpc === "RoleGrantPermission" && !("perm" in request)) ||
      (rpc === "Alarm" && request["action"] === "ACTIVATE" && request["alarm"] === "NONE"),
  },
  {
    name: "alarms for damage",
    because: "in 3.4 the last alarm is what counts, in later versions damage does before space",
    isOf: (version) => version < "3.5",
    isAbout: ({ rpc, request }) => rpc === "Alarm" && request["alarm"] === "CORRUPT",
  },
  {
    name: "guarded watches to the end of all keys",
    because: "3.4 takes them for those of their first key",
    isOf: (version) => version < "3.5",
    isAbout: (step, isGuarded) => isGuarded && step.rpc === "Watch" && says(step, /"range_end":"\\u0000"/),
  },
  {
    name: "other URLs for a learner",
    because: "3.4 forgets then that it is one",
    isOf: (version) => version < "3.5",
    isAbout: ({ rpc }) => rpc === "MemberUpdate",
  },
  {
    name: "tokens while nobody is asked for one",
    because: "3.4 looks at them all the same, and refuses what it doesn't know",
    isOf: (version) => version < "3.5",
    isAbout: ({ as }, isGuarded) => as !== undefined && !isGuarded,
  },
  {
    name: "what anyone might do, or be shown, while authentication was on",
    because:
      "3.4 asks for no permission for leases, compactions, checksums, the list of members and what a put replaced; 3.4.27 and later do, and what root may do is told since",
    isOf: (version) => version < "3.5",
    isAbout: (step, isGuarded) =>
      isGuarded && (UNGUARDED.has(step.rpc) || says(step, /"prev_kv":true|"role":"root"|"lease":1/)),
  },
];

export const differences: readonly KnownDifference[] = [
  {
    name: "what a compaction hashed is remembered",
    because:
      "from 3.5.5 on a member keeps, until it restarts, the hashes that its last ten compactions came to over all rows there were, and answers HashKV of just those revisions with them; our compactions don't read the rows that they leave",
    isOf: (version) => version >= "3.5",
    newer({ rpc }, theirs, ours) {
      if (rpc !== "HashKV" || !("answer" in theirs)) return undefined;
      const [before, now] = [theirs, ours].map(({ answer }) =>
        Number((answer as PlainRecord)?.["compact_revision"] ?? Infinity),
      );
      return before! < now! ? ours : undefined;
    },
  },
  {
    name: "a hash of just the compacted revision",
    because: "to 3.5 it was refused as compacted, though all of it can be read",
    isOf: (version) => version < "3.6",
    newer: ({ rpc }, theirs, ours) =>
      rpc === "HashKV" && theirs["code"] === "OutOfRange" && "answer" in ours ? ours : undefined,
  },
  {
    name: "what of a transaction is wrong first",
    because: "to 3.5 all puts were looked at before the first range, and a put's key before its lease; either refuses",
    isOf: (version) => version < "3.6",
    newer: ({ rpc }, theirs, ours) =>
      rpc === "Txn" && [theirs, ours].every(({ message }) => WRONG_IN_TXN.has(String(message))) ? ours : undefined,
  },
  {
    name: "an alarm's answer without a header",
    because: "3.4 leaves it out",
    isOf: (version) => version < "3.5",
    newer({ rpc }, theirs, ours) {
      const [answer, own] = [theirs["answer"] as PlainRecord | undefined, ours["answer"] as PlainRecord | undefined];
      if (rpc !== "Alarm" || answer === undefined || own === undefined || "header" in answer) return undefined;
      return { ...theirs, answer: { header: own["header"]!, ...answer } };
    },
  },
  {
    name: "keys alone have no lease",
    because: "from 3.7 on they come from the index, which knows none, unless values make their order",
    isOf: (version) => version < "3.7",
    newer: (step, theirs, ours) =>
      says(step, /"keys_only":true/) ? (withoutLeases(theirs, ours) as PlainRecord) : undefined,
  },
];

const WRONG_IN_TXN: ReadonlySet<string> = new Set(
  (["keyNotFound", "leaseNotFound", "compacted", "futureRevision"] as const).map((name) => ETCD_ERRORS[name][1]),
);

/** Where ours has a key with no value and no lease. */
function withoutLeases(theirs: Plain, ours: Plain | undefined): Plain {
  if (Array.isArray(theirs)) return theirs.map((item, i) => withoutLeases(item, (ours as readonly Plain[])?.[i]));
  if (typeof theirs !== "object") return theirs;
  const own = typeof ours === "object" ? (ours as PlainRecord) : {};
  const record = theirs as PlainRecord;
  if (record["value"] === "" && own["value"] === "" && own["lease"] === "0") return { ...record, lease: "0" };
  return Object.fromEntries(Object.entries(record).map(([name, item]) => [name, withoutLeases(item, own[name])]));
}
