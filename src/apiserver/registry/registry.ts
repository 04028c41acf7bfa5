/** The served resources and their storages: all versions of a kind share one storage. */
import { encodeCbor } from "../../machinery/codec/cbor.ts";
import { deepFreeze } from "../../base/mutable.ts";
import type { KubeObject } from "../../machinery/meta/object.ts";
import type { Resource } from "../../machinery/resource.ts";
import { qualified } from "../../machinery/status.ts";
import type { Logger } from "../../observe/log.ts";
import type { EtcdClient } from "../../protocols/etcd/client.ts";
import type { ProtobufCodec } from "../../machinery/codec/protobuf.ts";
import type { Clock } from "../../world/world.ts";
import { isCustom } from "./decode.ts";
import { decodeStored } from "../serialization.ts";
import type { Transformer } from "../encryption/transformer.ts";
import type { Entry } from "../storage/entry.ts";
import type { StoreOptions } from "../storage/store.ts";
import { Store } from "../storage/store.ts";
import type { Storage } from "../storage/watch-cache.ts";
import { keyFor, prefixFor } from "../storage/keys.ts";
import { WatchCache } from "../storage/watch-cache.ts";

export interface RegistryOptions {
  readonly etcd: EtcdClient;
  readonly clock: Clock;
  readonly log: Logger;
  readonly codec: ProtobufCodec;
  /** Whether built-in kinds are written in protobuf. */
  readonly protobuf?: boolean;
  /** Whether custom ones are written in CBOR. */
  readonly cbor?: boolean;
  /** Whether clients are told which objects can't be read. */
  readonly namesCorrupt?: boolean;
  /** A function that is told of each request to etcd about a resource. */
  readonly leased?: StoreOptions["leased"];
  readonly asked?: (resource: Resource) => NonNullable<StoreOptions["asked"]>;
  /** What the server decides by, see `own-reads.ts`. */
  readonly ownReads?: readonly string[];
  /** What a resource's values go through on their way to etcd. */
  readonly encryption?: { transformerFor(group: string, resource: string): Transformer };
}

interface Running {
  readonly resource: Resource;
  readonly storage: Storage;
  readonly abort: AbortController;
  readonly done: Promise<void>;
}

/** Groups of servers that upstream has inside its own, and that never took up protobuf. */
const ALWAYS_JSON: ReadonlySet<string> = new Set(["apiextensions.k8s.io", "apiregistration.k8s.io"]);

export class Registry {
  readonly #options: RegistryOptions;
  /** By `group/version/plural`. */
  readonly #byPath = new Map<string, Resource>();
  /** By `plural` or `plural.group`: the version that the server itself works with. */
  readonly #byName = new Map<string, Resource>();
  readonly #storages = new Map<string, Running>();
  readonly #customSchemas = new Map<string, Readonly<Record<string, unknown>>>();
  readonly #ownReads: Set<string>;
  #version = 0;

  constructor(options: RegistryOptions) {
    this.#options = options;
    this.#ownReads = new Set(options.ownReads);
  }

  /** Counts changes of what is served, for documents made from it. */
  get version(): number {
    return this.#version;
  }

