/**
 * Rejects messages that no correct raft sends. Raft trusts its peers, and an append with a gap, for example, would send it into an endless loop; so
 * damaged or malicious messages are recognized here.
 */
import type { Message } from "../../raft/types.ts";

/** Undefined for a message that could be one. */
export function flawOf({ type, term, logTerm, index, entries, snapshot }: Message): string | undefined {
  // A proposal is for whatever term its leader is in.
  if (term === 0 && type !== "MsgProp" && type !== "MsgReadIndex") return "the message has no term";
  if (type === "MsgSnap") {
    if (snapshot === undefined || snapshot.metadata.index === 0) return "the message has no snapshot";
    return snapshot.metadata.term > term ? "the snapshot is of a later term than its sender" : undefined;
  }
  if (type !== "MsgApp") return undefined;
  if (logTerm > term) return "the entries follow one of a later term than their sender's";
  let before = logTerm;
  for (let i = 0; i < entries.length; i++) {
    const entry = entries[i]!;
    if (entry.index !== index + 1 + i) return `entry ${entry.index} is where ${index + 1 + i} should be`;
    if (entry.term < before || entry.term > term)
      return `entry ${entry.index} is of term ${entry.term} behind ${before}`;
    before = entry.term;
  }
  return undefined;
}
