/** Label selectors, for controllers that match each only once. */
import type { LabelSelector } from "../../machinery/meta/types.ts";
import { type Labels, selectorOf } from "../../machinery/selector/labels.ts";

/** For a single question; who asks about many objects keeps `selectorOf(selector)`. */
export function matchesSelector(selector: LabelSelector | undefined, labels: Labels | undefined): boolean {
  return selectorOf(selector).matches(labels);
}

/** A plain map, as Services and ReplicationControllers select with. */
export function matchesLabels(wanted: Labels, labels: Labels | undefined): boolean {
  for (const key in wanted) if (labels?.[key] !== wanted[key]) return false;
  return true;
}

export function isEmptySelector(selector: LabelSelector): boolean {
  return Object.keys(selector.matchLabels ?? {}).length === 0 && (selector.matchExpressions ?? []).length === 0;
}