  get resources(): readonly Resource[] {
    return [...this.#byPath.values()];
  }

  find(group: string, version: string, plural: string): Resource | undefined {
    return this.#byPath.get(`${group}/${version}/${plural}`);
  }

  hasVersion(group: string, version: string): boolean {
    return this.resources.some((resource) => resource.group === group && resource.version === version);
  }

  /** One of the groups that are there from the start. */
  hasGroup(group: string): boolean {
    return this.resources.some((resource) => resource.group === group && resource.schema.name !== undefined);
  }

  /** `pods`, `deployments.apps` */
  named(name: string): Resource | undefined {
    return this.#byName.get(name);
  }

  /** The resource of a kind in one version. */
  ofKind(group: string, version: string, kind: string): Resource | undefined {
    return this.resources.find((r) => r.group === group && r.version === version && r.kind === kind);
  }

  /** The OpenAPI schema that a custom kind's CRD brought. */
  customSchema(group: string, version: string, kind: string): Readonly<Record<string, unknown>> | undefined {
    return this.#customSchemas.get(`${group}/${version}/${kind}`);
  }

  addCustom(resource: Resource, schema: Readonly<Record<string, unknown>>): void {
    this.#customSchemas.set(`${resource.group}/${resource.version}/${resource.kind}`, schema);
    this.add(resource);
  }

  add(resource: Resource): void {
    this.#byPath.set(`${resource.group}/${resource.version}/${resource.plural}`, resource);
    const name = qualified(resource);
    const known = this.#byName.get(name);
    // The stored version is the one to work with; a later registration of the same version replaces the earlier.
    if (known === undefined || known.version === resource.version || resource.storage.version === resource.version)
      this.#byName.set(name, resource);
    this.#version++;
  }

  /** Forgets a version of a custom kind; its storage ends with `closeStorage`. */
  remove(group: string, version: string, plural: string): void {
    this.#byPath.delete(`${group}/${version}/${plural}`);
    const name = qualified({ group, plural });
    if (this.#byName.get(name)?.version === version) {
      this.#byName.delete(name);
      for (const other of this.#byPath.values()) if (qualified(other) === name) this.#byName.set(name, other);
    }
    this.#version++;
  }

  /** Opened when first asked for: its watch cache runs from then on. */
  storage(resource: Resource): Storage {
    const prefix = prefixFor(resource, "");
    const running = this.#storages.get(prefix);
    if (running !== undefined) return running.storage;
    const { etcd, clock, log, encryption, codec } = this.#options;
    const { schema } = this.#storedResource(resource);
    const transformer = encryption?.transformerFor(resource.storage.group, resource.plural);
    const name = qualified(resource);
    const store = new Store({
      etcd,
      clock,
      resource,
      namesCorrupt: this.#options.namesCorrupt === true,
      written: (revision) => (this.#ownReads.has(name) ? cache.heardOf(revision) : undefined),
      ...(transformer && { transformer }),
      ...(this.#options.leased && { leased: this.#options.leased }),
      ...(this.#options.asked && { asked: this.#options.asked(resource) }),
      decode: (value) => this.#decode(resource, value),
      ...(this.#options.protobuf === true &&
        schema.name !== undefined &&
        !ALWAYS_JSON.has(resource.group) && { encode: (object: KubeObject) => codec.encode(object, schema) }),
      ...(this.#options.cbor === true && schema.name === undefined && { encode: (object) => encodeCbor(object) }),
    });
    const cache = new WatchCache({ etcd, store, clock, log, prefix });
    const abort = new AbortController();
    const storage = { store, cache };
    this.#storages.set(prefix, { resource, storage, abort, done: cache.run(abort.signal) });
    return storage;
  }

  /** From now on the server decides by this resource, too. */
  readBySelf(resource: Resource): void {
    this.#ownReads.add(qualified(resource));
  }

  /** What is stored, each kind once. */
  *stored(): Iterable<{ readonly resource: Resource } & Storage> {
    for (const { resource, storage } of this.#storages.values()) yield { resource, ...storage };
  }

  async closeStorage(resource: Resource): Promise<void> {
    const prefix = prefixFor(resource, "");
    const running = this.#storages.get(prefix);
    this.#storages.delete(prefix);
    running?.abort.abort();
    await running?.done;
  }

  async close(): Promise<void> {
    const all = [...this.#storages.values()];
    this.#storages.clear();
    for (const { abort } of all) abort.abort();
    await Promise.all(all.map(({ done }) => done));
  }

  get storages(): readonly Storage[] {
    return [...this.#storages.values()].map(({ storage }) => storage);
  }

  /** The entry in the watch cache, which may be a little behind. */
  cached(resource: Resource, namespace: string, name: string): Entry | undefined {
    return this.storage(resource).cache.get(keyFor(resource, namespace, name));
  }

  /** A stored value, defaulted as the kind's stored version asks for. */
  #decode(resource: Resource, value: Uint8Array): KubeObject {
    const stored = this.#storedResource(resource);
    const versions = (apiVersion: string) => {
      const [group = "", version = ""] = apiVersion.split("/");
      return group === resource.group ? this.find(group, version, resource.plural) : undefined;
    };
    return deepFreeze(decodeStored(value, stored, this.#options.codec, isCustom(resource) ? versions : undefined));
  }

  #storedResource(resource: Resource): Resource {
    const { group, version } = resource.storage;
    return (
      this.find(group, version, resource.plural) ??
      this.resources.find(
        (r) => r.group === group && r.version === version && r.storage.prefix === resource.storage.prefix,
      ) ??
      resource
    );
  }
}
