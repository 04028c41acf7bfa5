/** Conversion between `events.k8s.io/v1` and the core form, which is stored. Upstream: pkg/apis/events/v1/conversion.go */
import type { Event as CoreEvent } from "../../../generated/core.v1.ts";
import type { Event } from "../../../generated/events.v1.ts";

/** New name, old name. */
const RENAMED: readonly (readonly [keyof Event, keyof CoreEvent])[] = [
  ["regarding", "involvedObject"],
  ["note", "message"],
  ["deprecatedSource", "source"],
  ["deprecatedFirstTimestamp", "firstTimestamp"],
  ["deprecatedLastTimestamp", "lastTimestamp"],
  ["deprecatedCount", "count"],
  ["reportingController", "reportingComponent"],
];

export function toCoreEvent(event: Event): CoreEvent {
  const renamed = rename(event as unknown as Fields, RENAMED);
  return { involvedObject: {}, ...renamed, apiVersion: "v1" } as unknown as CoreEvent;
}

export function fromCoreEvent(event: CoreEvent): Event {
  const back = RENAMED.map(([to, from]) => [from, to] as const);
  return { ...rename(event as unknown as Fields, back), apiVersion: "events.k8s.io/v1" } as unknown as Event;
}

type Fields = Readonly<Record<string, unknown>>;

function rename(fields: Fields, names: readonly (readonly [string, string])[]): Fields {
  const to = new Map(names);
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [to.get(name) ?? name, value]));
}
