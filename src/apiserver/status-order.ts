/** The key order of a Status as upstream writes it, and which Statuses have empty details. */
import type { StatusError } from "../machinery/status.ts";
import { RouteError } from "./routing.ts";

/** Upstream's order of keys, and `details` even where it is empty if the reason is one of those that carry it. */
export function orderedStatus(error: StatusError): object {
  const { details, reason, code, message } = error.toStatus() as any;
  const { metadata } = error.toStatus();
  return {
    kind: "Status",
    apiVersion: "v1",
    metadata,
    status: "Failure",
    message,
    ...(reason !== undefined && { reason }),
    ...(details !== undefined ? { details } : hasEmptyDetails(error) && { details: {} }),
    code,
  };
}
const EMPTY_DETAILS = new Set(["Forbidden", "Invalid", "NotFound", "MethodNotAllowed", "Timeout"]);
const hasEmptyDetails = (error: StatusError) =>
  !error.isForeign && (error instanceof RouteError || EMPTY_DETAILS.has(error.reason));
