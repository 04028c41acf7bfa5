/** Requests end within their time, watches and streams excepted. Upstream: pkg/server/filters/timeout.go. */
import { parseDuration } from "../../machinery/meta/time.ts";
import { deferred } from "../../base/deferred.ts";
import { badRequest, StatusError } from "../../machinery/status.ts";
import type { Clock } from "../../world/world.ts";
import type { ApiRequest, ApiResponse, Filter, Handler } from "../request.ts";
import { isLongRunning } from "../request-info.ts";

type Told = ((request: ApiRequest, code: number) => void) | undefined;

/** `terminated` is told of those that took too long. */
export function requestTimeout(clock: Clock, defaultMs: number, terminated?: Told): Filter {
  const limits = new Limits(clock, defaultMs, terminated);
  return (request, next) => {
    if (isLongRunning(request.info)) return next(request);
    const ms = timeoutMs(request.query.get("timeout"), defaultMs);
    // A request of this process ends with its work: it holds nothing that a timer would have to take away.
    if (request.exchange === undefined && ms === defaultMs) return next(request);
    if (request.expire === undefined) return withSignal(clock, ms, request, next, terminated);
    return withLimit(ms === defaultMs ? limits : new Limits(clock, ms, terminated), request, next);
  };
}

/** Told by the filter itself, which knows of no encodings and leaves the kind out. */
export class LateError extends StatusError {}

const late = () => new LateError("Timeout", "Timeout: request did not complete within the allotted timeout");

/** Requests under way that have the same time, in the order in which it ends: one timer is enough for all of them. */
class Limits {
  readonly #clock: Clock;
  readonly #ms: number;
  readonly #terminated: Told;
  #first: Limited | undefined;
  #last: Limited | undefined;
  #timer: Disposable | undefined;

  constructor(clock: Clock, ms: number, terminated: Told) {
    this.#clock = clock;
    this.#ms = ms;
    this.#terminated = terminated;
  }

  add(limited: Limited): void {
    limited.endsAt = this.#clock.monotonic() + this.#ms;
    limited.before = this.#last;
    if (this.#last === undefined) this.#first = limited;
    else this.#last.after = limited;
    this.#last = limited;
    if (this.#timer === undefined) this.#wait(this.#ms);
  }

  /** Once more is as good as once. */
  remove(limited: Limited): void {
    if (limited.isOver) return;
    limited.isOver = true;
    const { before, after } = limited;
    if (before === undefined) this.#first = after;
    else before.after = after;
    if (after === undefined) this.#last = before;
    else after.before = before;
    limited.before = undefined;
    limited.after = undefined;
    if (this.#first !== undefined) return;
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
  }

  /** It goes off for the first one, or too early, when that is over by then. */
  #wait(ms: number): void {
    this.#timer = this.#clock.after(ms, () => {
      this.#timer = undefined;
      const now = this.#clock.monotonic();
      for (let first = this.#first; first !== undefined; first = this.#first) {
        if (first.endsAt > now) return this.#wait(first.endsAt - now);
        this.remove(first);
        this.#terminated?.(first.request, 504);
        first.expire();
      }
    });
  }
}

class Limited {
  before: Limited | undefined = undefined;
  after: Limited | undefined = undefined;
  endsAt = 0;
  isOver = false;
  readonly request: ApiRequest;
  readonly #reject: (error: unknown) => void;

  constructor(request: ApiRequest, reject: (error: unknown) => void) {
    this.request = request;
    this.#reject = reject;
  }

  expire(): void {
    const error = late();
    this.request.expire!(error);
    this.#reject(error);
  }
}

function withLimit(limits: Limits, request: ApiRequest, next: Handler): Promise<ApiResponse> {
  return new Promise((resolve, reject) => {
    const limited = new Limited(request, reject);
    limits.add(limited);
    const failed = (error: unknown) => {
      limits.remove(limited);
      reject(error as Error);
    };
    try {
      next(request).then((response) => {
        limits.remove(limited);
        resolve(response);
      }, failed);
    } catch (error) {
      failed(error);
    }
  });
}

/** For a request that has no signal of its own. */
async function withSignal(
  clock: Clock,
  ms: number,
  request: ApiRequest,
  next: Handler,
  terminated: Told,
): Promise<ApiResponse> {
  const limit = new AbortController();
  const onGone = () => limit.abort(request.signal.reason);
  if (request.signal.aborted) onGone();
  else request.signal.addEventListener("abort", onGone, { once: true });
  const timed: ApiRequest = Object.create(request, { signal: { value: limit.signal } }) as ApiRequest;
  const expired = deferred<never>();
  const timer = clock.after(ms, () => {
    const error = late();
    terminated?.(request, 504);
    expired.reject(error);
    limit.abort(error);
  });
  try {
    return await Promise.race([next(timed), expired.promise]);
  } finally {
    timer[Symbol.dispose]();
    request.signal.removeEventListener("abort", onGone);
  }
}

/** What the client asks for, as far as the server goes along; zero asks for nothing. */
export function timeoutMs(asked: string | null, defaultMs: number): number {
  if (asked === null || asked === "") return defaultMs;
  try {
    const ms = parseDuration(asked) / 1e6;
    return ms > 0 ? Math.min(defaultMs, ms) : defaultMs;
  } catch (error) {
    throw badRequest(`invalid timeout specified in the request URL - ${(error as Error).message}`);
  }
}
