/** The client that all components use, typed by the resource it is passed, over any transport. */
import type { Draft, KubeObject, ObjectList } from "../machinery/meta/object.ts";
import type { ResourceName, ResourceOf } from "../machinery/resource.ts";
import type { PatchType, Transport, WatchEvent } from "./transport.ts";

export interface At {
  readonly namespace?: string;
  readonly name: string;
}
export interface CallOptions {
  readonly signal?: AbortSignal;
}
export interface ListOptions extends CallOptions {
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  readonly limit?: number;
  readonly continue?: string;
  readonly resourceVersion?: string;
  readonly resourceVersionMatch?: "NotOlderThan" | "Exact";
}
export interface WatchOptions extends CallOptions {
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  readonly resourceVersion?: string;
  readonly allowBookmarks?: boolean;
  readonly sendInitialEvents?: boolean;
  readonly timeoutSeconds?: number;
}
export interface WriteOptions extends CallOptions {
  readonly fieldManager?: string;
  readonly dryRun?: boolean;
}
export interface DeleteOptions extends CallOptions {
  readonly gracePeriodSeconds?: number;
  readonly propagationPolicy?: "Orphan" | "Background" | "Foreground";
  readonly preconditions?: { readonly uid?: string; readonly resourceVersion?: string };
}

/** Every method throws `StatusError`. */
export interface Client {
  readonly transport: Transport;
  get<T extends KubeObject>(resource: ResourceOf<T>, at: At, options?: CallOptions): Promise<T>;
  list<T extends KubeObject>(resource: ResourceOf<T>, options?: ListOptions): Promise<ObjectList<T>>;
  watch<T extends KubeObject>(resource: ResourceOf<T>, options?: WatchOptions): AsyncIterable<WatchEvent<T>>;
  /** `apiVersion` and `kind` are filled in. */
  create<T extends KubeObject>(resource: ResourceOf<T>, object: Draft<T>, options?: WriteOptions): Promise<T>;
  update<T extends KubeObject>(
    resource: ResourceOf<T>,
    object: T,
    options?: WriteOptions & { readonly subresource?: string },
  ): Promise<T>;
  updateStatus<T extends KubeObject>(resource: ResourceOf<T>, object: T, options?: WriteOptions): Promise<T>;
  patch<T extends KubeObject>(
    resource: ResourceOf<T>,
    at: At,
    type: PatchType,
    patch: unknown,
    options?: WriteOptions & { readonly subresource?: string; readonly force?: boolean },
  ): Promise<T>;
  delete<T extends KubeObject>(resource: ResourceOf<T>, at: At, options?: DeleteOptions): Promise<void>;
  deleteCollection<T extends KubeObject>(resource: ResourceOf<T>, options?: DeleteOptions & ListOptions): Promise<void>;
  /** POST to a subresource with an object of its own kind: `binding`, `eviction`, `token`. */
  createSubresource(
    resource: ResourceName,
    at: At,
    subresource: string,
    body: unknown,
    options?: WriteOptions,
  ): Promise<unknown>;
}
