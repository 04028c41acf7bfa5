/**
 * A stored object as all readers share it: decoded once, frozen, with its bytes. Each served version of the kind is a view that is made on first
 * use, and so is each encoding of a view.
 */
import type { KubeObject } from "../../machinery/meta/object.ts";
import type { Resource } from "../../machinery/resource.ts";
import { apiVersionOf } from "../../machinery/resource.ts";
import { StatusError } from "../../machinery/status.ts";
import { deepFreeze } from "../../base/mutable.ts";

/** An encoding of one view. Hardly an entry has more than two. */
interface Encoded {
  readonly group: string;
  readonly version: string;
  readonly encoding: string;
  readonly bytes: Uint8Array;
  readonly next: Encoded | undefined;
}

export class Entry {
  /** The etcd key. */
  readonly key: string;
  /** etcd's mod_revision; the object's `metadata.resourceVersion` is this number. */
  readonly revision: number;
  /** In the version that is stored. */
  readonly stored: KubeObject;
  /** Those under way, so that two readers share them. */
  conversions: Map<string, Promise<void>> | undefined;
  #views: Map<string, KubeObject> | undefined;
  #encoded: Encoded | undefined;

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
      if (resource.storage.convert !== undefined && this.stored.apiVersion !== apiVersion)
        throw new StatusError("InternalError", `${this.key} has not been converted to ${apiVersion}`);
      view = viewOf(resource, this.stored);
      (this.#views ??= new Map()).set(apiVersion, view);
    }
    return view as T;
  }

  /** Whether `view` has to wait for somebody who converts. */
  needsConversion(resource: Resource): boolean {
    const apiVersion = apiVersionOf(resource);
    return (
      resource.storage.convert !== undefined &&
      this.stored.apiVersion !== apiVersion &&
      this.#views?.has(apiVersion) !== true
    );
  }

  /** Takes a view that somebody else made. */
  setView(apiVersion: string, view: KubeObject): void {
    (this.#views ??= new Map()).set(apiVersion, view);
  }

  /** For one that is no longer what is stored: hardly anybody asks for its bytes again. */
  forgetBytes(): void {
    this.#encoded = undefined;
  }

  /** The bytes of a view in one encoding, where they are made already. */
  knownBytes({ group, version }: Resource, encoding: string): Uint8Array | undefined {
    for (let one = this.#encoded; one !== undefined; one = one.next)
      if (one.encoding === encoding && one.version === version && one.group === group) return one.bytes;
    return undefined;
  }

  /** Takes bytes that somebody else made. */
  setBytes({ group, version }: Resource, encoding: string, bytes: Uint8Array): void {
    this.#encoded = { group, version, encoding, bytes: apart(bytes), next: this.#encoded };
  }

  /** The bytes of a view in one encoding, made once. */
  bytes(resource: Resource, encoding: string, encode: (object: KubeObject) => Uint8Array): Uint8Array {
    const known = this.knownBytes(resource, encoding);
    if (known !== undefined) return known;
    this.setBytes(resource, encoding, encode(this.view(resource)));
    return this.#encoded!.bytes;
  }
}

/** Bytes with a place of their own: what is kept for as long as an object lives would keep all that shares a slab with it. */
function apart(bytes: Uint8Array): Uint8Array {
  if (bytes.buffer.byteLength < 2 * bytes.length) return bytes;
  const own = Buffer.allocUnsafeSlow(bytes.length);
  own.set(bytes);
  return own;
}

/** A stored object in the version that `resource` serves. */
export function viewOf(resource: Resource, stored: KubeObject): KubeObject {
  const converted = resource.storage.fromStored?.(stored) ?? stored;
  const apiVersion = apiVersionOf(resource);
  if (converted.apiVersion === apiVersion && converted.kind === resource.kind) return deepFreeze(converted);
  return deepFreeze({ ...converted, apiVersion, kind: resource.kind });
}

/** Sees to it that these entries can be viewed as `resource`: all that need conversion are converted in one go, each once for all readers. */
export function prepareViews(resource: Resource, entries: readonly Entry[]): Promise<void> | undefined {
  if (resource.storage.convert === undefined) return undefined;
  const wanted = [...new Set(entries)].filter((entry) => entry.needsConversion(resource));
  return wanted.length === 0 ? undefined : convertAll(resource, wanted);
}

async function convertAll(resource: Resource, entries: readonly Entry[]): Promise<void> {
  const apiVersion = apiVersionOf(resource);
  const known: Promise<void>[] = [];
  const mine: Entry[] = [];
  for (const entry of entries) {
    const others = entry.conversions?.get(apiVersion);
    if (others === undefined) mine.push(entry);
    else known.push(others);
  }
  if (mine.length > 0) {
    const work = convertHere(resource, mine);
    for (const entry of mine) (entry.conversions ??= new Map()).set(apiVersion, work);
    known.push(work);
    await Promise.allSettled([work]);
    for (const entry of mine) entry.conversions?.delete(apiVersion);
  }
  await Promise.all(known);
}

async function convertHere(resource: Resource, entries: readonly Entry[]): Promise<void> {
  const apiVersion = apiVersionOf(resource);
  const stored = entries.map((entry) => entry.stored);
  const converted = await resource.storage.convert!(stored, apiVersion);
  entries.forEach((entry, i) => entry.setView(apiVersion, deepFreeze(converted[i])));
}

/** An entry for what one client sees: an object that isn't stored as it is. */
export function entryOfView(resource: Resource, key: string, revision: number, object: KubeObject): Entry {
  const stored = resource.storage.convert === undefined ? storedOf(resource, object) : object;
  return new Entry(key, revision, deepFreeze(stored));
}

/** `storedOf`, where that may take time. */
export function convertedToStored(resource: Resource, object: KubeObject): KubeObject | Promise<KubeObject> {
  const apiVersion = apiVersionOf(resource.storage);
  const { convert } = resource.storage;
  if (convert === undefined || object.apiVersion === apiVersion) return storedOf(resource, object);
  return convert([object], apiVersion).then(([converted]) => converted as KubeObject);
}

/** A served object in the version that is stored. */
export function storedOf(resource: Resource, object: KubeObject): KubeObject {
  const converted = resource.storage.toStored?.(object) ?? object;
  const apiVersion = apiVersionOf(resource.storage);
  return converted.apiVersion === apiVersion ? converted : { ...converted, apiVersion };
}
