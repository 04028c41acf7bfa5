/** Asks whether the user may do what the request says. Upstream: staging/src/k8s.io/apiserver/pkg/endpoints/filters/authorization.go */
import type { Authorizer } from "../authz/authorizer.ts";
import { attributesOf } from "../authz/authorizer.ts";
import { forbiddenTo } from "../authz/refuse.ts";
import type { Filter } from "../request.ts";

export function authorize(authorizer: Authorizer): Filter {
  return (request, next) => {
    const attributes = attributesOf(request.user!, request.info);
    const answer = authorizer.authorize(attributes);
    if (answer.decision !== "allow") throw forbiddenTo(attributes, answer);
    return next(request);
  };
}
