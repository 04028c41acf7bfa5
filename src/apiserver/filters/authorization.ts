/** Asks whether the user may do what the request says. Upstream: staging/src/k8s.io/apiserver/pkg/endpoints/filters/authorization.go */
import type { Attributes, Authorizer, Decision } from "../authz/authorizer.ts";
import { attributesOf, escapeHtml } from "../authz/authorizer.ts";
import { forbiddenTo } from "../authz/refuse.ts";
import type { ApiRequest, ApiResponse, Filter, Handler } from "../request.ts";
import { text } from "../request.ts";

export function authorize(authorizer: Authorizer): Filter {
  return (request, next) => {
    const attributes = attributesOf(request.user!, request.info);
    const answer = authorizer.authorize(attributes);
    return answer instanceof Promise
      ? answer.then((later) => goOn(request, next, attributes, later))
      : goOn(request, next, attributes, answer);
  };
}

function goOn(request: ApiRequest, next: Handler, attributes: Attributes, answer: Decision): Promise<ApiResponse> {
  if (answer.decision === "allow") return next(request);
  if (answer.error === undefined) throw forbiddenTo(attributes, answer);
  const url = request.exchange?.request.url ?? request.path;
  const words = escapeHtml(`Internal Server Error: ${JSON.stringify(url)}: ${answer.error}`);
  return Promise.resolve(text(500, `${words}\n`));
}
