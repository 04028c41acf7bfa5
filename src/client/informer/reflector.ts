/**
 * Keeps a sink in step with the server: it lists, watches from there, and watches again from the newest known revision whenever a watch ends; if
 * that revision is compacted, it lists anew.
 * Upstream: staging/src/k8s.io/client-go/tools/cache/reflector.go
 */
import type { KubeObject } from "../../machinery/meta/object.ts";
import type { ResourceOf } from "../../machinery/resource.ts";
import { hasReason } from "../../machinery/status.ts";
import type { Logger } from "../../observe/log.ts";
import { deadline, pause } from "../../world/time.ts";
import type { Clock, Random } from "../../world/world.ts";
import type { Client } from "../client.ts";
import type { WatchEvent } from "../transport.ts";
import { Backoff, REFLECTOR_BACKOFF } from "./backoff.ts";

export interface Selection {
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
}

export interface Sink<T> {
  /** All there is, at this resourceVersion. */
  replace(objects: readonly T[], resourceVersion: string): void;
  apply(event: WatchEvent<T>): void;
}

export interface ReflectorDeps {
  readonly client: Client;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

/** A watch that ends sooner than this without an event is a failure. */
const WATCH_TOO_SHORT_MS = 1000;
const WATCH_TIMEOUT_MIN_SECONDS = 300;
/** A server that doesn't end a watch this long after its time is gone, even if the connection doesn't show it. */
const WATCH_OVERDUE_MS = 30_000;

export async function reflect<T extends KubeObject>(
  deps: ReflectorDeps,
  resource: ResourceOf<T>,
  selection: Selection,
  sink: Sink<T>,
  signal: AbortSignal,
): Promise<void> {
  const { client, clock, random } = deps;
  const log = deps.log.with({ resource: resource.plural });
  const backoff = new Backoff(clock, random, REFLECTOR_BACKOFF);
  // "0" may be served from any cache; "" must be as new as the store. The latter after an expiry, so that time doesn't go backwards.
  let listFrom = "0";

  while (!signal.aborted) {
    let resourceVersion: string;
    try {
      const list = await client.list(resource, { ...selection, resourceVersion: listFrom, signal });
      sink.replace(list.items, list.resourceVersion);
      resourceVersion = list.resourceVersion;
    } catch (error) {
      if (signal.aborted) return;
      if (hasReason(error, "Expired", "Gone")) listFrom = "";
      log.error("Failed to list", error);
      await pause(clock, backoff.next(), signal);
      continue;
    }

    for (;;) {
      const startedAt = clock.monotonic();
      let events = 0;
      const timeoutSeconds = Math.floor(WATCH_TIMEOUT_MIN_SECONDS * (1 + random.next()));
      const limit = deadline(clock, timeoutSeconds * 1000 + WATCH_OVERDUE_MS, signal);
      try {
        const watch = client.watch(resource, {
          ...selection,
          resourceVersion,
          allowBookmarks: true,
          timeoutSeconds,
          signal: limit.signal,
        });
        for await (const event of watch) {
          events++;
          resourceVersion = event.object.metadata.resourceVersion;
          sink.apply(event);
        }
        if (signal.aborted) return;
        if (events === 0 && clock.monotonic() - startedAt < WATCH_TOO_SHORT_MS) {
          log.v(2).info("The watch ended early without an event");
          await pause(clock, backoff.next(), signal);
        }
      } catch (error) {
        if (signal.aborted) return;
        if (limit.signal.aborted) continue;
        if (hasReason(error, "Expired", "Gone")) {
          log.v(4).info("The watch expired, listing again", { resourceVersion });
          listFrom = "";
          break;
        }
        log.v(2).info("The watch failed", { reason: error instanceof Error ? error.message : String(error) });
        await pause(clock, backoff.next(), signal);
        // Only a server that is away is asked again from the same place; any other refusal may be about that place.
        if (!hasReason(error, "ServiceUnavailable", "TooManyRequests", "InternalError", "Timeout")) break;
      } finally {
        limit[Symbol.dispose]();
      }
      if (signal.aborted) return;
    }
  }
}
