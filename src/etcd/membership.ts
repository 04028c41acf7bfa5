/**
 * Who the members are, and how identifiers come about: a member's from its peer URLs and the cluster's token, the cluster's from its members.
 *
 * Upstream: server/etcdserver/api/membership/member.go, cluster.go
 */
import { createHash } from "node:crypto";
import type { Member } from "../protocols/etcd/generated.ts";

export function memberId(peerUrls: readonly string[], clusterToken: string): bigint {
  return firstBytes(
    createHash("sha1")
      .update([...peerUrls].sort().join(""))
      .update(clusterToken)
      .digest(),
  );
}

export function clusterId(memberIds: readonly bigint[]): bigint {
  const ids = Buffer.alloc(8 * memberIds.length);
  [...memberIds].sort((a, b) => (a < b ? -1 : 1)).forEach((id, i) => ids.writeBigUInt64BE(id, 8 * i));
  return firstBytes(createHash("sha1").update(ids).digest());
}

/** What the configuration change of a new member carries, in upstream's JSON. */
export function memberContext(member: Member): Uint8Array {
  const { ID, peerURLs, name } = member;
  // The id is a number of 64 bits: JSON.stringify would need it rounded or quoted.
  return Buffer.from(`{"id":${ID},"peerURLs":${JSON.stringify(peerURLs)},"name":${JSON.stringify(name)}}`);
}

export function parseMemberContext(context: Uint8Array): Member {
  const text = Buffer.from(context).toString();
  const ID = BigInt(/"id":(\d+)/.exec(text)?.[1] ?? "0");
  const { peerURLs = [], name = "", clientURLs = [], isLearner = false } = JSON.parse(text) as Partial<Member>;
  return { ID, name, peerURLs, clientURLs, isLearner };
}

function firstBytes(digest: Buffer): bigint {
  return digest.readBigUInt64BE(0);
}
