/**
 * A pod that requests an extended resource tolerates the taint of that name, which keeps other pods off the nodes that have it.
 * Upstream: plugin/pkg/admission/extendedresourcetoleration
 */
import { isQualifiedName } from "../../../machinery/validation/names.ts";
import type { AnyObject } from "../framework.ts";
import { defineAdmission } from "../framework.ts";

export const extendedResourceToleration = defineAdmission({
  name: "ExtendedResourceToleration",
  onByDefault: false,
  handles: { operations: ["CREATE", "UPDATE"], resources: ["pods"] },
  admit({ object: { spec } }) {
    const containers: readonly AnyObject[] = [...(spec.containers ?? []), ...(spec.initContainers ?? [])];
    const names = new Set(containers.flatMap(({ resources }) => Object.keys(resources?.requests ?? {})));
    for (const key of [...names].filter(isExtended).sort()) {
      const toleration = { key, operator: "Exists", effect: "NoSchedule" };
      const tolerations: readonly AnyObject[] = spec.tolerations ?? [];
      // One that is the same but for how long it holds is replaced.
      const matches = (one: AnyObject) =>
        one.key === key && one.effect === "NoSchedule" && one.operator === "Exists" && (one.value ?? "") === "";
      spec.tolerations = tolerations.some(matches)
        ? tolerations.map((one) => (matches(one) ? toleration : one))
        : [...tolerations, toleration];
    }
  },
});

function isExtended(name: string): boolean {
  if (!name.includes("/") || name.includes("kubernetes.io/") || name.startsWith("requests.")) return false;
  return isQualifiedName(`requests.${name}`).length === 0;
}
