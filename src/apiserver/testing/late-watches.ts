/** An etcd whose watches tell what happened some time after the writer has its answer, as one in another process may. */
import { deferred } from "../../base/deferred.ts";
import type { EtcdClient } from "../../protocols/etcd/client.ts";
import type { WatchResponse } from "../../protocols/etcd/generated.ts";

/** What comes is told in order, each when what `delay` gave as it came is over. */
export function lateWatches(etcd: EtcdClient, delay: () => Promise<void>): EtcdClient {
  const Watch: EtcdClient["watch"]["Watch"] = (options) => {
    const stream = etcd.watch.Watch(options);
    return {
      send: (request) => stream.send(request),
      end: () => stream.end(),
      cancel: () => stream.cancel(),
      async *[Symbol.asyncIterator]() {
        const coming: { readonly response: WatchResponse; readonly due: Promise<void> }[] = [];
        let isOver = false;
        let news = deferred();
        const end = (async () => {
          try {
            for await (const response of stream) {
              coming.push({ response, due: delay() });
              news.resolve();
            }
          } finally {
            isOver = true;
            news.resolve();
          }
        })();
        end.catch(() => {}); // It is thrown below, to who reads.
        while (!isOver || coming.length > 0) {
          const next = coming.shift();
          if (next === undefined) {
            news = deferred();
            await news.promise;
            continue;
          }
          await next.due;
          yield next.response;
        }
        await end;
      },
    };
  };
  return { ...etcd, watch: { ...etcd.watch, Watch } };
}
