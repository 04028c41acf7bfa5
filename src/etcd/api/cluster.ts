/** Upstream: server/etcdserver/api/v3rpc/member.go */
import type {
  MemberAddRequest,
  MemberAddResponse,
  MemberListRequest,
  MemberListResponse,
  MemberPromoteRequest,
  MemberPromoteResponse,
  MemberRemoveRequest,
  MemberRemoveResponse,
  MemberUpdateRequest,
  MemberUpdateResponse,
} from "../../protocols/etcd/generated.ts";
import type { Call, Init } from "../../wire/rpc/service.ts";
import type { Member } from "../member.ts";

export function clusterService(member: Member) {
  const { authenticator, reconfigure } = member;
  // Headers of this service tell no revision, as upstream's.
  const header = () => member.header(0);
  return {
    async MemberList({ linearizable = false }: Init<MemberListRequest> = {}, call?: Call): Promise<MemberListResponse> {
      if (linearizable) await member.linearizable();
      await authenticator.require(call);
      return { header: header(), members: member.members };
    },

    async MemberAdd(
      { peerURLs = [], isLearner = false }: Init<MemberAddRequest> = {},
      call?: Call,
    ): Promise<MemberAddResponse> {
      await authenticator.requireAdmin(call);
      const added = await reconfigure.add(peerURLs, isLearner);
      return { header: header(), member: added, members: member.members };
    },

    async MemberRemove({ ID = 0n }: Init<MemberRemoveRequest> = {}, call?: Call): Promise<MemberRemoveResponse> {
      await authenticator.requireAdmin(call);
      await reconfigure.remove(ID);
      return { header: header(), members: member.members };
    },

    async MemberUpdate(
      { ID = 0n, peerURLs = [] }: Init<MemberUpdateRequest> = {},
      call?: Call,
    ): Promise<MemberUpdateResponse> {
      await authenticator.requireAdmin(call);
      await reconfigure.update(ID, peerURLs);
      return { header: header(), members: member.members };
    },

    async MemberPromote({ ID = 0n }: Init<MemberPromoteRequest> = {}, call?: Call): Promise<MemberPromoteResponse> {
      await authenticator.requireAdmin(call);
      const token = call?.metadata["token"] ?? call?.metadata["authorization"];
      return { header: header(), members: await reconfigure.promote(ID, token) };
    },
  };
}
