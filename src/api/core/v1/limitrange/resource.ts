/** Upstream: pkg/apis/core/v1/defaults.go, pkg/registry/core/limitrange */
import type { Mutable } from "../../../../base/mutable.ts";
import { defineResource } from "../../../define.ts";
import { roundResourceList } from "../../../defaulting.ts";
import type { LimitRange, LimitRangeItem } from "../../../generated/core.v1.ts";
import { validateLimitRange } from "./validation.ts";

export const limitRanges = defineResource<LimitRange>({
  group: "",
  version: "v1",
  kind: "LimitRange",
  behaviour: {
    defaults({ spec }) {
      for (const item of spec?.limits ?? []) defaultItem(item);
    },
    prepareForCreate(range, { uuid }) {
      if (!range.metadata.name) range.metadata.name = uuid();
    },
    validate: validateLimitRange,
  },
});

/** What a container may have at most is what it gets; what it gets, or must have at least, is what it asks for. */
function defaultItem(item: Mutable<LimitRangeItem>): void {
  if (item.type === "Container") {
    const limits: Record<string, string> = { ...item.max, ...item.default };
    const requests: Record<string, string> = { ...item.min, ...limits, ...item.defaultRequest };
    if (Object.keys(limits).length > 0) item.default = limits;
    if (Object.keys(requests).length > 0) item.defaultRequest = requests;
  }
  for (const list of [item.max, item.min, item.default, item.defaultRequest, item.maxLimitRequestRatio])
    roundResourceList(list);
}
