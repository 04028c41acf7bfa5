/** The 403 response. */
import { forbidden, StatusError } from "../../machinery/status.ts";
import type { Attributes, Authorizer, Decision } from "./authorizer.ts";
import { refusal } from "./authorizer.ts";

/** Throws unless the answer allows. Returns a promise only where the answer is one. */
export function allowOrThrow(authorizer: Authorizer, attributes: Attributes): void | Promise<void> {
  const answer = authorizer.authorize(attributes);
  return answer instanceof Promise
    ? answer.then((later) => throwUnlessAllowed(attributes, later))
    : throwUnlessAllowed(attributes, answer);
}

function throwUnlessAllowed(attributes: Attributes, decision: Decision): void {
  if (decision.decision !== "allow") throw forbiddenTo(attributes, decision);
}

/** With an error its words come first, as where upstream checks for impersonation and for creates. */
export function forbiddenTo(attributes: Attributes, decision: Decision): StatusError {
  const words = refusal(attributes);
  const why = [decision.error, decision.reason].filter((part) => part !== undefined && part !== "").join(": ");
  const text = why === "" ? words : `${words}: ${why}`;
  if (!attributes.resourceRequest) return new StatusError("Forbidden", `forbidden: ${text}`);
  return forbidden({ group: attributes.group, plural: attributes.resource }, attributes.name, text);
}
