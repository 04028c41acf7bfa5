/** The interface of the proxy's back ends. Upstream: pkg/proxy/types.go */
import type { PortModel } from "../model/model.ts";

/** The whole of what a node should do, by service key (`namespace/name`). */
export type Model = ReadonlyMap<string, readonly PortModel[]>;

/** One way of making the kernel do it. Back ends are interchangeable; the registry is `backends/index.ts`. */
export interface Backend {
  readonly name: string;
  /** Brings the kernel to `model`. `changed` names the services that differ from the last successful sync; undefined asks for everything. */
  sync(model: Model, changed: ReadonlySet<string> | undefined): Promise<void>;
  /** False when someone else has flushed our rules: the next sync must be a full one. */
  intact(): Promise<boolean>;
  /** Takes away everything that this back end ever made. */
  cleanup(): Promise<void>;
}
