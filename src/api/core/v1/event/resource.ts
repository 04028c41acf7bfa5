/** Upstream: pkg/registry/core/event */
import { nameIsPathSegment } from "../../../../machinery/validation/names.ts";
import { defineResource } from "../../../define.ts";
import type { Event } from "../../../generated/core.v1.ts";
import { eventColumns } from "./columns.ts";
import { validateEvent, validateEventUpdate } from "./validation.ts";

export const events = defineResource<Event>({
  group: "",
  version: "v1",
  kind: "Event",
  nameRule: nameIsPathSegment,
  behaviour: { validate: validateEvent, validateUpdate: validateEventUpdate },
  selectableFields: {
    "involvedObject.kind": ({ involvedObject }) => involvedObject.kind ?? "",
    "involvedObject.namespace": ({ involvedObject }) => involvedObject.namespace ?? "",
    "involvedObject.name": ({ involvedObject }) => involvedObject.name ?? "",
    "involvedObject.uid": ({ involvedObject }) => involvedObject.uid ?? "",
    "involvedObject.apiVersion": ({ involvedObject }) => involvedObject.apiVersion ?? "",
    "involvedObject.resourceVersion": ({ involvedObject }) => involvedObject.resourceVersion ?? "",
    "involvedObject.fieldPath": ({ involvedObject }) => involvedObject.fieldPath ?? "",
    reason: ({ reason }) => reason ?? "",
    reportingComponent: ({ reportingComponent }) => reportingComponent ?? "",
    source: ({ source, reportingComponent }) => source?.component || reportingComponent || "",
    type: ({ type }) => type ?? "",
  },
  columns: eventColumns<Event>((event) => event),
});
