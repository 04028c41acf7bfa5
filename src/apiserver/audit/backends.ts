/**
 * Audit backends: a log file and a webhook, blocking or batched, with truncation of events that are too large.
 * Upstream: plugin/pkg/audit, pkg/server/options/audit.go
 */
import type { Logger } from "../../observe/log.ts";
import type { Metrics } from "../../observe/metrics.ts";
import { pause } from "../../world/time.ts";
import type { Clock } from "../../world/world.ts";
import type { ReviewClient } from "../review-client.ts";
import type { AuditEvent } from "./event.ts";
import { eventJson, eventLine } from "./event.ts";
import type { LogFile } from "./log-file.ts";
import { auditErrors } from "./metrics.ts";

export interface Backend {
  /** False where an event is lost: in the strict mode the request then fails. A promise only where the backend blocks on others. */
  process(events: readonly AuditEvent[]): boolean | Promise<boolean>;
  /** Writes what it still has. */
  close(): Promise<void>;
}

export interface BackendDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
}

export interface BatchOptions {
  readonly bufferSize: number;
  readonly maxSize: number;
  readonly maxWaitMs: number;
  readonly throttle?: { readonly qps: number; readonly burst: number };
}
export interface TruncateOptions {
  readonly maxBatchSize: number;
  readonly maxEventSize: number;
}
export type Mode = "batch" | "blocking" | "blocking-strict";

function lost(deps: BackendDeps, plugin: string, error: unknown, events: readonly AuditEvent[]): void {
  deps.metrics.add(auditErrors, { plugin }, events.length);
  deps.log.error("An audit plugin failed", error, { plugin, events: events.map(eventLine) });
}

export function logBackend(
  deps: BackendDeps,
  out: { write(line: string): void; close(): Promise<void> } | LogFile,
  format: "json" | "legacy",
): Backend {
  return {
    process(events) {
      let ok = true;
      for (const event of events) {
        try {
          out.write(`${format === "json" ? eventJson(event) : eventLine(event)}\n`);
        } catch (error) {
          lost(deps, "log", error, [event]);
          ok = false;
        }
      }
      return ok;
    },
    close: () => out.close(),
  };
}

export function webhookBackend(deps: BackendDeps, client: ReviewClient): Backend {
  return {
    async process(events) {
      const items = events.map((event) => JSON.parse(eventJson(event, true)) as object);
      const result = await client.review({ kind: "EventList", apiVersion: "audit.k8s.io/v1", metadata: {}, items });
      if (!("error" in result)) return true;
      lost(deps, "webhook", result.error, events);
      return false;
    },
    async close() {},
  };
}

export function withMode(deps: BackendDeps, backend: Backend, mode: Mode, batch: BatchOptions): Backend {
  switch (mode) {
    case "blocking-strict":
      return backend;
    case "blocking":
      return {
        process(events) {
          const done = backend.process(events);
          return done instanceof Promise ? done.then(() => true) : true;
        },
        close: () => backend.close(),
      };
    case "batch":
      return batched(deps, backend, batch);
  }
}

/** Collects events until they are many or old; what comes while the buffer is full is lost. */
function batched(deps: BackendDeps, backend: Backend, options: BatchOptions): Backend {
  const { clock } = deps;
  const { bufferSize, maxSize, maxWaitMs, throttle } = options;
  let buffer: AuditEvent[] = [];
  let timer: Disposable | undefined;
  let sending: Promise<void> | undefined;
  const closing = new AbortController();
  let tokens = throttle?.burst ?? 0;
  let filledAt = clock.monotonic();

  const token = async () => {
    if (throttle === undefined) return;
    const now = clock.monotonic();
    tokens = Math.min(throttle.burst, tokens + ((now - filledAt) / 1000) * throttle.qps) - 1;
    filledAt = now;
    if (tokens < 0) await pause(clock, (-tokens / throttle.qps) * 1000, closing.signal);
  };
  const send = async (all: boolean) => {
    while (buffer.length >= maxSize || (all && buffer.length > 0)) {
      const events = buffer.slice(0, maxSize);
      await token();
      buffer = buffer.slice(events.length);
      await backend.process(events);
    }
  };
  const start = (all: boolean) => {
    if (sending !== undefined) return;
    sending = send(all).finally(() => {
      sending = undefined;
      if (buffer.length >= maxSize) start(false);
      else if (buffer.length > 0) wait();
    });
  };
  const wait = () => {
    timer ??= clock.after(maxWaitMs, () => {
      timer = undefined;
      start(true);
    });
  };
  return {
    process(events) {
      const room = Math.max(0, bufferSize - buffer.length);
      if (room < events.length) lost(deps, "buffered", new Error("audit buffer queue blocked"), events.slice(room));
      for (const event of events.slice(0, room)) buffer.push(event);
      if (buffer.length >= maxSize) start(false);
      else if (buffer.length > 0) wait();
      return true;
    },
    async close() {
      timer?.[Symbol.dispose]();
      closing.abort();
      await sending;
      await send(true);
      await backend.close();
    },
  };
}

const TRUNCATED = { "audit.k8s.io/truncated": "true" };

/** Takes request and response out of an event that is too large; what is too large even so is lost. */
export function truncating(deps: BackendDeps, backend: Backend, options: TruncateOptions): Backend {
  const sizeOf = (event: AuditEvent) => Buffer.byteLength(eventJson(event)) + 1;
  return {
    process(events) {
      const results: (boolean | Promise<boolean>)[] = [];
      let batch: AuditEvent[] = [];
      let batchSize = 0;
      const flush = () => {
        if (batch.length > 0) results.push(backend.process(batch));
        batch = [];
        batchSize = 0;
      };
      for (let event of events) {
        let size = sizeOf(event);
        if (size > options.maxEventSize && (event.level === "Request" || event.level === "RequestResponse")) {
          const { requestObject: _request, responseObject: _response, ...rest } = event;
          event = { ...rest, annotations: { ...rest.annotations, ...TRUNCATED } };
          size = sizeOf(event);
        }
        if (size > options.maxEventSize) {
          lost(deps, "truncate", new Error("event is too large even after truncating"), [event]);
          continue;
        }
        if (batchSize + size > options.maxBatchSize) flush();
        batch.push(event);
        batchSize += size;
      }
      flush();
      return all(results);
    },
    close: () => backend.close(),
  };
}

export function union(backends: readonly Backend[]): Backend {
  if (backends.length === 1) return backends[0]!;
  return {
    process: (events) => all(backends.map((backend) => backend.process(events))),
    async close() {
      for (const backend of backends) await backend.close();
    },
  };
}

function all(results: readonly (boolean | Promise<boolean>)[]): boolean | Promise<boolean> {
  if (results.some((result) => result instanceof Promise))
    return Promise.all(results).then((done) => done.every(Boolean));
  return results.every(Boolean);
}
