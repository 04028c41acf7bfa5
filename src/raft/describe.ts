/**
 * Raft's data as text, in upstream's format: for logs, for tests, and for people who know it.
 *
 * Upstream: util.go
 */
import { decodeConfChange } from "./conf-change.ts";
import { LOCAL_APPEND_THREAD, LOCAL_APPLY_THREAD } from "./message.ts";
import type { Ready, SoftState } from "./ready.ts";
import {
  NONE,
  type ConfChange,
  type ConfChangeSingle,
  type ConfState,
  type Entry,
  type HardState,
  type Message,
  type NodeId,
  type Snapshot,
} from "./types.ts";

/** How to show an entry's data; in quotes unless given. */
export type EntryFormatter = (data: Uint8Array) => string;

const ENTRY_TYPES = ["EntryNormal", "EntryConfChange", "EntryConfChangeV2"] as const;

export function describeHardState({ term, vote, commit }: HardState): string {
  return `Term:${term}${vote === NONE ? "" : ` Vote:${vote}`} Commit:${commit}`;
}

export function describeSoftState({ lead, raftState }: SoftState): string {
  return `Lead:${lead} State:${raftState}`;
}

export function describeConfState(state: ConfState): string {
  const list = (ids: readonly NodeId[]) => `[${ids.join(" ")}]`;
  return (
    `Voters:${list(state.voters)} VotersOutgoing:${list(state.votersOutgoing)} Learners:${list(state.learners)} ` +
    `LearnersNext:${list(state.learnersNext)} AutoLeave:${state.autoLeave}`
  );
}

export function describeSnapshot({ metadata }: Snapshot): string {
  return `Index:${metadata.index} Term:${metadata.term} ConfState:${describeConfState(metadata.confState)}`;
}

export function describeReady(ready: Ready, format?: EntryFormatter): string {
  const lines: string[] = [];
  if (ready.softState !== undefined) lines.push(describeSoftState(ready.softState));
  if (ready.hardState !== undefined) lines.push(`HardState ${describeHardState(ready.hardState)}`);
  if (ready.readStates.length > 0) {
    const states = ready.readStates.map(({ index, context }) => `{${index} [${context.join(" ")}]}`);
    lines.push(`ReadStates [${states.join(" ")}]`);
  }
  if (ready.entries.length > 0) lines.push("Entries:", ...ready.entries.map((entry) => describeEntry(entry, format)));
  if (ready.snapshot !== undefined) lines.push(`Snapshot ${describeSnapshot(ready.snapshot)}`);
  if (ready.committedEntries.length > 0)
    lines.push("CommittedEntries:", ...ready.committedEntries.map((entry) => describeEntry(entry, format)));
  if (ready.messages.length > 0)
    lines.push("Messages:", ...ready.messages.map((message) => describeMessage(message, format)));
  if (lines.length === 0) return "<empty Ready>";
  return `Ready MustSync=${ready.mustSync}:\n${lines.join("\n")}\n`;
}

export function describeMessage(message: Message, format?: EntryFormatter, indent = ""): string {
  const { type, from, to, term, logTerm, index, entries, snapshot, responses } = message;
  let text = `${indent}${describeTarget(from)}->${describeTarget(to)} ${type} Term:${term} Log:${logTerm}/${index}`;
  if (message.reject) text += ` Rejected (Hint: ${message.rejectHint})`;
  if (message.commit !== 0) text += ` Commit:${message.commit}`;
  if (message.vote !== NONE) text += ` Vote:${message.vote}`;
  if (entries.length === 1) {
    text += ` Entries:[${describeEntry(entries[0]!, format)}]`;
  } else if (entries.length > 1) {
    const lines = entries.map((entry) => `\n${indent}  ${describeEntry(entry, format)}`);
    text += ` Entries:[${lines.join("")}\n${indent}]`;
  }
  if (snapshot !== undefined && snapshot.metadata.index !== 0)
    text += `\n${indent}  Snapshot: ${describeSnapshot(snapshot)}`;
  if (responses.length > 0) {
    const lines = responses.map((response) => `\n${describeMessage(response, format, `${indent}  `)}`);
    text += ` Responses:[${lines.join("")}\n${indent}]`;
  }
  return text;
}

function describeTarget(id: NodeId): string {
  if (id === NONE) return "None";
  if (id === LOCAL_APPEND_THREAD) return "AppendThread";
  return id === LOCAL_APPLY_THREAD ? "ApplyThread" : id.toString(16);
}

export function describeEntry(entry: Entry, format: EntryFormatter = quote): string {
  const { type, data } = entry;
  const text = type === 0 ? format(data) : describeConfChangeData(entry);
  return `${entry.term}/${entry.index} ${ENTRY_TYPES[type]}${text === "" ? "" : ` ${text}`}`;
}

function describeConfChangeData({ type, data }: Entry): string {
  try {
    return confChangesToString(decodeConfChange(type, data).changes);
  } catch (error) {
    return (error as Error).message;
  }
}

export function describeEntries(entries: readonly Entry[], format?: EntryFormatter): string {
  return entries.map((entry) => `${describeEntry(entry, format)}\n`).join("");
}

export function describeConfChange({ transition, changes, context }: ConfChange): string {
  const text = changes.map(({ type, nodeId }) => ` changes:{type:${type} node_id:${nodeId}}`).join("");
  return `transition:${transition}${text}${context.length > 0 ? ` context:${quote(context)}` : ""}`;
}

/** Changes in short: `v1` makes 1 a voter, `l1` a learner, `r1` removes it, `u1` updates it. */
export function confChangesToString(changes: readonly ConfChangeSingle[]): string {
  return changes
    .map(({ type, nodeId }) => {
      switch (type) {
        case "ConfChangeAddNode":
          return `v${nodeId}`;
        case "ConfChangeAddLearnerNode":
          return `l${nodeId}`;
        case "ConfChangeRemoveNode":
          return `r${nodeId}`;
        case "ConfChangeUpdateNode":
          return `u${nodeId}`;
      }
    })
    .join(" ");
}

const ESCAPES: Readonly<Record<string, string>> = {
  '"': '\\"',
  "\\": "\\\\",
  "\u0007": "\\a",
  "\b": "\\b",
  "\f": "\\f",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
  "\v": "\\v",
};

/** Bytes in quotes, as Go's %q shows them. */
export function quote(data: Uint8Array): string {
  let text = "";
  for (let at = 0; at < data.length;) {
    const length = runeLength(data, at);
    if (length === 0) {
      text += `\\x${hex(data[at]!, 2)}`;
      at++;
      continue;
    }
    const rune = new TextDecoder().decode(data.subarray(at, at + length));
    const code = rune.codePointAt(0) ?? 0xfeff; // The decoder takes a leading byte order mark away.
    at += length;
    if (ESCAPES[rune] !== undefined) text += ESCAPES[rune];
    else if (code < 0x20 || code === 0x7f) text += `\\x${hex(code, 2)}`;
    else if (/^[\p{L}\p{M}\p{N}\p{P}\p{S} ]$/u.test(rune)) text += rune;
    else text += code > 0xffff ? `\\U${hex(code, 8)}` : `\\u${hex(code, 4)}`;
  }
  return `"${text}"`;
}

function hex(number: number, digits: number): string {
  return number.toString(16).padStart(digits, "0");
}

/** How many bytes the UTF-8 character at `at` has, or 0 where there is none. */
function runeLength(data: Uint8Array, at: number): number {
  const first = data[at]!;
  const length = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
  if (length === 0 || at + length > data.length) return 0;
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(data.subarray(at, at + length));
    return length;
  } catch {
    return 0;
  }
}
