/** A running pod can only be changed in ways that its node supports. Upstream: plugin/pkg/admission/nodedeclaredfeatures */
import { isDeepStrictEqual } from "node:util";
import type { AnyObject } from "../framework.ts";
import { defineAdmission, refuse } from "../framework.ts";

export const nodeDeclaredFeatureValidator = defineAdmission({
  name: "NodeDeclaredFeatureValidator",
  onByDefault: true,
  reads: ["nodes"],
  handles: { operations: ["UPDATE"], resources: ["pods"], subresources: ["resize"] },
  validate(request, { gate, cluster }) {
    const { object, oldObject } = request;
    const name: string = object.spec.nodeName ?? "";
    if (!gate("NodeDeclaredFeatures", true) || name === "") return;
    // It changes with the spec only.
    if (object.metadata.generation === oldObject.metadata.generation) return;
    const needed = FEATURES.filter(({ isNeeded }) => isNeeded(oldObject.spec, object.spec)).map((one) => one.name);
    if (needed.length === 0) return;
    const node = cluster.get("nodes", "", name);
    if (node === undefined) throw refuse(request, `node ${JSON.stringify(name)} not found`);
    const declared: readonly string[] = node.status?.declaredFeatures ?? [];
    const missing = needed.filter((feature) => !declared.includes(feature));
    if (missing.length > 0)
      throw refuse(
        request,
        `pod update requires features ${missing.join(", ")} which are not available on node ${JSON.stringify(name)}`,
      );
  },
});

const same = (a: AnyObject, b: AnyObject): boolean => isDeepStrictEqual(plain(a), plain(b));
const plain = (value: AnyObject): unknown => (value === undefined ? {} : JSON.parse(JSON.stringify(value)));

/** In the order of upstream's registry; features that no update needs aren't here. */
const FEATURES: readonly {
  readonly name: string;
  readonly isNeeded: (before: AnyObject, now: AnyObject) => boolean;
}[] = [
  {
    name: "InPlacePodLevelResourcesVerticalScaling",
    isNeeded: (before, now) => !same(before.resources, now.resources),
  },
  {
    name: "InPlacePodVerticalScalingInitContainers",
    isNeeded: (before, now) =>
      (before.initContainers ?? []).some(
        (container: AnyObject, i: number) =>
          container.restartPolicy !== "Always" && !same(container.resources, now.initContainers?.[i]?.resources),
      ),
  },
];
