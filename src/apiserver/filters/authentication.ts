/**
 * Authenticates the request; one whose credentials are not accepted ends here.
 * Upstream: staging/src/k8s.io/apiserver/pkg/endpoints/filters/authentication.go
 */
import { StatusError } from "../../machinery/status.ts";
import type { Logger } from "../../observe/log.ts";
import type { Clock } from "../../world/world.ts";
import type { Authenticator, Finding } from "../authn/authenticator.ts";
import type { AccessMetrics } from "../authn/metrics.ts";
import type { ApiRequest, ApiResponse, Filter, Handler } from "../request.ts";

export interface AuthenticationDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly accessMetrics: AccessMetrics;
}

export function authenticate(authenticator: Authenticator, { clock, log, accessMetrics }: AuthenticationDeps): Filter {
  return (request, next) => {
    // An in-process transport was created for a user and supplies it.
    if (request.user !== undefined) return next(request);
    const started = clock.monotonic();
    const finding = authenticator.authenticate(request);
    return finding instanceof Promise
      ? finding.then((later) => goOn(request, next, later, started))
      : goOn(request, next, finding, started);
  };

  function goOn(request: ApiRequest, next: Handler, finding: Finding, started: number): Promise<ApiResponse> {
    const ms = clock.monotonic() - started;
    if (finding !== undefined && "name" in finding) {
      accessMetrics.authenticated("success", finding.name, ms);
      request.user = finding;
      return next(request);
    }
    accessMetrics.authenticated(finding === undefined ? "failure" : "error", undefined, ms);
    if (finding !== undefined) log.info("Unable to authenticate the request", { error: finding.error });
    throw new StatusError("Unauthorized", "Unauthorized");
  }
}
