/** Upstream: pkg/apis/events/v1, pkg/registry/events/event */
import type { Event } from "../../../generated/events.v1.ts";
import { defineResource } from "../../../define.ts";

export const events = defineResource<Event>({ group: "events.k8s.io", version: "v1", kind: "Event" });
