/** The errors that clients see. Upstream: staging/src/k8s.io/apimachinery/pkg/api/errors */
import { goQuote } from "../base/go-quote.ts";
import type { Status, StatusCause } from "./meta/types.ts";

/** Every failure the API can report, with the HTTP code that goes with it. The wire, kubectl and the docs read this table. */
const REASONS = {
  BadRequest: 400,
  Unauthorized: 401,
  Forbidden: 403,
  NotFound: 404,
  MethodNotAllowed: 405,
  NotAcceptable: 406,
  AlreadyExists: 409,
  Conflict: 409,
  Gone: 410,
  Expired: 410,
  RequestEntityTooLarge: 413,
  UnsupportedMediaType: 415,
  Invalid: 422,
  TooManyRequests: 429,
  InternalError: 500,
  ServerTimeout: 500,
  StorageReadError: 500,
  ServiceUnavailable: 503,
  Timeout: 504,
  /** A reason that this server doesn't know, or none: the code tells. */
  Unknown: 500,
} as const;
export type Reason = keyof typeof REASONS;

export interface StatusDetails {
  readonly name?: string;
  readonly group?: string;
  readonly kind?: string;
  readonly uid?: string;
  readonly causes?: readonly StatusCause[];
  readonly retryAfterSeconds?: number;
}

/** An expected failure that a client may see. It travels as a metav1.Status. */
export class StatusError extends Error {
  override readonly name = "StatusError";
  readonly reason: Reason;
  readonly details: StatusDetails;
  readonly code: number;
  /** Somebody else's words: nothing is added to them that is usual here. */
  readonly isForeign: boolean;

  constructor(
    reason: Reason,
    message: string,
    details: StatusDetails = {},
    options?: ErrorOptions & { readonly code?: number; readonly isForeign?: boolean },
  ) {
    super(message, options);
    this.reason = reason;
    this.details = details;
    this.code = options?.code ?? REASONS[reason];
    this.isForeign = options?.isForeign === true;
  }

  toStatus(): Status & { readonly kind: "Status" } {
    return {
      kind: "Status",
      apiVersion: "v1",
      metadata: {},
      status: "Failure",
      message: this.message,
      ...(this.reason !== "Unknown" && { reason: this.reason }),
      ...(Object.keys(this.details).length > 0 && { details: this.details }),
      code: this.code,
    };
  }

  /** The error that a received Status stands for. */
  static from(status: Status, httpCode = 500): StatusError {
    const reason: Reason =
      status.reason !== undefined && status.reason in REASONS ? (status.reason as Reason) : "Unknown";
    return new StatusError(reason, status.message ?? "unknown", (status.details ?? {}) as StatusDetails, {
      code: status.code ?? httpCode,
    });
  }
}

export function hasReason(error: unknown, ...reasons: readonly Reason[]): error is StatusError {
  return error instanceof StatusError && reasons.includes(error.reason);
}

export interface GroupResource {
  readonly group: string;
  readonly plural: string;
}
export function qualified({ group, plural }: GroupResource): string {
  return group === "" ? plural : `${plural}.${group}`;
}
const about = (resource: GroupResource, name: string): StatusDetails => ({
  ...(name !== "" && { name }),
  ...(resource.group !== "" && { group: resource.group }),
  kind: resource.plural,
});

export function notFound(resource: GroupResource, name: string): StatusError {
  return new StatusError("NotFound", `${qualified(resource)} ${goQuote(name)} not found`, about(resource, name));
}
export function alreadyExists(resource: GroupResource, name: string): StatusError {
  return new StatusError(
    "AlreadyExists",
    `${qualified(resource)} ${goQuote(name)} already exists`,
    about(resource, name),
  );
}
export function conflict(resource: GroupResource, name: string, why: string): StatusError {
  return new StatusError(
    "Conflict",
    `Operation cannot be fulfilled on ${qualified(resource)} ${goQuote(name)}: ${why}`,
    about(resource, name),
  );
}
export function forbidden(resource: GroupResource, name: string, why: string): StatusError {
  return new StatusError(
    "Forbidden",
    `${qualified(resource)}${name === "" ? "" : ` ${goQuote(name)}`} is forbidden: ${why}`,
    about(resource, name),
  );
}
/** In upstream's form, whose cause is the words again. */
export function internalError(words: string): StatusError {
  return new StatusError("InternalError", `Internal error occurred: ${words}`, { causes: [{ message: words }] });
}
export function badRequest(message: string): StatusError {
  return new StatusError("BadRequest", message);
}
