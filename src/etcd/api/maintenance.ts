/** Upstream: server/etcdserver/api/v3rpc/maintenance.go */
import { etcdError } from "../../protocols/etcd/errors.ts";
import type {
  AlarmRequest,
  AlarmResponse,
  DefragmentResponse,
  HashKVRequest,
  HashKVResponse,
  HashResponse,
  StatusResponse,
} from "../../protocols/etcd/generated.ts";
import type { Init } from "../../wire/rpc/service.ts";
import { ETCD_VERSION, type Member } from "../member.ts";
import { hashKV } from "../mvcc/hash.ts";
import { notYet } from "./not-yet.ts";

export function maintenanceService(member: Member) {
  return {
    Status(): StatusResponse {
      return {
        header: member.header(),
        version: ETCD_VERSION,
        dbSize: member.sizeBytes,
        leader: member.id,
        raftIndex: member.appliedIndex,
        raftTerm: member.term,
        raftAppliedIndex: member.appliedIndex,
        errors: member.alarms.raised.map(({ memberID, alarm }) => `memberID:${memberID} alarm:${alarm} `),
        dbSizeInUse: member.sizeBytes,
        isLearner: false,
        storageVersion: member.clusterVersion,
        dbSizeQuota: member.options.quotaBackendBytes,
        downgradeInfo: { enabled: false, targetVersion: "" },
      };
    },

    Alarm(request: Init<AlarmRequest>): Promise<AlarmResponse> {
      return member.propose({ alarm: request }) as Promise<AlarmResponse>;
    },

    /** Memory has no holes to close. The bbolt file will. */
    Defragment(): DefragmentResponse {
      return { header: member.header() };
    },

    Hash(): HashResponse {
      return { header: member.header(), hash: hashKV(member.store, 0, member.codec) };
    },

    HashKV({ revision = 0 }: Init<HashKVRequest>): HashKVResponse {
      const { store } = member;
      store.checkReadable(revision);
      const hashRevision = revision > 0 ? revision : store.revision;
      return {
        header: member.header(),
        hash: hashKV(store, hashRevision, member.codec),
        compact_revision: store.compactRevision,
        hash_revision: hashRevision,
      };
    },

    MoveLeader(): never {
      throw etcdError("badLeaderTransferee"); // There is nobody to move to.
    },

    /** A snapshot is a bbolt file, and there is no backend that writes one. */
    Snapshot: notYet("etcdserverpb.Maintenance", "Snapshot"),
    Downgrade: notYet("etcdserverpb.Maintenance", "Downgrade"),
  };
}
