/**
 * Compacts etcd every five minutes. Several servers agree on which of them does it through a key: the first to write it wins.
 * Upstream: pkg/storage/etcd3/compact.go.
 */
import type { EtcdClient } from "../../protocols/etcd/client.ts";
import type { Logger } from "../../observe/log.ts";
import { pause } from "../../world/time.ts";
import type { Clock } from "../../world/world.ts";

const KEY = new TextEncoder().encode("compact_rev_key");

export async function compactRegularly(
  { etcd, clock, log }: { readonly etcd: EtcdClient; readonly clock: Clock; readonly log: Logger },
  intervalMs: number,
  signal: AbortSignal,
  /** Told of revisions before which there is nothing, whoever saw to that. */
  compacted: (revision: number) => void,
): Promise<void> {
  let version = 0;
  let revision = 0;
  while (await pause(clock, intervalMs, signal)) {
    try {
      const before = revision;
      const answer = await etcd.kv.Txn({
        compare: [{ key: KEY, target: "VERSION", result: "EQUAL", version }],
        success: [{ request_put: { key: KEY, value: new TextEncoder().encode(String(before)) } }],
        failure: [{ request_range: { key: KEY } }],
      });
      revision = answer.header!.revision;
      if (answer.succeeded) {
        version++;
        if (before > 0) {
          await etcd.kv.Compact({ revision: before });
          compacted(before);
        }
      } else {
        const theirs = answer.responses[0]?.response_range?.kvs[0];
        version = theirs?.version ?? 0;
        compacted(Number(Buffer.from(theirs?.value ?? []).toString()) || 0);
      }
    } catch (error) {
      if (!signal.aborted) log.error("Compaction failed", error);
    }
  }
}
