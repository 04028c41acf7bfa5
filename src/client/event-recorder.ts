/**
 * Records events: similar ones are aggregated, repeated ones counted, and an object with too many is throttled. Nobody waits for an event, and a
 * failure to write one is only logged.
 * Upstream: staging/src/k8s.io/client-go/tools/record/{event,events_cache}.go
 */
import type { Event } from "../api/generated/core.v1.ts";
import type { KubeObject } from "../machinery/meta/object.ts";
import { StatusError, hasReason } from "../machinery/status.ts";
import type { Logger } from "../observe/log.ts";
import { pause } from "../world/time.ts";
import { type Clock, type Random, randomInt } from "../world/world.ts";
import type { Client } from "./client.ts";
import type { EventRecorder, ObjectReferenceLike } from "./events.ts";
import { events as eventResource } from "./resources.ts";
import { formatTime } from "../machinery/meta/time.ts";

export interface EventBroadcaster {
  /** A recorder for `component`, on node `host` where it speaks for one. */
  recorder(component: string, host?: string): EventRecorder;
  /** Sends what is recorded. After an abort it sends what it holds, then settles. */
  run(signal: AbortSignal): Promise<void>;
}

export interface EventBroadcasterDeps {
  readonly client: Client;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

type Draft = Omit<Event, "metadata"> & { readonly metadata: Partial<Event["metadata"]> };

const QUEUE_MAX = 1000;
const CACHE_MAX = 4096;
const SPAM_BURST = 25;
const SPAM_REFILL_PER_SECOND = 1 / 300;
const SIMILAR_MAX = 10;
const SIMILAR_WINDOW_MS = 600_000;
const TRIES_MAX = 12;
const RETRY_MS = 10_000;
/** How long a stop waits for what is recorded and not sent. */
const FLUSH_MS = 2_000;

export function createEventBroadcaster(deps: EventBroadcasterDeps): EventBroadcaster {
  return new Broadcaster(deps);
}

class Broadcaster implements EventBroadcaster {
  readonly #deps: EventBroadcasterDeps;
  readonly #queue: Draft[] = [];
  readonly #correlator: EventCorrelator;
  #wake: (() => void) | undefined;
  #sequence = 0;

  constructor(deps: EventBroadcasterDeps) {
    this.#deps = deps;
    this.#correlator = new EventCorrelator(deps.clock);
  }

  recorder(component: string, host = ""): EventRecorder {
    return {
      event: (about, type, reason, message, annotations) => {
        if (this.#queue.length >= QUEUE_MAX) {
          this.#deps.log.info("Unable to record event: too many queued events, dropped event", { reason, message });
          return;
        }
        const now = this.#deps.clock.now();
        const reference = referenceTo(about);
        // Upstream names events by the nanosecond; two in one millisecond differ by our own count.
        const nanoseconds = BigInt(Math.floor(now)) * 1_000_000n + BigInt(this.#sequence++ % 1_000_000);
        const at = formatTime(now);
        this.#queue.push({
          apiVersion: "v1",
          kind: "Event",
          metadata: {
            name: `${reference.name}.${nanoseconds.toString(16)}`,
            namespace:
              reference.namespace === undefined || reference.namespace === "" ? "default" : reference.namespace,
            ...(annotations && { annotations }),
          },
          involvedObject: reference,
          reason,
          message,
          source: { component, ...(host !== "" && { host }) },
          firstTimestamp: at,
          lastTimestamp: at,
          count: 1,
          type,
          reportingComponent: component,
          reportingInstance: host,
        });
        this.#wake?.();
      },
    };
  }

  async run(signal: AbortSignal): Promise<void> {
    const cut = new AbortController();
    let flush: Disposable | undefined;
    const onAbort = () => {
      flush = this.#deps.clock.after(FLUSH_MS, () => cut.abort());
      this.#wake?.();
    };
    if (signal.aborted) onAbort();
    else signal.addEventListener("abort", onAbort, { once: true });
    for (;;) {
      const event = cut.signal.aborted ? undefined : this.#queue.shift();
      if (event !== undefined) {
        await this.#deliver(event, signal, cut.signal);
        continue;
      }
      if (signal.aborted) {
        flush?.[Symbol.dispose]();
        return;
      }
      await new Promise<void>((resolve) => (this.#wake = resolve));
      this.#wake = undefined;
    }
  }

  async #deliver(draft: Draft, signal: AbortSignal, cut: AbortSignal): Promise<void> {
    const { clock, random, log } = this.#deps;
    const decision = this.#correlator.correlate(draft);
    if (decision === "drop") return;
    for (let attempt = 1; ; attempt++) {
      try {
        this.#correlator.sent(decision, await this.#write(decision, cut));
        return;
      } catch (error) {
        // The server has spoken: asking again changes nothing.
        if (error instanceof StatusError && !hasReason(error, "ServiceUnavailable", "TooManyRequests", "Timeout")) {
          const { reason, message } = error;
          if (reason !== "AlreadyExists") log.v(2).info("Server rejected event", { message });
          return;
        }
        if (attempt >= TRIES_MAX || signal.aborted) {
          log.error("Unable to write event (may retry after sleeping)", error);
          return;
        }
        // Spread the first retry, so that a server that comes back isn't met by all at once.
        await pause(clock, attempt === 1 ? randomInt(random, RETRY_MS) : RETRY_MS, signal);
      }
    }
  }

  async #write({ event, known }: Correlated, signal: AbortSignal): Promise<Event> {
    const { client } = this.#deps;
    if (known !== undefined) {
      const { namespace, name } = known;
      const { count, lastTimestamp, message } = event;
      try {
        return await client.patch(
          eventResource,
          { namespace, name },
          "application/strategic-merge-patch+json",
          {
            count,
            lastTimestamp,
            message,
          },
          { signal },
        );
      } catch (error) {
        if (!hasReason(error, "NotFound")) throw error; // It expired: write it anew.
      }
    }
    return await client.create(eventResource, event as Event, { signal });
  }
}

