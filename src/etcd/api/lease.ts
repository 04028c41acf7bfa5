/** Upstream: server/etcdserver/api/v3rpc/lease.go */
import type {
  LeaseGrantRequest,
  LeaseGrantResponse,
  LeaseKeepAliveRequest,
  LeaseKeepAliveResponse,
  LeaseLeasesResponse,
  LeaseRevokeRequest,
  LeaseRevokeResponse,
  LeaseTimeToLiveRequest,
  LeaseTimeToLiveResponse,
} from "../../protocols/etcd/generated.ts";
import type { Init, ServerStream } from "../../wire/rpc/service.ts";
import type { Random } from "../../world/world.ts";
import type { Member } from "../member.ts";
import { keyBytes } from "../mvcc/key-text.ts";

export function leaseService(member: Member, random: Random) {
  const { lessor } = member;
  return {
    LeaseGrant(request: Init<LeaseGrantRequest>): Promise<LeaseGrantResponse> {
      const { ID = 0n, TTL = 0 } = request;
      member.checkQuota(64);
      return member.propose({
        lease_grant: { ID: ID === 0n ? freeId(member, random) : ID, TTL },
      }) as Promise<LeaseGrantResponse>;
    },

    LeaseRevoke({ ID = 0n }: Init<LeaseRevokeRequest>): Promise<LeaseRevokeResponse> {
      return member.propose({ lease_revoke: { ID } }) as Promise<LeaseRevokeResponse>;
    },

    async LeaseKeepAlive(stream: ServerStream<Init<LeaseKeepAliveRequest>, LeaseKeepAliveResponse>): Promise<void> {
      for await (const { ID = 0n } of stream) {
        // The header is from before the renewal; a missing lease is TTL 0 and no error.
        const header = member.header();
        if (!stream.send({ header, ID, TTL: lessor.renew(ID) ?? 0 })) await stream.drained;
      }
    },

    LeaseTimeToLive({ ID = 0n, keys = false }: Init<LeaseTimeToLiveRequest>): LeaseTimeToLiveResponse {
      const header = member.header();
      const lease = lessor.get(ID);
      if (lease === undefined) return { header, ID, TTL: -1, grantedTTL: 0, keys: [] };
      return {
        header,
        ID,
        TTL: lessor.remaining(lease),
        grantedTTL: lease.ttl,
        keys: keys ? [...lease.keys].sort().map(keyBytes) : [],
      };
    },

    LeaseLeases(): LeaseLeasesResponse {
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
