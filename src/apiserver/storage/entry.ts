/**
 * One stored object as all readers share it: decoded once, frozen, with its bytes beside it. Each served version of the kind is a view,
 * made when first asked for; so is each encoding of a view.
 */
import type { KubeObject } from "../../machinery/meta/object.ts";
import type { Resource } from "../../machinery/resource.ts";
import { apiVersionOf } from "../../machinery/resource.ts";
import { deepFreeze } from "../../base/mutable.ts";

export class Entry {
  /** The etcd key. */
  readonly key: string;
  /** etcd's mod_revision; the object's `metadata.resourceVersion` is this number. */
  readonly revision: number;
  /** In the version that is stored. */
  readonly stored: KubeObject;
  #views: Map<string, KubeObject> | undefined;
  #bytes: Map<string, Uint8Array> | undefined;

  constructor(key: string, revision: number, stored: KubeObject) {
    this.key = key;
    this.revision = revision;
    this.stored = stored;
  }

  /** The object as `resource` serves it. */
  view<T extends KubeObject>(resource: Resource<T>): T {
    const apiVersion = apiVersionOf(resource);
    if (this.stored.apiVersion === apiVersion && resource.storage.fromStored === undefined) return this.stored as T;
    let view = this.#views?.get(apiVersion);
    if (view === undefined) {
      view = viewOf(resource, this.stored);
      (this.#views ??= new Map()).set(apiVersion, view);
    }
    return view as T;
  }

  /** The bytes of a view in one encoding, made once. */
  bytes(resource: Resource, encoding: string, encode: (object: KubeObject) => Uint8Array): Uint8Array {
    const key = `${resource.group}/${resource.version}:${encoding}`;
    let bytes = this.#bytes?.get(key);
    if (bytes === undefined) {
      bytes = encode(this.view(resource));
      (this.#bytes ??= new Map()).set(key, bytes);
    }
    return bytes;
  }
}

/** A stored object in the version that `resource` serves. */
export function viewOf(resource: Resource, stored: KubeObject): KubeObject {
  const converted = resource.storage.fromStored?.(stored) ?? stored;
  const apiVersion = apiVersionOf(resource);
  if (converted.apiVersion === apiVersion && converted.kind === resource.kind) return deepFreeze(converted);
  return deepFreeze({ ...converted, apiVersion, kind: resource.kind });
}

/** A served object in the version that is stored. */
export function storedOf(resource: Resource, object: KubeObject): KubeObject {
  const converted = resource.storage.toStored?.(object) ?? object;
  const apiVersion = apiVersionOf(resource.storage);
  return converted.apiVersion === apiVersion ? converted : { ...converted, apiVersion };
}
