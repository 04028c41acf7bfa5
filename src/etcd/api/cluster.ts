/** Upstream: server/etcdserver/api/v3rpc/member.go */
import type { MemberListRequest, MemberListResponse } from "../../protocols/etcd/generated.ts";
import type { Call, Init } from "../../wire/rpc/service.ts";
import type { Member } from "../member.ts";
import { notYet } from "./not-yet.ts";

export function clusterService(member: Member) {
  return {
    async MemberList({ linearizable = false }: Init<MemberListRequest> = {}, call?: Call): Promise<MemberListResponse> {
      if (linearizable) await member.linearizable();
      await member.authenticator.require(call);
      // Headers of this service tell no revision, as upstream's.
      return { header: member.header(0), members: member.members };
    },

    MemberAdd: notYet("etcdserverpb.Cluster", "MemberAdd"),
    MemberRemove: notYet("etcdserverpb.Cluster", "MemberRemove"),
    MemberUpdate: notYet("etcdserverpb.Cluster", "MemberUpdate"),
    MemberPromote: notYet("etcdserverpb.Cluster", "MemberPromote"),
  };
}
