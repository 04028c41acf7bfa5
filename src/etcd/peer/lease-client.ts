/** Asks the leader about leases on behalf of a follower's clients. Upstream: server/lease/leasehttp (RenewHTTP, TimeToLiveHTTP) */
import { etcdError } from "../../protocols/etcd/errors.ts";
import {
  LeaseKeepAliveRequest,
  LeaseKeepAliveResponse,
  LeasepbLeaseInternalRequest,
  LeasepbLeaseInternalResponse,
  type Member as MemberInfo,
} from "../../protocols/etcd/generated.ts";
import type { Codec } from "../../wire/rpc/codec.ts";
import type { Remotes } from "../cluster/remote.ts";
import type { LeaseForwarder } from "../lease/keeper.ts";

export function leaseForwarder(remotes: Remotes, codec: Codec): LeaseForwarder {
  /** Undefined where there is no such lease. */
  const post = async (leader: MemberInfo, path: string, body: Uint8Array): Promise<Buffer | undefined> => {
    const answer = await remotes.ask(leader, {
      method: "POST",
      path,
      headers: { "content-type": "application/protobuf" },
      body,
    });
    if (answer === undefined) throw etcdError("timeout");
    if (answer.status === 404) return undefined;
    if (answer.status !== 200) throw new Error(`lease: unknown error(${answer.body.toString().trim()})`);
    return answer.body;
  };
  return {
    async renew(leader, ID) {
      const body = await post(leader, "/leases", codec.encode(LeaseKeepAliveRequest, { ID }));
      if (body === undefined) return undefined;
      const answer = codec.decode(LeaseKeepAliveResponse, body);
      if (answer.ID !== ID) throw new Error("lease: renew id mismatch");
      return answer.TTL;
    },
    async timeToLive(leader, ID, keys) {
      const request = codec.encode(LeasepbLeaseInternalRequest, { LeaseTimeToLiveRequest: { ID, keys } });
      const body = await post(leader, "/leases/internal", request);
      if (body === undefined) return undefined;
      const { LeaseTimeToLiveResponse: times } = codec.decode(LeasepbLeaseInternalResponse, body);
      if (times?.ID !== ID) throw new Error("lease: TTL id mismatch");
      return { id: ID, ttl: times.TTL, grantedTtl: times.grantedTTL, keys: times.keys };
    },
  };
}
