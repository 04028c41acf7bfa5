/**
 * Gives each request an audit ID, the client's or a new one, and records the request if there is an audit policy.
 * Upstream: pkg/endpoints/filters/{audit,authn_audit}.go
 */
import { StatusError } from "../../machinery/status.ts";
import type { Clock, Random } from "../../world/world.ts";
import { uuid } from "../../world/world.ts";
import type { Auditor } from "../audit/auditor.ts";
import { AuditTrail } from "../audit/trail.ts";
import type { ApiRequest, Filter } from "../request.ts";
import { isLongRunning } from "../request-info.ts";

export function auditId(random: Random): Filter {
  return (request, next) => {
    // Nobody in this process looks at headers.
    if (request.exchange !== undefined)
      request.responseHeaders.set("audit-id", request.header("audit-id")?.slice(0, 64) || uuid(random));
    return next(request);
  };
}

export interface AuditFilterOptions {
  readonly auditor: Auditor;
  readonly clock: Clock;
  readonly random: Random;
}

const idOf = (request: ApiRequest, random: Random) =>
  (request.responseHeaders.get("audit-id") as string | undefined) ?? uuid(random);

/** Runs after authentication and before impersonation. */
export function audit({ auditor, clock, random }: AuditFilterOptions): Filter {
  return async (request, next) => {
    const verdict = auditor.verdict(request.info, request.user);
    if (verdict.level === "None") return next(request);
    const received = clock.now();
    const started = clock.monotonic();
    // The wall's clock counts in milliseconds, and may jump.
    const now = () => received + (clock.monotonic() - started);
    const trail = new AuditTrail(verdict, request, idOf(request, random), received);
    request.audit = trail;
    if (!trail.omits("RequestReceived")) {
      const stored = auditor.process(trail.event("RequestReceived", now()));
      if (!(stored instanceof Promise ? await stored : stored)) {
        auditor.rejected();
        throw new StatusError("InternalError", "Internal error occurred: failed to store audit event");
      }
    }
    const longRunning = isLongRunning(request.info);
    request.atEnd.push((outcome) => {
      trail.outcome(outcome);
      const panicked = outcome.error !== undefined && !(outcome.error instanceof StatusError);
      const stage = panicked ? "Panic" : "ResponseComplete";
      if (!trail.omits(stage)) void auditor.process(trail.event(stage, now()));
    });
    try {
      const response = await next(request);
      trail.response(response);
      if (longRunning && !trail.omits("ResponseStarted")) {
        trail.outcome({ code: response.kind === "raw" ? response.status : 200 });
        void auditor.process(trail.event("ResponseStarted", now()));
      }
      return response;
    } catch (error) {
      if (longRunning && error instanceof StatusError && !trail.omits("ResponseStarted")) {
        trail.outcome({ code: error.code, error });
        void auditor.process(trail.event("ResponseStarted", now()));
      }
      throw error;
    }
  };
}

/** Stands before authentication: who isn't let in at all is written down too. */
export function auditRefused({ auditor, clock, random }: AuditFilterOptions): Filter {
  return async (request, next) => {
    try {
      return await next(request);
    } catch (error) {
      if (request.user === undefined && error instanceof StatusError && error.reason === "Unauthorized") {
        const verdict = auditor.verdict(request.info, undefined);
        if (verdict.level !== "None") {
          const trail = new AuditTrail(verdict, request, idOf(request, random), clock.now());
          trail.outcome({ code: error.code, error });
          if (!trail.omits("ResponseStarted")) void auditor.process(trail.event("ResponseStarted", clock.now()));
        }
      }
      throw error;
    }
  };
}
