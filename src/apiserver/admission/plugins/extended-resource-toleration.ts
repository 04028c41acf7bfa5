/** Nodes with rare devices are tainted with the device's name: pods that ask for it go there. Upstream: plugin/pkg/admission/extendedresourcetoleration */
import { isDeepStrictEqual } from "node:util";
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
      const { tolerations = [] } = spec;
      if (!tolerations.some((one: AnyObject) => isDeepStrictEqual({ ...one }, toleration)))
        spec.tolerations = [...tolerations, toleration];
    }
  },
});

const isExtended = (name: string): boolean =>
  name.includes("/") && !name.includes("kubernetes.io/") && !name.startsWith("requests.");
