/** The requests and limits of a pod as a whole, as cgroup parameters. Upstream: component-helpers/resource */
import type { Pod, ResourceRequirements } from "../../api/generated/core.v1.ts";
import { NUMBERS, peakOf } from "../../api/core/v1/pod/resources.ts";
import { milliOf, valueOf } from "../quantity.ts";

/** A resource in the unit it is counted in: millicores for cpu, whole units for the rest. */
export const amountOf = (resource: string, quantity: string | undefined): number =>
  resource === "cpu" ? milliOf(quantity) : valueOf(quantity);

type Amounts = Record<string, number>;

function amounts(list: Readonly<Record<string, string>> | undefined): Amounts {
  const result: Amounts = {};
  for (const [name, quantity] of Object.entries(list ?? {})) result[name] = amountOf(name, quantity);
  return result;
}
/** What the pod needs at its peak; the pod's own word overrides, and the overhead comes on top. */
export function podRequests(pod: Pod, options: { readonly overhead?: boolean } = {}): Amounts {
  return total(pod, "requests", options.overhead ?? true);
}
export function podLimits(pod: Pod, options: { readonly overhead?: boolean } = {}): Amounts {
  return total(pod, "limits", options.overhead ?? true);
}

function total(pod: Pod, what: "requests" | "limits", withOverhead: boolean): Amounts {
  const result: Amounts = Object.fromEntries(
    peakOf(pod.spec, ({ resources }) => Object.entries(of(resources, what)), NUMBERS),
  );
  Object.assign(result, amounts(pod.spec.resources?.[what]));
  if (withOverhead) {
    const overhead = amounts(pod.spec.overhead);
    for (const name in overhead) {
      if (what === "requests" || result[name] !== undefined) result[name] = (result[name] ?? 0) + overhead[name]!;
    }
  }
  return result;
}

/** A missing request is the limit. */
function of(resources: ResourceRequirements | undefined, what: "requests" | "limits"): Amounts {
  if (what === "limits") return amounts(resources?.limits);
  return { ...amounts(resources?.limits), ...amounts(resources?.requests) };
}
