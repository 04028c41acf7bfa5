/** Upstream: server/etcdserver/api/v3rpc/lease.go */
import type {
  LeaseGrantRequest,
  LeaseGrantResponse,
  LeaseKeepAliveRequest,
  LeaseKeepAliveResponse,
  LeaseLeasesRequest,
  LeaseLeasesResponse,
  LeaseRevokeRequest,
  LeaseRevokeResponse,
  LeaseTimeToLiveRequest,
  LeaseTimeToLiveResponse,
} from "../../protocols/etcd/generated.ts";
import type { Call, Init, ServerStream } from "../../wire/rpc/service.ts";
import type { Random } from "../../world/world.ts";
import { checkLeaseReadable, checkLeaseWritable } from "../auth/checks.ts";
import type { AuthInfo } from "../auth/store.ts";
import type { Member } from "../member.ts";

export function leaseService(member: Member, random: Random) {
  const { auth, authenticator, lessor } = member;
  return {
    async LeaseGrant(request: Init<LeaseGrantRequest>, call?: Call): Promise<LeaseGrantResponse> {
      const { ID = 0n, TTL = 0 } = request;
      member.checkQuota(64);
      await authenticator.require(call);
      const lease_grant = { ID: ID === 0n ? freeId(member, random) : ID, TTL };
      return (await member.proposeFor(call, { lease_grant })) as LeaseGrantResponse;
    },

    async LeaseRevoke({ ID = 0n }: Init<LeaseRevokeRequest>, call?: Call): Promise<LeaseRevokeResponse> {
      await authenticator.require(call);
      return (await member.proposeFor(call, { lease_revoke: { ID } })) as LeaseRevokeResponse;
    },

    async LeaseKeepAlive(
      stream: ServerStream<Init<LeaseKeepAliveRequest>, LeaseKeepAliveResponse>,
      call?: Call,
    ): Promise<void> {
      for await (const { ID = 0n } of stream) {
        // The header is from before the renewal; a missing lease is TTL 0 and no error.
        const header = member.header();
        if (auth.enabled) {
          await authenticator.require(call);
          await authenticator.read(
            call,
            (info) => checkLeaseWritable(member, info, ID),
            () => {},
          );
        }
        const TTL = (await member.leases.renew(ID)) ?? 0;
        if (!stream.send({ header, ID, TTL })) await stream.drained;
      }
    },

    async LeaseTimeToLive(
      { ID = 0n, keys = false }: Init<LeaseTimeToLiveRequest>,
      call?: Call,
    ): Promise<LeaseTimeToLiveResponse> {
      await authenticator.require(call);
      const header = member.header();
      const lease = lessor.get(ID);
      const times = await authenticator.read(
        call,
        (info) => keys && lease && checkLeaseReadable(auth, info, lease),
        () => member.leases.timeToLive(ID, keys),
      );
      if (times === undefined) return { header, ID, TTL: -1, grantedTTL: 0, keys: [] };
      return { header, ID, TTL: times.ttl, grantedTTL: times.grantedTtl, keys: times.keys };
    },

    async LeaseLeases(_request?: Init<LeaseLeasesRequest>, call?: Call): Promise<LeaseLeasesResponse> {
      await authenticator.require(call);
      // The caller sees no lease at all if there is one key that the caller may not read.
      const check = (info: AuthInfo) => {
        for (const lease of lessor.all) checkLeaseReadable(auth, info, lease);
      };
      await authenticator.read(call, check, () => {});
      const leases = [...lessor.all].sort((a, b) => a.expiresAtMs - b.expiresAtMs);
      return { header: member.header(), leases: leases.map(({ id }) => ({ ID: id })) };
    },
  };
}

/** A positive number of 63 bits that no lease has. */
function freeId(member: Member, random: Random): bigint {
  for (;;) {
    const id = Buffer.from(random.bytes(8)).readBigUInt64BE() & 0x7fff_ffff_ffff_ffffn;
    if (id !== 0n && member.lessor.get(id) === undefined) return id;
  }
}