function referenceTo(about: KubeObject | ObjectReferenceLike): ObjectReferenceLike {
  if (!("metadata" in about)) return about;
  const { apiVersion, kind, metadata } = about;
  return {
    kind,
    ...(metadata.namespace !== undefined && metadata.namespace !== "" && { namespace: metadata.namespace }),
    name: metadata.name,
    uid: metadata.uid,
    apiVersion,
    resourceVersion: metadata.resourceVersion,
  };
}

interface Correlated {
  readonly event: Draft;
  readonly key: string;
  /** The stored event that this one counts up. */
  readonly known: { readonly namespace: string; readonly name: string } | undefined;
}

interface Seen {
  readonly count: number;
  readonly firstTimestamp: string;
  readonly namespace: string;
  readonly name: string;
}

/** Decides, from what was sent before, whether an event is new, a repetition, one of many alike, or spam. */
class EventCorrelator {
  readonly #clock: Clock;
  readonly #spam = new Lru<{ tokens: number; at: number }>();
  readonly #similar = new Lru<{ messages: Set<string>; at: number }>();
  readonly #seen = new Lru<Seen>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  correlate(draft: Draft): Correlated | "drop" {
    const { source, involvedObject: object } = draft;
    const who = [source?.component, source?.host];
    const what = [object.kind, object.namespace, object.name, object.uid, object.apiVersion];
    const now = this.#clock.monotonic();

    const similarKey = [
      ...who,
      ...what,
      draft.type,
      draft.reason,
      draft.reportingComponent,
      draft.reportingInstance,
    ].join("\0");
    let similar = this.#similar.get(similarKey);
    if (similar === undefined || now - similar.at > SIMILAR_WINDOW_MS) similar = { messages: new Set(), at: now };
    similar.at = now;
    similar.messages.add(draft.message ?? "");
    this.#similar.set(similarKey, similar);
    const folded = similar.messages.size >= SIMILAR_MAX;
    if (folded) similar.messages.delete(similar.messages.values().next().value!);
    const event: Draft = folded ? { ...draft, message: `(combined from similar events): ${draft.message}` } : draft;

    // A folded event is the same whatever its message; any other only with the same words.
    const key = folded ? similarKey : [similarKey, object.fieldPath, draft.message].join("\0");
    const seen = this.#seen.get(key);
    if (!this.#allowed([...who, ...what].join("\0"), now)) return "drop";
    if (seen === undefined) return { event, key, known: undefined };
    return {
      event: {
        ...event,
        metadata: { ...event.metadata, name: seen.name, namespace: seen.namespace },
        count: seen.count + 1,
        firstTimestamp: seen.firstTimestamp,
      },
      key,
      known: seen,
    };
  }

  sent({ key }: Correlated, stored: Event): void {
    this.#seen.set(key, {
      count: stored.count ?? 1,
      firstTimestamp: stored.firstTimestamp ?? "",
      namespace: stored.metadata.namespace ?? "",
      name: stored.metadata.name,
    });
  }

  #allowed(key: string, now: number): boolean {
    const bucket = this.#spam.get(key) ?? { tokens: SPAM_BURST, at: now };
    bucket.tokens = Math.min(SPAM_BURST, bucket.tokens + ((now - bucket.at) / 1000) * SPAM_REFILL_PER_SECOND);
    bucket.at = now;
    this.#spam.set(key, bucket);
    if (bucket.tokens < 1) return false;
    bucket.tokens -= 1;
    return true;
  }
}

class Lru<V> {
  readonly #entries = new Map<string, V>();

  get(key: string): V | undefined {
    return this.#entries.get(key);
  }

  set(key: string, value: V): void {
    this.#entries.delete(key);
    this.#entries.set(key, value);
    if (this.#entries.size > CACHE_MAX) this.#entries.delete(this.#entries.keys().next().value!);
  }
}
