/** Upstream: pkg/apis/core/v1, pkg/registry/core/event */
import type { Event } from "../../../generated/core.v1.ts";
import { defineResource } from "../../../define.ts";

export const events = defineResource<Event>({ group: "", version: "v1", kind: "Event" });
