/**
 * Counts for one resource's storage: events, initializations, lists. They are plain numbers that are read when metrics are scraped.
 * Upstream: pkg/storage/cacher/metrics, pkg/storage/etcd3/metrics
 */
import { counter, Distribution, gauge, histogram, type Reading } from "../../observe/metrics.ts";

const KIND = ["group", "resource"] as const;
const WAIT_SECONDS = [0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 1.25, 1.5, 2, 3];

const received = counter("apiserver_storage_events_received_total", {
  help: "Number of etcd events received split by kind.",
  labels: KIND,
  stability: "BETA",
});
const bookmarks = counter("etcd_bookmark_total", {
  help: "Number of etcd bookmarks (progress notify events) split by kind.",
  labels: KIND,
});
const cacheReceived = counter("apiserver_watch_cache_events_received_total", {
  help: "Counter of events received in watch cache broken by resource type.",
  labels: KIND,
});
const dispatched = counter("apiserver_watch_cache_events_dispatched_total", {
  help: "Counter of events dispatched in watch cache broken by resource type.",
  labels: KIND,
});
const initial = counter("apiserver_init_events_total", {
  help: "Counter of init events processed in watch cache broken by resource type.",
  labels: KIND,
});
const initializations = counter("apiserver_watch_cache_initializations_total", {
  help: "Counter of watch cache initializations broken by resource type.",
  labels: KIND,
});
const capacity = gauge("watch_cache_capacity", {
  help: "Total capacity of watch cache broken by resource type.",
  labels: KIND,
});
const readWait = histogram("apiserver_watch_cache_read_wait_seconds", {
  help: "Histogram of time spent waiting for a watch cache to become fresh.",
  labels: KIND,
  buckets: WAIT_SECONDS,
});
const cacheLists = counter("apiserver_cache_list_total", {
  help: "Number of LIST requests served from watch cache",
  labels: [...KIND, "index"],
});
const cacheFetched = counter("apiserver_cache_list_fetched_objects_total", {
  help: "Number of objects read from watch cache in the course of serving a LIST request",
  labels: [...KIND, "index"],
});
const cacheReturned = counter("apiserver_cache_list_returned_objects_total", {
  help: "Number of objects returned for a LIST request from watch cache",
  labels: KIND,
});
const consistent = counter("apiserver_watch_cache_consistent_read_total", {
  help: "Counter for consistent reads from cache.",
  labels: [...KIND, "success", "fallback"],
});
const storageLists = counter("apiserver_storage_list_total", {
  help: "Number of LIST requests served from storage",
  labels: KIND,
});
const storageFetched = counter("apiserver_storage_list_fetched_objects_total", {
  help: "Number of objects read from storage in the course of serving a LIST request",
  labels: KIND,
});
const storageEvaluated = counter("apiserver_storage_list_evaluated_objects_total", {
  help: "Number of objects tested in the course of serving a LIST request from storage",
  labels: KIND,
});
const storageReturned = counter("apiserver_storage_list_returned_objects_total", {
  help: "Number of objects returned for a LIST request from storage",
  labels: KIND,
});

export class StorageCounts {
  received = 0;
  bookmarks = 0;
  /** Events that watches began with. */
  initial = 0;
  initializations = 0;
  /** How many events are kept, at least. */
  capacity = 0;
  readonly readWait = new Distribution(WAIT_SECONDS);
  readonly #cache = { lists: 0, fetched: 0, returned: 0 };
  readonly #etcd = { lists: 0, fetched: 0, returned: 0 };
  readonly #consistent = { served: 0, fellBack: 0 };

  listed(from: "cache" | "etcd", fetched: number, returned: number): void {
    const counts = from === "cache" ? this.#cache : this.#etcd;
    counts.lists++;
    counts.fetched += fetched;
    counts.returned += returned;
  }

  consistent(fellBack: boolean): void {
    this.#consistent[fellBack ? "fellBack" : "served"]++;
  }

  *readings(group: string, resource: string): Iterable<Reading> {
    const labels = { group, resource };
    yield { metric: received, labels, value: this.received };
    yield { metric: bookmarks, labels, value: this.bookmarks };
    yield { metric: cacheReceived, labels, value: this.received };
    yield { metric: dispatched, labels, value: this.received + this.bookmarks };
    yield { metric: initial, labels, value: this.initial };
    yield { metric: initializations, labels, value: this.initializations };
    yield { metric: capacity, labels, value: this.capacity };
    yield { metric: readWait, labels, value: this.readWait };
    const [cache, etcd] = [this.#cache, this.#etcd];
    if (cache.lists > 0) {
      yield { metric: cacheLists, labels: { ...labels, index: "" }, value: cache.lists };
      yield { metric: cacheFetched, labels: { ...labels, index: "" }, value: cache.fetched };
      yield { metric: cacheReturned, labels, value: cache.returned };
    }
    for (const [fallback, value] of [
      ["false", this.#consistent.served],
      ["true", this.#consistent.fellBack],
    ] as const)
      if (value > 0) yield { metric: consistent, labels: { ...labels, success: "true", fallback }, value };
    yield { metric: storageLists, labels, value: etcd.lists };
    yield { metric: storageFetched, labels, value: etcd.fetched };
    yield { metric: storageEvaluated, labels, value: etcd.fetched };
    yield { metric: storageReturned, labels, value: etcd.returned };
  }
}
