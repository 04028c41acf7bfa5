/** Upstream: server/etcdserver/api/v3rpc/member.go */
import type { MemberListResponse } from "../../protocols/etcd/generated.ts";
import type { Member } from "../member.ts";

export function clusterService(member: Member) {
  return {
    MemberList(): MemberListResponse {
      // Headers of this service tell no revision, as upstream's.
      return { header: member.header(0), members: member.members };
    },
  };
}
