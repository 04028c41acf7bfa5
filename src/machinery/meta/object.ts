/** What all API objects have in common. */
import type { ObjectMeta } from "./types.ts";

/** What every API object is. Objects are plain, deep-frozen and shared: whoever changes one builds a new one. */
export interface KubeObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: ObjectMeta;
}

/** An object as its maker may write it: `create` and `apply` take these, what is left out is defaulted. */
export type Draft<T> = T extends readonly (infer E)[]
  ? readonly Draft<E>[]
  : T extends object
    ? { readonly [K in keyof T]?: Draft<T[K]> | undefined }
    : T;

/** A page of a list; the items are shared and frozen. */
export interface ObjectList<T> {
  readonly items: readonly T[];
  readonly resourceVersion: string;
  readonly continue?: string;
  readonly remainingItemCount?: number;
}

export interface NamespacedName {
  /** Empty for a cluster-scoped object. */
  readonly namespace: string;
  readonly name: string;
}

/** `namespace/name`, or `name` alone for a cluster-scoped object: the key of work queues and caches. */
export function keyOf(object: { readonly metadata: { readonly name?: string; readonly namespace?: string } }): string {
  const { namespace, name } = object.metadata;
  return namespace === undefined || namespace === "" ? (name ?? "") : `${namespace}/${name}`;
}

export function splitKey(key: string): NamespacedName {
  const slash = key.indexOf("/");
  return slash < 0 ? { namespace: "", name: key } : { namespace: key.slice(0, slash), name: key.slice(slash + 1) };
}

/** The reference with `controller: true`, if there is one. */
export function controllerOf(object: { readonly metadata: Partial<ObjectMeta> }) {
  return object.metadata.ownerReferences?.find((owner) => owner.controller === true);
}
