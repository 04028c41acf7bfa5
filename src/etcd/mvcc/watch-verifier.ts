/**
 * Invariants of the responses on one watch stream. Upstream verifies them of itself with `ETCD_VERIFY=all`: client/pkg/verify,
 * server/etcdserver/api/v3rpc/watch.go
 */
import { assert } from "../../base/assert.ts";
import type { WatchResponse } from "../../protocols/etcd/generated.ts";

const NO_WATCHER = -1n;

export class WatchVerifier {
  /** The least revision that each watcher may be sent. */
  readonly #next = new Map<bigint, number>();

  /** Throws an `InvariantError` at the first answer that can't be. */
  check({ watch_id: id, created, canceled, compact_revision, events, header, fragment }: WatchResponse): void {
    assert(!(created && canceled) || id === NO_WATCHER, `watcher ${id} is created and canceled in one answer`);
    if (created && !canceled) {
      assert(!this.#next.has(id), `watcher ${id} is created twice`);
      this.#next.set(id, 1);
      return;
    }
    if (id === NO_WATCHER) return;
    let next = this.#next.get(id);
    assert(next !== undefined, `watcher ${id} is answered before it is created`);
    for (const { kv } of events) {
      const revision = kv!.mod_revision;
      assert(revision >= next, `watcher ${id} is sent revision ${revision} after ${next - 1}`);
      next = revision;
    }
    if (events.length > 0)
      assert(header !== undefined && header.revision >= next, `watcher ${id} is sent revision ${next} from the future`);
    // Events of one revision come together, but for parts of an answer that was too large.
    // One that a compaction ended is told nothing more, but that the client has cancelled it, too.
    if (canceled && compact_revision !== 0) this.#next.set(id, Infinity);
    else if (canceled) this.#next.delete(id);
    else this.#next.set(id, events.length > 0 && !fragment ? next + 1 : next);
  }
}
