/** Upstream: pkg/apis/core/validation/events.go */
import { checkText } from "../../../../machinery/validation/checks.ts";
import { type FieldError, invalid, required } from "../../../../machinery/validation/field-error.ts";
import { isDns1123Subdomain, isQualifiedName } from "../../../../machinery/validation/names.ts";
import { immutableField } from "../../../../machinery/validation/object-meta.ts";
import type { Event } from "../../../generated/core.v1.ts";
import { internalValue } from "../../../internal-value.ts";
import { semanticEqual } from "../../../semantic-equal.ts";

/** The rules of the core group: lenient, for senders that have been around for long. */
export function validateEvent(event: Event): FieldError[] {
  return validateLegacy(event, "reportingComponent");
}

/** Core events change as they like, within the rules. */
export function validateEventUpdate(event: Event): FieldError[] {
  return validateEvent(event);
}

/** The rules of `events.k8s.io/v1`, on the core form of the event. */
export function validateNewEvent(event: Event): FieldError[] {
  const errors = validateLegacy(event, "reportingController");
  if (!event.eventTime) errors.push(required("eventTime"));
  if (event.type !== "Normal" && event.type !== "Warning")
    errors.push(invalid("type", "", `has invalid value: ${event.type ?? ""}`));
  if (event.firstTimestamp) errors.push(invalid("firstTimestamp", "", "needs to be unset"));
  if (event.lastTimestamp) errors.push(invalid("lastTimestamp", "", "needs to be unset"));
  if (event.count) errors.push(invalid("count", "", "needs to be unset"));
  if (event.source?.component || event.source?.host) errors.push(invalid("source", "", "needs to be unset"));
  return [...errors, ...validateSeries(event)];
}

/** Upstream asks for the reason twice. */
const FIXED = [
  "involvedObject",
  "reason",
  "message",
  "source",
  "firstTimestamp",
  "lastTimestamp",
  "count",
  "reason",
  "type",
  "eventTime",
  "action",
  "related",
] as const;
const TEXTS: readonly string[] = ["reason", "message", "type", "action"];
const STRUCTURES: Readonly<Record<string, string>> = {
  involvedObject: "ObjectReference",
  related: "ObjectReference",
  source: "EventSource",
};

export function validateNewEventUpdate(event: Event, old: Event): FieldError[] {
  const errors = validateLegacy(event, "reportingController");
  if (!semanticEqual(event.series, old.series)) errors.push(...validateSeries(event));
  for (const field of FIXED)
    if (!semanticEqual(event[field], old[field])) {
      const type = STRUCTURES[field];
      const shown =
        type === undefined || event[field] === undefined
          ? event[field]
          : internalValue(event[field], `io.k8s.api.core.v1.${type}`);
      errors.push(invalid(field, shown ?? (TEXTS.includes(field) ? "" : null), "field is immutable"));
    }
  // The older of the two forms shows these when they are empty, and the newer does not.
  errors.push(
    ...immutableField(event.reportingComponent ?? "", old.reportingComponent ?? "", "reportingController"),
    ...immutableField(event.reportingInstance ?? "", old.reportingInstance ?? "", "reportingInstance"),
  );
  return errors;
}

function validateSeries({ series }: Event): FieldError[] {
  if (series === undefined) return [];
  return [
    ...((series.count ?? 0) < 2 ? [invalid("series.count", "", "should be at least 2")] : []),
    ...(series.lastObservedTime ? [] : [required("series.lastObservedTime")]),
  ];
}

function validateLegacy(event: Event, controllerField: string): FieldError[] {
  const errors: FieldError[] = [];
  const namespace = event.metadata.namespace ?? "";
  const about = event.involvedObject?.namespace ?? "";
  const homeless = event.eventTime ? ["default", "kube-system"] : ["", "default"];
  // Newer senders may say that something elsewhere is concerned.
  if (about === "" ? !homeless.includes(namespace) : about !== namespace && !event.eventTime)
    errors.push(invalid("involvedObject.namespace", about, "does not match event.namespace"));
  if (event.eventTime) {
    if (!event.reportingComponent) errors.push(required(controllerField));
    errors.push(...checkText(event.reportingComponent ?? "", controllerField, isQualifiedName));
    errors.push(...atMost(128, event.reportingInstance, "reportingInstance"));
    errors.push(...atMost(128, event.action, "action"));
    errors.push(...atMost(128, event.reason, "reason"));
    if (Buffer.byteLength(event.message ?? "") > 1024)
      errors.push(invalid("message", "", "can have at most 1024 characters"));
  }
  for (const message of isDns1123Subdomain(namespace)) errors.push(invalid("namespace", namespace, message));
  return errors;
}

function atMost(limit: number, value: string | undefined, path: string): FieldError[] {
  if (!value) return [required(path)];
  return Buffer.byteLength(value) > limit ? [invalid(path, "", `can have at most ${limit} characters`)] : [];
}
