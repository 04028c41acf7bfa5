/** Elections: the oldest candidate leads until its key is gone. Upstream: server/etcdserver/api/v3election/election.go */
import type {
  ResponseHeader,
  V3electionpbCampaignRequest as CampaignRequest,
  V3electionpbCampaignResponse as CampaignResponse,
  V3electionpbLeaderKey as LeaderKey,
  V3electionpbLeaderRequest as LeaderRequest,
  V3electionpbLeaderResponse as LeaderResponse,
  V3electionpbProclaimRequest as ProclaimRequest,
  V3electionpbProclaimResponse as ProclaimResponse,
  V3electionpbResignRequest as ResignRequest,
  V3electionpbResignResponse as ResignResponse,
} from "../../protocols/etcd/generated.ts";
import { RpcError, type Call, type Init, type ServerStream } from "../../wire/rpc/service.ts";
import { asClient, detached, oldest, sessionLease, takePlace, waitForTurn, watch, type Ground } from "./concurrency.ts";

const NOTHING = new Uint8Array(0);
const prefixOf = (name: Uint8Array): Uint8Array => Buffer.concat([name, Buffer.from("/")]);

export function electionService(ground: Ground) {
  /** Only who made the key at that revision may still change it. */
  async function ifLeader(
    { key = NOTHING, rev = 0 }: Init<LeaderKey>,
    change: { readonly put: Uint8Array; readonly lease: bigint } | "delete",
    call: Call,
  ): Promise<{ readonly header: ResponseHeader; readonly held: boolean }> {
    const { succeeded, header } = await ground.kv.Txn(
      {
        compare: [{ key, target: "CREATE", result: "EQUAL", create_revision: rev }],
        success: [
          change === "delete"
            ? { request_delete_range: { key } }
            : { request_put: { key, value: change.put, lease: change.lease } },
        ],
      },
      call,
    );
    return { header: header!, held: succeeded };
  }

  async function proclaim(leader: Init<LeaderKey>, value: Uint8Array, call: Call): Promise<ResponseHeader> {
    const { header, held } = await ifLeader(leader, { put: value, lease: leader.lease ?? 0n }, call);
    if (!held) throw new RpcError("Unknown", "election: not leader");
    return header;
  }

  return {
    /** Answers when the caller leads. A caller that leaves before is no candidate any more. */
    Campaign: (request: Init<CampaignRequest>, call: Call): Promise<CampaignResponse> =>
      asClient(async () => {
        const { name = NOTHING, value = NOTHING } = request;
        const prefix = prefixOf(name);
        const lease = await sessionLease(ground, request.lease ?? 0n, call);
        const place = await takePlace(ground, prefix, lease, value, call);
        const leader: LeaderKey = { name, key: place.key, rev: place.revision, lease };
        try {
          if (place.before !== undefined && Buffer.compare(place.before, value) !== 0)
            await proclaim(leader, value, call);
          await waitForTurn(ground, prefix, place.revision, call);
        } catch (error) {
          await ifLeader(leader, "delete", detached(call));
          throw error;
        }
        return { header: place.header, leader };
      }),

    Proclaim: ({ leader, value = NOTHING }: Init<ProclaimRequest>, call: Call): Promise<ProclaimResponse> =>
      asClient(async () => ({ header: await proclaim(given(leader), value, call) })),

    Resign: ({ leader }: Init<ResignRequest>, call: Call): Promise<ResignResponse> =>
      asClient(async () => ({ header: (await ifLeader(given(leader), "delete", call)).header })),

    Leader: ({ name = NOTHING }: Init<LeaderRequest>, call: Call): Promise<LeaderResponse> =>
      asClient(async () => {
        const { header, kvs } = await oldest(ground, prefixOf(name), call);
        if (kvs.length === 0) throw new RpcError("Unknown", "election: no leader");
        return { header, kv: kvs[0] };
      }),

    /** Tells who leads now and what it says, and then each that follows. What changed and was overtaken may be left out. */
    Observe: (
      { name = NOTHING }: Init<LeaderRequest>,
      stream: ServerStream<never, LeaderResponse>,
      call: Call,
    ): Promise<void> =>
      asClient(async () => {
        const prefix = prefixOf(name);
        const send = async (header: ResponseHeader | undefined, kv: LeaderResponse["kv"]) => {
          if (!stream.send({ header, kv })) await stream.drained;
        };
        for (;;) {
          const { header, kvs } = await oldest(ground, prefix, call);
          let leader = kvs[0];
          let at = header!;
          if (leader === undefined) {
            // The first put from here on. `/` is followed by `0`.
            const end = Buffer.concat([name, Buffer.from("0")]);
            const candidates = watch(ground, { key: prefix, range_end: end, start_revision: at.revision }, call);
            for await (const answer of candidates) {
              leader = answer.events.find(({ type }) => type === "PUT")?.kv;
              if (leader === undefined) continue;
              at = { ...answer.header!, revision: leader.mod_revision };
              break;
            }
          }
          await send(at, leader);
          const changes = watch(ground, { key: leader!.key, start_revision: at.revision + 1 }, call);
          following: for await (const answer of changes)
            for (const { type, kv } of answer.events) {
              if (type === "DELETE") break following;
              await send(answer.header, kv);
            }
        }
      }),
  };
}

function given(leader: Init<LeaderKey> | undefined): Init<LeaderKey> {
  if (leader === undefined) throw new RpcError("Unknown", '"leader" field must be provided');
  return leader;
}
