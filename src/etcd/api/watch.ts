/** Upstream: server/etcdserver/api/v3rpc/watch.go */
import { deferred } from "../../base/deferred.ts";
import { etcdError } from "../../protocols/etcd/errors.ts";
import type { WatchCreateRequest, WatchRequest, WatchResponse } from "../../protocols/etcd/generated.ts";
import { RpcError, type Call, type Init, type ServerStream } from "../../wire/rpc/service.ts";
import { checkRangeAllowed } from "../auth/checks.ts";
import { NOBODY } from "../auth/store.ts";
import type { Member } from "../member.ts";

/** `prepare` is what a wire makes of an answer; in this process it goes over as it is. */
export function watchService(member: Member, prepare?: (response: WatchResponse) => Init<WatchResponse>) {
  return {
    async Watch(stream: ServerStream<Init<WatchRequest>, WatchResponse>, call: Call): Promise<void> {
      const watching = member.watchable.open({
        send: (response) => stream.send(prepare === undefined ? response : prepare(response)),
        get drained() {
          return stream.drained;
        },
      });
      const serve = async (): Promise<never> => {
        for await (const request of stream) {
          if (request.create_request !== undefined) {
            const refusal = member.auth.enabled ? await whyNot(member, request.create_request, call) : undefined;
            watching.create(request.create_request, refusal);
          } else if (request.cancel_request !== undefined) watching.cancel(request.cancel_request.watch_id ?? 0n);
          else if (request.progress_request !== undefined) watching.requestProgress();
        }
        // The client says no more; its watchers go on until it leaves.
        await aborted(call.signal);
        throw etcdError("watchCanceled");
      };
      const stopped = deferred<never>();
      const stop = () => stopped.reject(member.closing.reason);
      member.closing.addEventListener("abort", stop, { once: true });
      try {
        await Promise.race([serve(), stopped.promise]);
      } finally {
        member.closing.removeEventListener("abort", stop);
        watching.close();
      }
    },
  };
}

/** Why a user may not watch. Looked at before the range is: one that goes on to the end of all keys is no single key. */
async function whyNot(member: Member, request: Init<WatchCreateRequest>, call: Call): Promise<string | undefined> {
  try {
    const info = (await member.authenticator.infoOf(call)) ?? NOBODY;
    const key = request.key?.length ? request.key : Uint8Array.of(0);
    checkRangeAllowed(member, info, { key, range_end: request.range_end });
    return undefined;
  } catch (error) {
    if (!(error instanceof RpcError)) throw error;
    return `rpc error: code = ${error.code} desc = ${error.message}`;
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}
