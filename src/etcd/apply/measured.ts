/** Measures how long committed requests take to apply, and logs those that take too long. Upstream: server/etcdserver/txn/util.go */
import type { Logger } from "../../observe/log.ts";
import { Distribution, type Reading } from "../../observe/metrics.ts";
import type { Clock } from "../../world/world.ts";
import { duration } from "../duration.ts";
import * as counted from "../metrics.ts";
import type { Applied } from "./applier.ts";
import type { Link, Request } from "./chain.ts";
import { describeRequest } from "./describe.ts";

export interface MeasuredDeps {
  readonly clock: Pick<Clock, "monotonic">;
  readonly log: Logger;
  readonly warningMs: number;
}

export class ApplyTimes {
  readonly #deps: MeasuredDeps;
  readonly #times = new Map<string, { readonly success: Distribution; readonly failure: Distribution }>();
  slow = 0;

  constructor(deps: MeasuredDeps) {
    this.#deps = deps;
  }

  /** Stands before all other links. */
  readonly link: Link = (next) => (request) => {
    const { clock } = this.#deps;
    const from = clock.monotonic();
    let error: unknown;
    let answer: Applied;
    try {
      return (answer = next(request));
    } catch (cause) {
      throw (error = cause);
    } finally {
      this.#took(request, answer, error, clock.monotonic() - from);
    }
  };

  #took(request: Request, answer: Applied, error: unknown, ms: number): void {
    const op = operationOf(request);
    let times = this.#times.get(op);
    if (times === undefined) {
      const { buckets } = counted.applyDuration;
      this.#times.set(op, (times = { success: new Distribution(buckets!), failure: new Distribution(buckets!) }));
    }
    (error === undefined ? times.success : times.failure).observe(ms / 1000);
    if (ms <= this.#deps.warningMs) return;
    this.slow++;
    this.#deps.log.warn("apply request took too long", {
      took: duration(ms),
      "expected-duration": duration(this.#deps.warningMs),
      prefix: "",
      request: describeRequest(request),
      response: answer === undefined ? "" : `size:${sizeOf(answer)}`,
      ...(error !== undefined && { error }),
    });
  }

  *readings(): Iterable<Reading> {
    yield { metric: counted.slowApplies, value: this.slow };
    for (const [op, { success, failure }] of this.#times)
      for (const [ok, value] of [
        ["true", success],
        ["false", failure],
      ] as const)
        if (value.counts.some((count) => count > 0))
          yield { metric: counted.applyDuration, labels: { version: "v3", op, success: ok }, value };
  }
}

/** The first field that is there and isn't the header: `lease_grant` is `LeaseGrant`. */
function operationOf(request: Request): string {
  if (request.put !== undefined) return "Put";
  if (request.txn !== undefined) return "Txn";
  for (const [name, value] of Object.entries(request))
    if (value !== undefined && name !== "header" && name !== "ID")
      return name.replace(/(^|_)([a-z])/g, (_, __, letter: string) => letter.toUpperCase());
  return "unknown";
}

/** Of an answer, roughly: what matters is whether it was large. */
function sizeOf(answer: unknown): number {
  if (answer instanceof Uint8Array) return answer.length;
  if (Array.isArray(answer)) return answer.reduce((sum: number, item) => sum + sizeOf(item) + 2, 0);
  if (typeof answer === "object" && answer !== null)
    return Object.values(answer).reduce((sum: number, item) => sum + sizeOf(item) + 1, 0);
  return typeof answer === "string" ? answer.length : 4;
}
