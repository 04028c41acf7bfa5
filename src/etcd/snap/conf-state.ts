/** Raft's members as the bucket `meta` has them, in upstream's JSON. Ids are numbers of 64 bits, which JSON's own functions would round. */
import type { ConfState } from "../../raft/types.ts";

const EMPTY: ConfState = { voters: [], learners: [], votersOutgoing: [], learnersNext: [], autoLeave: false };

export function confStateJson({ voters, learners, votersOutgoing, learnersNext, autoLeave }: ConfState): string {
  const lists = [
    ["voters", voters],
    ["learners", learners],
    ["voters_outgoing", votersOutgoing],
    ["learners_next", learnersNext],
  ] as const;
  const parts = lists.filter(([, ids]) => ids.length > 0).map(([name, ids]) => `"${name}":[${ids.join(",")}]`);
  return `{${[...parts, `"auto_leave":${autoLeave}`].join(",")}}`;
}

export function parseConfState(json: string): ConfState {
  const ids = (name: string): bigint[] => {
    const list = new RegExp(`"${name}":\\[([0-9,\\s]*)\\]`).exec(json)?.[1] ?? "";
    return list.split(",").flatMap((id) => {
      if (id.trim() === "") return [];
      if (!/^\s*\d+\s*$/.test(id)) throw new Error(`the members of raft can't be read: ${JSON.stringify(json)}`);
      return [BigInt.asUintN(64, BigInt(id))];
    });
  };
  return {
    ...EMPTY,
    voters: ids("voters"),
    learners: ids("learners"),
    votersOutgoing: ids("voters_outgoing"),
    learnersNext: ids("learners_next"),
    autoLeave: /"auto_leave":true/.test(json),
  };
}
