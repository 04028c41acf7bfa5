/** Records events about objects, aggregated and rate-limited as upstream's broadcaster does. Never throws; never blocks. Upstream: staging/src/k8s.io/client-go/tools/events */
import type { KubeObject } from "../machinery/meta/object.ts";

export interface EventRecorder {
  event(
    about: KubeObject | ObjectReferenceLike,
    type: "Normal" | "Warning",
    reason: string,
    message: string,
    annotations?: Readonly<Record<string, string>>,
  ): void;
}

export interface ObjectReferenceLike {
  readonly apiVersion?: string;
  readonly kind: string;
  readonly namespace?: string;
  readonly name: string;
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly fieldPath?: string;
}
