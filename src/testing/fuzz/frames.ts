/** The streams between members: cut anywhere and damaged, they give a message or an error of the codec, and nothing else. */
import assert from "node:assert/strict";
import { MessageError } from "../../etcd/peer/field-reader.ts";
import { MessageCodec } from "../../etcd/peer/message-codec.ts";
import {
  encodeDelimited,
  isLinkHeartbeat,
  streamDecoder,
  streamEncoder,
  type StreamKind,
} from "../../etcd/peer/stream-codec.ts";
import { createMessage } from "../../raft/message.ts";
import { EMPTY_CONF_STATE } from "../../raft/storage.ts";
import type { Message, MessageKind } from "../../raft/types.ts";
import { type Random, randomInt } from "../../world/world.ts";
import { chunked, type Fuzzer, mutated, pick } from "./fuzzer.ts";

const LEADER = 0x1111_2222_3333_4444n;
const FOLLOWER = 7n;
const EMPTY = new Uint8Array(0);

export const NO_MESSAGE = createMessage({ type: "MsgHeartbeat" });

/** The kinds that travel. */
export const KINDS: readonly MessageKind[] = [
  "MsgProp",
  "MsgApp",
  "MsgAppResp",
  "MsgVote",
  "MsgVoteResp",
  "MsgSnap",
  "MsgHeartbeat",
  "MsgHeartbeatResp",
  "MsgTransferLeader",
  "MsgTimeoutNow",
  "MsgReadIndex",
  "MsgReadIndexResp",
  "MsgPreVote",
  "MsgPreVoteResp",
];

export const peerFrames: Fuzzer = {
  name: "peer-frames",
  about: "streams between members, whole and damaged, to those who read them",
  run(random) {
    const codec = new MessageCodec();
    const kind: StreamKind = random.next() < 0.5 ? "message" : "msgappv2";
    const encoder = streamEncoder(kind, codec);
    const sent: Message[] = [];
    const parts: Buffer[] = [];
    let index = randomInt(random, 100);
    const term = 1 + randomInt(random, 3);
    for (let count = 1 + randomInt(random, 6); count > 0; count--) {
      const message = kind === "message" ? any(random) : append(random, term, index);
      index += message.entries.length;
      sent.push(message);
      parts.push(encoder.encode(message));
      if (random.next() < 0.2) parts.push(encoder.heartbeat());
    }
    const whole = Buffer.concat(parts);
    const arrived = read(kind, whole, random).filter((one) => !isLinkHeartbeat(one));
    assert.deepEqual(arrived.map(shown), sent.map(shown), "what was sent is what is read");
    // What can be read at all can be told on.
    for (const message of read(kind, mutated(random, whole), random)) {
      const again = codec.decode(encodeDelimited(codec, message).subarray(8));
      assert.equal(shown(again), shown(message), "a message is the same after it was told on");
    }
  },
};

function read(kind: StreamKind, bytes: Buffer, random: Random): Message[] {
  const messages: Message[] = [];
  const decoder = streamDecoder(kind, new MessageCodec(), FOLLOWER, LEADER);
  try {
    for (const chunk of chunked(random, bytes)) decoder.push(chunk, (message) => messages.push(message));
  } catch (error) {
    if (!(error instanceof MessageError)) throw error;
    assert.ok(error.message.length > 10, error.message);
  }
  return messages;
}

/** As text, whichever kind of array the bytes are in, and none the same as no bytes. */
function shown(value: unknown): string {
  if (value instanceof Uint8Array) return value.length === 0 ? "undefined" : Buffer.from(value).toString("hex");
  if (Array.isArray(value)) return `[${value.map(shown).join()}]`;
  if (typeof value !== "object" || value === null) return String(value);
  return Object.entries(value)
    .toSorted(([one], [other]) => (one < other ? -1 : 1))
    .map(([name, one]) => `${name}=${shown(one)}`)
    .join(" ");
}

function append(random: Random, term: number, index: number): Message {
  const entries = Array.from({ length: randomInt(random, 4) }, (_, i) => ({
    term,
    index: index + i + 1,
    type: 0 as const,
    data: bytes(random),
  }));
  return {
    ...NO_MESSAGE,
    type: "MsgApp",
    to: FOLLOWER,
    from: LEADER,
    term,
    logTerm: random.next() < 0.9 ? term : term - 1,
    index,
    entries,
    commit: randomInt(random, index + 3),
  };
}

/** Of no sense, but each field as the codec has it. */
function any(random: Random): Message {
  const number = () => pick(random, [0, 1, 127, 128, 70_000, 2 ** 31, 2 ** 32 + 5, 2 ** 53 - 1]);
  const id = () => pick(random, [0n, 1n, FOLLOWER, LEADER, 2n ** 64n - 1n]);
  const maybe = <T>(value: T): T | undefined => (random.next() < 0.2 ? value : undefined);
  const context = maybe(bytes(random));
  return {
    ...NO_MESSAGE,
    type: pick(random, KINDS),
    to: id(),
    from: pick(random, [FOLLOWER, LEADER]),
    term: number(),
    logTerm: number(),
    index: number(),
    entries: random.next() < 0.4 ? append(random, number(), randomInt(random, 1e6)).entries : [],
    commit: number(),
    vote: id(),
    snapshot: maybe({
      data: bytes(random),
      metadata: {
        index: 1 + randomInt(random, 1e6),
        term: number(),
        confState: { ...EMPTY_CONF_STATE, voters: [1n, FOLLOWER] },
      },
    }),
    reject: random.next() < 0.3,
    rejectHint: number(),
    context: context?.length === 0 ? undefined : context,
  };
}

function bytes(random: Random): Uint8Array {
  const size = pick(random, [0, 0, 3, 40, 500]);
  return size === 0 ? EMPTY : random.bytes(size);
}
