/** A pod that waits for a node. */
import type { PodInfo } from "../cache/pod-info.ts";

export interface QueuedPod {
  info: PodInfo;
  /** When it was last put into the queue, ms. */
  timestamp: number;
  attempts: number;
  /** When it was first seen, ms: what its way through the scheduler is measured from. */
  readonly addedAt: number;
  backoffUntil: number;
  unschedulableCount: number;
  consecutiveErrors: number;
  /** The plugins that refused it last time. */
  rejectors: ReadonlySet<string>;
  /** The plugin that keeps it out of the queue. */
  gate: string | undefined;
  place: "active" | "backoff" | "error backoff" | "unschedulable" | "being scheduled" | "gone";
  /** Raised with every move: heap entries with an older one are dead. */
  ticket: number;
  /** It was retried only because it had waited for long. */
  flushed: boolean;
}
