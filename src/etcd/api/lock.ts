/** Locks, held while the holder's lease lives or until they are released. Upstream: server/etcdserver/api/v3lock/lock.go */
import type {
  V3lockpbLockRequest as LockRequest,
  V3lockpbLockResponse as LockResponse,
  V3lockpbUnlockRequest as UnlockRequest,
  V3lockpbUnlockResponse as UnlockResponse,
} from "../../protocols/etcd/generated.ts";
import { RpcError, type Call, type Init } from "../../wire/rpc/service.ts";
import { asClient, detached, sessionLease, takePlace, waitForTurn, type Ground } from "./concurrency.ts";

const NOTHING = new Uint8Array(0);

export function lockService(ground: Ground) {
  return {
    /** Answers when the lock is the caller's. A caller that leaves before gives up its place. */
    Lock: ({ name = NOTHING, lease = 0n }: Init<LockRequest>, call: Call): Promise<LockResponse> =>
      asClient(async () => {
        const prefix = Buffer.concat([name, Buffer.from("/")]);
        const place = await takePlace(ground, prefix, await sessionLease(ground, lease, call), NOTHING, call);
        try {
          await waitForTurn(ground, prefix, place.revision, call);
          const { kvs, header } = await ground.kv.Range({ key: place.key }, call);
          if (kvs.length === 0) throw new RpcError("Unknown", "mutex: session is expired");
          return { header, key: place.key };
        } catch (error) {
          await ground.kv.DeleteRange({ key: place.key }, detached(call));
          throw error;
        }
      }),

    Unlock: ({ key = NOTHING }: Init<UnlockRequest>, call: Call): Promise<UnlockResponse> =>
      asClient(async () => ({ header: (await ground.kv.DeleteRange({ key }, call)).header })),
  };
}
