/** Upstream: pkg/printers/internalversion/printers.go (printEvent) */
import { age, column, nameColumn, wide } from "../../../columns.ts";
import type { Column } from "../../../../machinery/resource.ts";
import type { Event } from "../../../generated/core.v1.ts";

/** For events of both groups; `core` gives the core form of an object. */
export function eventColumns<T>(core: (object: T) => Event): readonly Column<any>[] {
  const cell = (of: (event: Event, now: number) => string | number) => (object: T, now: number) =>
    of(core(object), now);
  return [
    column<T>("Last Seen", "string", cell(lastSeen)),
    column<T>(
      "Type",
      "string",
      cell(({ type }) => type ?? ""),
    ),
    column<T>(
      "Reason",
      "string",
      cell(({ reason }) => reason ?? ""),
    ),
    column<T>(
      "Object",
      "string",
      cell(({ involvedObject: { kind = "", name = "" } }) =>
        name === "" ? kind.toLowerCase() : `${kind.toLowerCase()}/${name}`,
      ),
    ),
    wide<T>(
      "Subobject",
      "string",
      cell(({ involvedObject }) => involvedObject.fieldPath ?? ""),
    ),
    wide<T>("Source", "string", cell(sourceText)),
    column<T>(
      "Message",
      "string",
      cell(({ message }) => (message ?? "").trim()),
    ),
    wide<T>("First Seen", "string", cell(firstSeen)),
    wide<T>(
      "Count",
      "string",
      cell(({ series, count }) => series?.count || count || 1),
    ),
    { ...nameColumn, priority: 1 },
  ];
}

function firstSeen({ firstTimestamp, eventTime }: Event, now: number): string {
  return age(firstTimestamp ?? eventTime, now);
}

function lastSeen(event: Event, now: number): string {
  if (event.series !== undefined) return age(event.series.lastObservedTime, now);
  return event.lastTimestamp == null ? firstSeen(event, now) : age(event.lastTimestamp, now);
}

function sourceText({ source, reportingComponent, reportingInstance }: Event): string {
  const component = source?.component || reportingComponent || "";
  const instance = source?.host || reportingInstance || "";
  return instance === "" ? component : `${component}, ${instance}`;
}
