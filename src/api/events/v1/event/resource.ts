/** The same events as the core group's, under names of their own. Upstream: pkg/apis/events/v1/conversion.go */
import { defineResource } from "../../../define.ts";
import type { Event } from "../../../generated/events.v1.ts";
import { eventColumns } from "../../../core/v1/event/columns.ts";
import { validateNewEvent, validateNewEventUpdate } from "../../../core/v1/event/validation.ts";
import { fromCoreEvent, toCoreEvent } from "./conversion.ts";

export const events = defineResource<Event>({
  group: "events.k8s.io",
  version: "v1",
  kind: "Event",
  behaviour: {
    validate: (event) => validateNewEvent(toCoreEvent(event)),
    validateUpdate: (event, old) => validateNewEventUpdate(toCoreEvent(event), toCoreEvent(old)),
  },
  selectableFields: {
    "regarding.kind": ({ regarding }) => regarding?.kind ?? "",
    "regarding.namespace": ({ regarding }) => regarding?.namespace ?? "",
    "regarding.name": ({ regarding }) => regarding?.name ?? "",
    "regarding.uid": ({ regarding }) => regarding?.uid ?? "",
    "regarding.apiVersion": ({ regarding }) => regarding?.apiVersion ?? "",
    "regarding.resourceVersion": ({ regarding }) => regarding?.resourceVersion ?? "",
    "regarding.fieldPath": ({ regarding }) => regarding?.fieldPath ?? "",
    reason: ({ reason }) => reason ?? "",
    reportingController: ({ reportingController }) => reportingController ?? "",
    type: ({ type }) => type ?? "",
  },
  columns: eventColumns<Event>(toCoreEvent),
  toStored: toCoreEvent,
  fromStored: fromCoreEvent,
});
