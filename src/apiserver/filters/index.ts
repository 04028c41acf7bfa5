/**
 * The filter chain: what happens to every request before its handler, outermost first. The order of the list is the order of the chain.
 * Upstream: pkg/server/config.go (DefaultBuildHandlerChain).
 */
import type { Authorizer } from "../authz/authorizer.ts";
import type { Authenticator } from "../authn/authenticator.ts";
import type { AccessMetrics } from "../authn/metrics.ts";
import type { Logger } from "../../observe/log.ts";
import type { Lifecycle } from "../lifecycle.ts";
import type { ApiRequest, Filter, Handler } from "../request.ts";
import type { Clock, Random } from "../../world/world.ts";
import type { Auditor } from "../audit/auditor.ts";
import { audit, auditId, auditRefused } from "./audit.ts";
import { authenticate } from "./authentication.ts";
import { authorize } from "./authorization.ts";
import { browserFilters, type BrowserOptions } from "./browsers.ts";
import { cacheControl } from "./headers.ts";
import { impersonate } from "./impersonation.ts";
import { maxInFlight } from "./max-in-flight.ts";
import type { FairnessOptions } from "./priority-and-fairness.ts";
import { priorityAndFairness } from "./priority-and-fairness.ts";
import { goaway, untilShutdown } from "./shutdown.ts";
import type { Tracing } from "../tracing/tracing.ts";
import { trace } from "./tracing.ts";
import { requestTimeout } from "./timeout.ts";

export interface FilterOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly authenticator: Authenticator;
  readonly authorizer: Authorizer;
  readonly accessMetrics: AccessMetrics;
  readonly log: Logger;
  /** The gate ConstrainedImpersonation. */
  readonly constrainedImpersonation: boolean;
  readonly requestTimeoutMs: number;
  /** Told of requests that are turned away or given up, and with which code. */
  readonly terminated?: (request: ApiRequest, code: number) => void;
  readonly browsers?: BrowserOptions;
  readonly goawayChance: number;
  readonly lifecycle: Lifecycle;
  /** Where there is a collector. */
  readonly tracing?: Tracing;
  /** Where there is a policy. */
  readonly auditor?: Auditor;
  /** Priority and fairness; without it the requests under way are only counted. */
  readonly fairness?: Omit<FairnessOptions, "clock" | "requestTimeoutMs">;
  readonly maxRequestsInFlight: number;
  readonly maxMutatingRequestsInFlight: number;
}

/** Panics become 500s and warnings become headers where bytes are written (`http.ts`), for they concern the answer. */
export function filters(options: FilterOptions): readonly Filter[] {
  const { auditor } = options;
  const auditing = auditor === undefined ? undefined : { ...options, auditor };
  return [
    auditId(options.random),
    cacheControl,
    ...(options.goawayChance > 0 ? [goaway(options.goawayChance, options.random)] : []),
    untilShutdown(options.lifecycle),
    ...browserFilters(options.browsers ?? {}),
    requestTimeout(options.clock, options.requestTimeoutMs, options.terminated),
    ...(auditing === undefined ? [] : [auditRefused(auditing)]),
    authenticate(options.authenticator, options),
    ...(options.tracing === undefined ? [] : [trace(options.tracing)]),
    ...(auditing === undefined ? [] : [audit(auditing)]),
    impersonate(options.authorizer, {
      constrained: options.constrainedImpersonation,
      clock: options.clock,
      observe: (mode, allowed, ms) => options.accessMetrics.impersonated(mode, allowed, ms),
    }),
    options.fairness === undefined
      ? maxInFlight(options.maxRequestsInFlight, options.maxMutatingRequestsInFlight, options.terminated)
      : priorityAndFairness({
          ...options,
          ...options.fairness,
          held: (ms) => options.accessMetrics.filter("priorityandfairness", ms),
        }),
    authorize(options.authorizer, options),
  ];
}

export function chain(filters: readonly Filter[], handler: Handler): Handler {
  return filters.reduceRight<Handler>((next, filter) => (request) => filter(request, next), handler);
}
