/**
 * The cluster's members as a dump of upstream's v2 store: the data of a `.snap` file. An etcd up to 3.4 reads its members from there at the
 * start, later ones from the db file.
 *
 * Upstream: server/etcdserver/server.go (GetMembershipInfoInV2Format), api/v2store/store.go
 */
import type { Member } from "../../protocols/etcd/generated.ts";
import { hexId } from "../cluster/identity.ts";

const NEVER = "0001-01-01T00:00:00Z";
/** The ring of past events, which nobody will ask for. */
const HISTORY = 1000;

interface Node {
  readonly Path: string;
  readonly CreatedIndex: number;
  readonly ModifiedIndex: number;
  readonly ExpireTime: string;
  readonly Value: string;
  readonly Children: Readonly<Record<string, Node>> | null;
}

export interface V2Membership {
  readonly members: readonly Member[];
  readonly removed: Iterable<bigint>;
  readonly version: string | undefined;
}

export function membershipAsV2Store({ members, removed, version }: V2Membership): Uint8Array {
  let index = 0;
  const leaf = (path: string, value: string): Node => {
    index++;
    return { Path: path, CreatedIndex: index, ModifiedIndex: index, ExpireTime: NEVER, Value: value, Children: null };
  };
  const folder = (path: string, children: Readonly<Record<string, Node>>): Node => {
    return { Path: path, CreatedIndex: 0, ModifiedIndex: 0, ExpireTime: NEVER, Value: "", Children: children };
  };
  const memberNodes: Record<string, Node> = {};
  for (const { ID, name, peerURLs, clientURLs, isLearner } of members) {
    const path = `/0/members/${hexId(ID)}`;
    memberNodes[hexId(ID)] = folder(path, {
      attributes: leaf(
        `${path}/attributes`,
        JSON.stringify({ ...(name !== "" && { name }), ...(clientURLs.length > 0 && { clientURLs }) }),
      ),
      raftAttributes: leaf(`${path}/raftAttributes`, JSON.stringify({ peerURLs, ...(isLearner && { isLearner }) })),
    });
  }
  const removedNodes: Record<string, Node> = {};
  for (const id of removed) removedNodes[hexId(id)] = leaf(`/0/removed_members/${hexId(id)}`, "removed");
  const root = folder("/", {
    0: folder("/0", {
      members: folder("/0/members", memberNodes),
      ...(Object.keys(removedNodes).length > 0 && { removed_members: folder("/0/removed_members", removedNodes) }),
      ...(version !== undefined && { version: leaf("/0/version", version) }),
    }),
    1: folder("/1", {}),
  });
  const counters = ["gets", "sets", "delete", "update", "create", "compareAndSwap", "compareAndDelete"];
  const stats = Object.fromEntries(
    counters.flatMap((name) => [
      [`${name}Success`, 0],
      [`${name}Fail`, 0],
    ]),
  );
  const queue = { Events: Array.from({ length: HISTORY }, () => null), Size: 0, Front: 0, Back: 0, Capacity: HISTORY };
  return Buffer.from(
    JSON.stringify({
      Root: root,
      WatcherHub: { EventHistory: { Queue: queue, StartIndex: 0, LastIndex: 0 } },
      CurrentIndex: index,
      Stats: { ...stats, expireCount: 0, watchers: 0 },
      CurrentVersion: 2,
    }),
  );
}
