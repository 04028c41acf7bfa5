/**
 * The definition of a controller. The framework owns informers, the work queue, workers, back-off, read-your-writes, leader election and metrics; a
 * controller reads, plans and applies.
 */
import type { Clock, Random } from "../world/world.ts";
import type { Logger } from "../observe/log.ts";
import type { KubeObject } from "../machinery/meta/object.ts";
import type { ResourceOf } from "../machinery/resource.ts";
import type { Client } from "./client.ts";
import type { EventRecorder } from "./events.ts";
import type { Informer, Informers } from "./informer/informer.ts";

export interface ControllerContext {
  readonly client: Client;
  readonly informers: Informers;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly events: EventRecorder;
  /** Command-line settings of the controller manager, by flag name. */
  readonly options: Readonly<Record<string, unknown>>;
}

/** `done`, or look again in so many ms whatever happens. Throwing means back off and retry. */
export type Outcome = { readonly againMs?: number };
export const done: Outcome = {};
export const again = (ms: number): Outcome => ({ againMs: ms });

/** What wakes a controller: objects of `resource`, mapped to keys of what it reconciles. */
export interface Trigger<T extends KubeObject = any> {
  readonly resource: ResourceOf<T>;
  keys(object: T, informers: Informers): readonly string[];
  /** Which changes wake; all by default. */
  readonly on?: readonly ("add" | "update" | "delete")[];
  /** False where an update changes nothing this controller reads. */
  changed?(old: T, object: T): boolean;
}

export interface ControllerDefinition {
  /** Upstream's name: `deployment-controller`. */
  readonly name: string;
  /** Names that `--controllers` takes as well. */
  readonly aliases?: readonly string[];
  /** The component that its events name, where it isn't `name`. */
  readonly eventsAs?: string;
  readonly workers: { readonly flag?: string; readonly default: number };
  readonly triggers: readonly Trigger[];
  /** Other resources it reads: their informers are synced before the first reconcile. */
  readonly reads?: readonly ResourceOf<any>[];
  /** The wait after a failure, where it isn't the usual 5 ms · 2ⁿ up to 1000 s. */
  readonly backoff?: { readonly baseMs: number; readonly maxMs: number };
  /** Failures after which a key is dropped until something wakes it again. */
  readonly retriesMax?: number;
  /** Called once, before the informers start: indexes, and state that lives as long as the controller. */
  create(context: ControllerContext): Reconciler;
}

export interface Reconciler {
  /**
   * Reads the world as it is, never the event that woke it: a missed or doubled event changes nothing. `client` is this call's own: the key
   * comes again only when the informers show what was written through it.
   */
  reconcile(key: string, signal: AbortSignal, client: Client): Promise<Outcome>;
  /** Work beside the queue (periodic scans). Runs until the signal aborts. */
  background?(signal: AbortSignal): Promise<void>;
}

export function defineController(definition: ControllerDefinition): ControllerDefinition {
  return definition;
}

/** Wakes the controller that owns the object: follows `controller: true` references of the given kind. */
export type OwnerTrigger = <T extends KubeObject>(
  resource: ResourceOf<T>,
  ownerKind: { readonly group: string; readonly kind: string },
) => Trigger<T>;
export type { Informer };
