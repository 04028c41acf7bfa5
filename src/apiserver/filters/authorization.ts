/** Authorizes the request. Upstream: staging/src/k8s.io/apiserver/pkg/endpoints/filters/authorization.go */
import type { Clock } from "../../world/world.ts";
import type { AccessMetrics } from "../authn/metrics.ts";
import type { Attributes, Authorizer, Decision } from "../authz/authorizer.ts";
import { attributesOf, escapeHtml } from "../authz/authorizer.ts";
import { forbiddenTo } from "../authz/refuse.ts";
import type { ApiRequest, ApiResponse, Filter, Handler } from "../request.ts";
import { text } from "../request.ts";
import { markForbidden } from "./headers.ts";

export interface AuthorizationDeps {
  readonly clock: Clock;
  readonly accessMetrics: AccessMetrics;
}

export function authorize(authorizer: Authorizer, { clock, accessMetrics }: AuthorizationDeps): Filter {
  return (request, next) => {
    const started = clock.monotonic();
    const attributes = attributesOf(request.user!, request.info);
    const answer = authorizer.authorize(attributes);
    return answer instanceof Promise
      ? answer.then((later) => goOn(request, next, attributes, later, started))
      : goOn(request, next, attributes, answer, started);
  };

  function goOn(
    request: ApiRequest,
    next: Handler,
    attributes: Attributes,
    answer: Decision,
    started: number,
  ): Promise<ApiResponse> {
    const { decision, error } = answer;
    const result = decision === "allow" ? "allowed" : error !== undefined ? "error" : RESULTS[decision];
    accessMetrics.authorized(result, clock.monotonic() - started);
    if (decision === "allow") {
      request.audit?.annotate("authorization.k8s.io/decision", "allow");
      request.audit?.annotate("authorization.k8s.io/reason", answer.reason);
      return next(request);
    }
    if (error !== undefined) request.audit?.annotate("authorization.k8s.io/reason", "internal error");
    else {
      request.audit?.annotate("authorization.k8s.io/decision", "forbid");
      request.audit?.annotate("authorization.k8s.io/reason", answer.reason);
    }
    if (error === undefined) {
      markForbidden(request);
      throw forbiddenTo(attributes, answer);
    }
    const url = request.exchange?.request.url ?? request.path;
    const words = escapeHtml(`Internal Server Error: ${JSON.stringify(url)}: ${error}`);
    return Promise.resolve(text(500, `${words}\n`));
  }
}

const RESULTS = { deny: "denied", "no opinion": "no-opinion" } as const;
