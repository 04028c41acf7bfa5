/** The 403 that a client gets. */
import { forbidden, StatusError } from "../../machinery/status.ts";
import type { Attributes, Decision } from "./authorizer.ts";
import { refusal } from "./authorizer.ts";

export function forbiddenTo(attributes: Attributes, decision: Decision): StatusError {
  const words = refusal(attributes);
  const text = decision.reason === "" ? words : `${words}: ${decision.reason}`;
  if (!attributes.resourceRequest) return new StatusError("Forbidden", `forbidden: ${text}`);
  return forbidden({ group: attributes.group, plural: attributes.resource }, attributes.name, text);
}
