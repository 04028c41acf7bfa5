/**
 * The cluster's own data as members up to 3.4 exchange it: requests to set a key of the v2 store, and a dump of that store in every snapshot.
 *
 * Upstream: server/etcdserver/apply_v2.go, server/etcdserver/api/membership/storev2.go
 */
import type { InternalRaftRequest, Member } from "../../protocols/etcd/generated.ts";
import type { NodeId } from "../../raft/types.ts";
import type { Init } from "../../wire/rpc/service.ts";
import { FieldReader } from "../peer/field-reader.ts";
import { hexId, parseHexId } from "./identity.ts";

const ATTRIBUTES = /^\/0\/members\/([0-9a-f]+)\/attributes$/;
const VERSION = "/0/version";

/** The request in the form of the v2 API; undefined where it has none. */
export function toV2Request(id: bigint, request: Init<InternalRaftRequest>): Uint8Array | undefined {
  const { cluster_member_attr_set: attributes, cluster_version_set: version } = request;
  if (attributes !== undefined) {
    const { name = "", client_urls: clientURLs = [] } = attributes.member_attributes ?? {};
    const path = `/0/members/${hexId(attributes.member_ID ?? 0n)}/attributes`;
    return encodePut(id, path, JSON.stringify({ name, clientURLs }));
  }
  if (version !== undefined) return encodePut(id, VERSION, version.ver ?? "");
  return undefined;
}

/** Undefined where the entry's data isn't of this form. Requests about anything but the cluster itself change nothing here. */
export function fromV2Request(data: Uint8Array): Init<InternalRaftRequest> | undefined {
  // It begins with an id, which requests of today have in their header, and goes on with a method's name.
  if (data[0] !== 0x08) return undefined;
  let id = 0n;
  let method = "";
  let path = "";
  let value = "";
  try {
    const reader = new FieldReader(data);
    while (reader.more()) {
      const tag = reader.tag();
      if (tag === 0x08) {
        reader.halves();
        id = (BigInt(reader.high) << 32n) | BigInt(reader.low);
      } else if (tag === 0x12) {
        method = text(reader.bytes());
        if (!/^[A-Z]+$/.test(method)) return undefined;
      } else if (tag === 0x1a) path = text(reader.bytes());
      else if (tag === 0x22) value = text(reader.bytes());
      else reader.skip();
    }
  } catch {
    return undefined;
  }
  if (method === "") return undefined;
  const header = { ID: id };
  const member = ATTRIBUTES.exec(path)?.[1];
  if (method !== "PUT") return { header };
  if (path === VERSION) return { header, cluster_version_set: { ver: value } };
  if (member === undefined) return { header };
  const { name = "", clientURLs = [] } = JSON.parse(value) as Partial<Member>;
  return {
    header,
    cluster_member_attr_set: {
      member_ID: parseHexId(member) ?? 0n,
      member_attributes: { name, client_urls: clientURLs },
    },
  };
}

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString();
}

function encodePut(id: bigint, path: string, value: string): Uint8Array {
  const parts: Buffer[] = [Buffer.from([0x08]), varint(id)];
  for (const [tag, one] of [
    [0x12, "PUT"],
    [0x1a, path],
    [0x22, value],
  ] as const) {
    const bytes = Buffer.from(one);
    parts.push(Buffer.from([tag]), varint(BigInt(bytes.length)), bytes);
  }
  return Buffer.concat(parts);
}

function varint(value: bigint): Buffer {
  const digits: number[] = [];
  let rest = value;
  for (; rest > 0x7fn; rest >>= 7n) digits.push(Number(rest & 0x7fn) | 0x80);
  digits.push(Number(rest));
  return Buffer.from(digits);
}

export interface ClusterData {
  readonly members: readonly Member[];
  readonly removedIds: Iterable<NodeId>;
  readonly version: string | undefined;
}

interface V2Node {
  readonly Path: string;
  readonly CreatedIndex: number;
  readonly ModifiedIndex: number;
  readonly ExpireTime: string;
  readonly Value: string;
  readonly Children: Readonly<Record<string, V2Node>> | null;
}

/** What a snapshot's message carries: older members take the membership from here and not from the database behind it. */
export function dumpV2Store({ members, removedIds, version }: ClusterData): Uint8Array {
  const file = (Path: string, Value: string): V2Node => ({ ...NEVER, Path, Value, Children: null });
  const folder = (Path: string, nodes: readonly V2Node[]): V2Node => ({
    ...NEVER,
    Path,
    Value: "",
    Children: Object.fromEntries(nodes.map((node) => [node.Path.slice(node.Path.lastIndexOf("/") + 1), node])),
  });
  const memberFolders = members.map(({ ID, name, peerURLs, clientURLs, isLearner }) => {
    const path = `/0/members/${hexId(ID)}`;
    const files = [file(`${path}/raftAttributes`, JSON.stringify({ peerURLs, ...(isLearner && { isLearner }) }))];
    if (name !== "" || clientURLs.length > 0)
      files.push(file(`${path}/attributes`, JSON.stringify({ name, clientURLs })));
    return folder(path, files);
  });
  const removed = [...removedIds].map((id) => file(`/0/removed_members/${hexId(id)}`, ""));
  const cluster = [folder("/0/members", memberFolders)];
  if (removed.length > 0) cluster.push(folder("/0/removed_members", removed));
  if (version !== undefined) cluster.push(file(VERSION, version));
  const Root = folder("/", [folder("/0", cluster), folder("/1", [])]);
  return Buffer.from(JSON.stringify({ Root, CurrentIndex: members.length, CurrentVersion: 2 }));
}

const NEVER = { CreatedIndex: 0, ModifiedIndex: 0, ExpireTime: "0001-01-01T00:00:00Z" };

/** The cluster's version as a snapshot's message tells it: older members write it nowhere else. */
export function versionInV2Store(data: Uint8Array): string | undefined {
  if (data.length === 0) return undefined;
  try {
    const { Root } = JSON.parse(text(data)) as { readonly Root?: V2Node };
    return Root?.Children?.["0"]?.Children?.["version"]?.Value;
  } catch {
    return undefined; // Members without a v2 store may put anything there.
  }
}
