/**
 * Priority and fairness: a request occupies seats of its priority level, waits for them in a queue, or is rejected. A watch gives its seats back
 * once it has started; a list keeps them until its last piece is sent, since writing it is most of the work, or until its client stops reading.
 * Upstream: pkg/server/filters/priority-and-fairness.go
 */
import type { Clock } from "../../world/world.ts";
import { estimateWork } from "../flow-control/estimate.ts";
import type { Stored } from "../flow-control/estimate.ts";
import type { FlowControl, Schema } from "../flow-control/flow-control.ts";
import type { Ticket } from "../flow-control/queue-set.ts";
import { ONE_SEAT } from "../flow-control/queue-set.ts";
import type { WatchTracker } from "../flow-control/watch-tracker.ts";
import type { ApiRequest, ApiResponse, Filter, Handler } from "../request.ts";
import { text } from "../request.ts";
import type { RequestInfo } from "../request-info.ts";
import { isLongRunning } from "../request-info.ts";
import { timeoutMs } from "./timeout.ts";

export interface FairnessOptions {
  readonly clock: Clock;
  readonly flow: FlowControl;
  readonly watches: WatchTracker;
  readonly requestTimeoutMs: number;
  stored(info: RequestInfo): Stored | undefined;
  /** Told of requests that are turned away. */
  readonly terminated?: (request: ApiRequest, code: number) => void;
  /** Told how long each request was held up. */
  readonly held?: (ms: number) => void;
}

/** No request waits longer than this, whatever its timeout. */
const WAIT_MAX_MS = 60_000;

export function priorityAndFairness(options: FairnessOptions): Filter {
  const { clock, flow, watches } = options;
  return (request, next) => {
    const { info } = request;
    const isWatch = info.verb === "watch";
    // What this process asks of itself is bounded by what it does at once; refusing it would only make it ask again.
    if (request.exchange === undefined || (!isWatch && isLongRunning(info))) return next(request);
    const schema = flow.classify(info, request.user!);
    const { level } = schema;
    request.responseHeaders.set("x-kubernetes-pf-flowschema-uid", schema.headers[0]);
    request.responseHeaders.set("x-kubernetes-pf-prioritylevel-uid", schema.headers[1]);
    const work =
      info.verb === "get"
        ? ONE_SEAT
        : estimateWork({
            info,
            query: request.query,
            maxSeats: level.maxSeats,
            stored: () => options.stored(info),
            watchers() {
              const count = watches.interestedIn(info);
              schema.counts.watchers.observe(count);
              return count;
            },
          });
    schema.counts.seats.observe(work === ONE_SEAT ? 1 : Math.max(work.initialSeats, work.finalSeats));
    const now = clock.monotonic();
    const ticket = level.queues.start(now, schema.flowOf(info, request.user!), work, request);
    if (ticket === undefined) {
      if (!level.exempt) schema.counts.waitedInVain.observe(0);
      options.terminated?.(request, 429);
      return Promise.resolve(refuse(clock, schema));
    }
    return ticket.state === "waiting"
      ? wait(options, request, schema, ticket, next)
      : run(options, request, schema, ticket, next);
  };
}

async function wait(
  options: FairnessOptions,
  request: ApiRequest,
  schema: Schema,
  ticket: Ticket,
  next: Handler,
): Promise<ApiResponse> {
  const { clock, flow, requestTimeoutMs } = options;
  const kind = kindOf(request.info);
  flow.readWrite.add(clock.monotonic(), "waiting", kind, 1);
  const limitMs =
    request.info.verb === "watch" ? requestTimeoutMs : timeoutMs(request.query.get("timeout"), requestTimeoutMs);
  const decided = new Promise<void>((resolve) => {
    ticket.onDecision = resolve;
  });
  const giveUp = () => {
    if (schema.level.queues.cancel(ticket, clock.monotonic())) ticket.onDecision!();
  };
  const timer = clock.after(Math.min(limitMs / 4, WAIT_MAX_MS), giveUp);
  request.signal.addEventListener("abort", giveUp, { once: true });
  await decided;
  timer[Symbol.dispose]();
  request.signal.removeEventListener("abort", giveUp);
  flow.readWrite.add(clock.monotonic(), "waiting", kind, -1);
  // The compiler doesn't see that the state changed meanwhile.
  if ((ticket.state as string) === "executing") return run(options, request, schema, ticket, next);
  schema.counts.waitedInVain.observe((clock.monotonic() - ticket.arrivedAt) / 1000);
  flow.ended(schema.level);
  options.terminated?.(request, 429);
  return refuse(clock, schema);
}

async function run(
  { clock, flow, watches, held }: FairnessOptions,
  request: ApiRequest,
  schema: Schema,
  ticket: Ticket,
  next: Handler,
): Promise<ApiResponse> {
  const { level, counts } = schema;
  const { info } = request;
  const isWatch = info.verb === "watch";
  const kind = kindOf(info);
  held?.(ticket.startedAt - ticket.arrivedAt);
  if (!level.exempt) counts.waitedAndRan.observe((ticket.startedAt - ticket.arrivedAt) / 1000);
  flow.readWrite.add(ticket.startedAt, "executing", kind, 1);
  if (isWatch) request.atEnd.push(watches.add(info));
  const finish = () => {
    if (ticket.state !== "executing") return;
    const now = clock.monotonic();
    flow.readWrite.add(now, "executing", kind, -1);
    (isWatch ? counts.watched : counts.ran).observe((now - ticket.startedAt) / 1000);
    const lingerMs = level.queues.finish(ticket, now);
    if (lingerMs > 0) clock.after(lingerMs, () => level.queues.release(ticket, clock.monotonic()));
    if (level.quiescing) flow.ended(level);
  };
  if (info.verb !== "list") {
    try {
      return await next(request);
    } finally {
      finish();
    }
  }
  // Also where somebody else has answered meanwhile, since this one took too long.
  request.atEnd.push(finish);
  request.onStall = finish;
  try {
    const response = await next(request);
    if (response.kind !== "list") finish();
    return response;
  } catch (error) {
    finish();
    throw error;
  }
}

const kindOf = ({ verb }: RequestInfo) =>
  verb === "get" || verb === "list" || verb === "watch" ? ("readOnly" as const) : ("mutating" as const);

function refuse(clock: Clock, { level }: Schema): ApiResponse {
  level.retryAfter.drop(clock.now());
  return text(429, "Too many requests, please try again later.\n", { "retry-after": String(level.retryAfter.seconds) });
}
