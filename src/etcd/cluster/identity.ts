/**
 * How identifiers are computed: a member's from its peer URLs and the cluster's token (and the time at which it was added), the cluster's from its
 * members. Also the form in which upstream writes a member into configuration changes and the bucket `members`.
 * Upstream: server/etcdserver/api/membership/member.go
 */
import { createHash } from "node:crypto";
import type { Member } from "../../protocols/etcd/generated.ts";

/** `unixSeconds` only for a member that is added to a running cluster: the same URLs give another id then. */
export function memberId(peerUrls: readonly string[], clusterToken: string, unixSeconds?: number): bigint {
  const hash = createHash("sha1")
    .update([...peerUrls].sort().join(""))
    .update(clusterToken);
  if (unixSeconds !== undefined) hash.update(String(unixSeconds));
  return hash.digest().readBigUInt64BE(0);
}

export function clusterId(memberIds: readonly bigint[]): bigint {
  const ids = Buffer.alloc(8 * memberIds.length);
  [...memberIds].sort((a, b) => (a < b ? -1 : 1)).forEach((id, i) => ids.writeBigUInt64BE(id, 8 * i));
  return createHash("sha1").update(ids).digest().readBigUInt64BE(0);
}

/** As upstream prints ids: in logs, metrics, headers and bucket keys. */
export function hexId(id: bigint): string {
  return id.toString(16);
}

/** Undefined where the text is no id. */
export function parseHexId(text: string): bigint | undefined {
  return /^[0-9a-fA-F]{1,16}$/.test(text) ? BigInt(`0x${text}`) : undefined;
}

/** A member in upstream's JSON. The id is a number of 64 bits, which JSON.stringify would round or quote. */
export function memberJson(member: Member, more: Readonly<Record<string, unknown>> = {}): string {
  const { ID, peerURLs, name, clientURLs, isLearner } = member;
  const rest = {
    peerURLs,
    ...(isLearner && { isLearner }),
    ...(name !== "" && { name }),
    ...(clientURLs.length > 0 && { clientURLs }),
    ...more,
  };
  return `{"id":${ID},${asGo(JSON.stringify(rest)).slice(1)}`;
}

/** What the configuration change of a new or promoted member carries. */
export function memberContext(member: Member, isPromote?: boolean): Uint8Array {
  return Buffer.from(memberJson(member, isPromote === undefined ? {} : { isPromote }));
}

export function parseMemberContext(context: Uint8Array): Member & { readonly isPromote: boolean } {
  const text = Buffer.from(context.buffer, context.byteOffset, context.byteLength).toString();
  const { peerURLs, name, clientURLs, isLearner, isPromote } = fieldsOf(text);
  return {
    ID: BigInt.asUintN(64, BigInt(/"id":(\d+)/.exec(text)?.[1] ?? "0")),
    name: typeof name === "string" ? name : "",
    peerURLs: strings(peerURLs, text),
    clientURLs: strings(clientURLs, text),
    isLearner: isLearner === true,
    isPromote: isPromote === true,
  };
}

function fieldsOf(text: string): { readonly [Name in keyof Member | "isPromote"]?: unknown } {
  let fields: unknown;
  try {
    fields = JSON.parse(text);
  } catch (error) {
    throw new Error(`failed to unmarshal member ${JSON.stringify(text)}`, { cause: error });
  }
  return typeof fields === "object" && fields !== null ? fields : {};
}

function strings(list: unknown, text: string): readonly string[] {
  if (list === undefined || list === null) return [];
  if (!Array.isArray(list) || !list.every((one) => typeof one === "string"))
    throw new Error(`failed to unmarshal member ${JSON.stringify(text)}`);
  return list;
}

/** Go's encoder writes these three escaped. */
function asGo(json: string): string {
  return json.replace(/[<>&]/g, (char) => `\\u00${char.charCodeAt(0).toString(16)}`);
}
