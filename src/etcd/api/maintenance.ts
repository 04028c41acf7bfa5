/** Upstream: server/etcdserver/api/v3rpc/maintenance.go */
import { ETCD_ERRORS, etcdError } from "../../protocols/etcd/errors.ts";
import type {
  AlarmRequest,
  AlarmResponse,
  DefragmentRequest,
  DefragmentResponse,
  DowngradeRequest,
  DowngradeResponse,
  HashKVRequest,
  HashKVResponse,
  HashRequest,
  HashResponse,
  MoveLeaderRequest,
  MoveLeaderResponse,
  SnapshotRequest,
  SnapshotResponse,
  StatusRequest,
  StatusResponse,
} from "../../protocols/etcd/generated.ts";
import type { Call, Init, ServerStream } from "../../wire/rpc/service.ts";
import { downgrade } from "../cluster/downgrade.ts";
import { ETCD_VERSION, type Member } from "../member.ts";
import { NONE } from "../../raft/types.ts";
import * as counted from "../metrics.ts";

export function maintenanceService(member: Member) {
  const { authenticator } = member;
  return {
    async Status(_request?: Init<StatusRequest>, call?: Call): Promise<StatusResponse> {
      await authenticator.require(call);
      return {
        header: member.header(),
        version: ETCD_VERSION,
        dbSize: member.sizeBytes,
        leader: member.leader,
        raftIndex: member.committedIndex,
        raftTerm: member.term,
        raftAppliedIndex: member.appliedIndex,
        errors: [
          ...(member.leader === NONE ? [ETCD_ERRORS.noLeader[1]] : []),
          ...member.alarms.raised.map(({ memberID, alarm }) =>
            [memberID === 0n ? "" : `memberID:${memberID}`, alarm === "NONE" ? "" : `alarm:${alarm}`]
              .filter(Boolean)
              .join(" "),
          ),
        ],
        dbSizeInUse: member.store.backend.inUseBytes,
        isLearner: member.isLearner,
        storageVersion: member.storageVersion,
        dbSizeQuota: member.options.quotaBackendBytes,
        downgradeInfo: member.membership.downgrade,
      };
    },

    async Alarm(request: Init<AlarmRequest>, call?: Call): Promise<AlarmResponse> {
      await ((request.action ?? "GET") === "GET" ? authenticator.require(call) : authenticator.requireAdmin(call));
      return (await member.proposeFor(call, { alarm: request })) as AlarmResponse;
    },

    async Defragment(_request?: Init<DefragmentRequest>, call?: Call): Promise<DefragmentResponse> {
      await authenticator.requireAdmin(call);
      await member.maintenance.defragment();
      return { header: undefined }; // Upstream says nothing, either.
    },

    async Hash(_request?: Init<HashRequest>, call?: Call): Promise<HashResponse> {
      await authenticator.requireAdmin(call);
      const { hash } = await member.maintenance.hash(counted.hashDuration, 0);
      return { header: member.header(), hash };
    },

    async HashKV({ revision = 0 }: Init<HashKVRequest>, call?: Call): Promise<HashKVResponse> {
      await authenticator.requireAdmin(call);
      const { hash, hashRevision, compactRevision } = await member.maintenance.hash(counted.hashRevDuration, revision);
      return {
        header: member.header(),
        hash,
        compact_revision: compactRevision,
        hash_revision: hashRevision,
      };
    },

    async MoveLeader({ targetID = 0n }: Init<MoveLeaderRequest> = {}, call?: Call): Promise<MoveLeaderResponse> {
      await authenticator.requireAdmin(call);
      if (!member.leadership.isLeader) throw etcdError("notLeader");
      await member.moveLeader(targetID);
      return { header: undefined }; // Upstream says nothing, either.
    },

    Snapshot: async (
      _request: Init<SnapshotRequest>,
      stream: ServerStream<never, SnapshotResponse>,
      call?: Call,
    ): Promise<void> => {
      await authenticator.requireAdmin(call);
      await member.maintenance.sendSnapshot(stream, call?.signal);
    },

    async Downgrade(
      { action = "VALIDATE", version = "" }: Init<DowngradeRequest> = {},
      call?: Call,
    ): Promise<DowngradeResponse> {
      await authenticator.requireAdmin(call);
      return { version: await downgrade(member, action, version), header: member.header() };
    },
  };
}
