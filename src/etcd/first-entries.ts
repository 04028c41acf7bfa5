/** The entries with which the log of every initial member begins: the same on all of them, so that they agree without having communicated. */
import { RaftpbConfChange, type Member } from "../protocols/etcd/generated.ts";
import type { Entry } from "../raft/types.ts";
import type { Codec } from "../wire/rpc/codec.ts";
import { memberContext } from "./cluster/identity.ts";

export function firstEntries(members: readonly Member[], codec: Codec): Entry[] {
  return [...members]
    .sort((a, b) => (a.ID < b.ID ? -1 : 1))
    .map((member, i) => ({
      term: 1,
      index: i + 1,
      type: 1,
      data: codec.encode(RaftpbConfChange, {
        id: 0n,
        type: "ConfChangeAddNode",
        node_id: member.ID,
        context: memberContext(member),
      }),
    }));
}
