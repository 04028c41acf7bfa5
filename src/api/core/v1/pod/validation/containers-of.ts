/** Upstream: pkg/apis/core/pods/helpers.go (VisitContainersWithPath) */
import type { Container, PodSpec } from "../../../../generated/core.v1.ts";

export interface PlacedContainer {
  readonly container: Container;
  readonly path: string;
}

/** All containers of a pod, those that run first in front. */
export function containersOf(spec: PodSpec, path: string): readonly PlacedContainer[] {
  return (["initContainers", "containers", "ephemeralContainers"] as const).flatMap((list) =>
    (spec[list] ?? []).map((container, i) => ({ container, path: `${path}.${list}[${i}]` })),
  );
}
