/**
 * A small API server in memory, for unit tests of controllers and other clients: create, get, list, watch, update, patch, delete with versions,
 * generations, finalizers, status subresources and discovery. No authentication, validation or defaults: tests that need those use the real server.
 */
import { parsePath } from "../client/recording.ts";
import { BUILT_IN } from "../client/resources.ts";
import type { RestRequest, Transport, WatchEvent } from "../client/transport.ts";
import { formatTime } from "../machinery/meta/time.ts";
import { deepFreeze } from "../base/mutable.ts";
import { keyOf, type KubeObject } from "../machinery/meta/object.ts";
import { apiVersionOf, type ResourceName } from "../machinery/resource.ts";
import { StatusError, alreadyExists, conflict, notFound } from "../machinery/status.ts";

type Json = any;

export interface FakeTransport extends Transport {
  /** Every write, in order: `POST /api/v1/...`. */
  readonly requests: readonly RestRequest[];
  /** Puts an object as it is, as if someone else had written it; returns what is stored. */
  put<T extends KubeObject>(resource: ResourceName, object: Json): T;
  /** Takes an object out at once, finalizers or not. */
  take(resource: ResourceName, key: string): void;
  objects<T extends KubeObject = any>(resource: ResourceName): readonly T[];
  get<T extends KubeObject = any>(resource: ResourceName, key: string): T | undefined;
  /** Called before each request; a throw is its answer. */
  onRequest: ((request: RestRequest) => void) | undefined;
  /** Forgets history: a watch from before now expires. */
  compact(): void;
  /** Ends all watches, as a restarting server does. */
  cutWatches(): void;
}

export interface FakeTransportOptions {
  readonly now?: () => number;
  readonly resources?: readonly ResourceName[];
}

export function fakeTransport(options: FakeTransportOptions = {}): FakeTransport {
  return new Fake(options);
}

interface Watcher {
  readonly path: string;
  readonly matches: (object: KubeObject) => boolean;
  readonly queue: WatchEvent[];
  wake: (() => void) | undefined;
  ended: boolean;
}

interface HistoryEntry {
  readonly version: number;
  readonly path: string;
  readonly event: WatchEvent;
  readonly before: KubeObject | undefined;
}

class Fake implements FakeTransport {
  readonly requests: RestRequest[] = [];
  onRequest: ((request: RestRequest) => void) | undefined;
  readonly #now: () => number;
  readonly #resources: readonly ResourceName[];
  readonly #tables = new Map<string, Map<string, KubeObject>>();
  readonly #watchers = new Set<Watcher>();
  #history: HistoryEntry[] = [];
  #version = 0;
  #compacted = 0;
  #uids = 0;

  constructor({ now = () => 0, resources = BUILT_IN }: FakeTransportOptions) {
    this.#now = now;
    this.#resources = resources;
  }

  async send(request: RestRequest): Promise<unknown> {
    await Promise.resolve();
    request.signal?.throwIfAborted();
    this.onRequest?.(request);
    if (request.method !== "GET") this.requests.push(request);
    if (request.path === "/api" || request.path === "/apis") return this.#discovery(request.path === "/api");
    const { resource, at } = this.#locate(request.path);
    switch (request.method) {
      case "GET":
        return at.name === undefined ? this.#list(resource, at.namespace, request) : this.#need(resource, at);
      case "POST":
        if (at.subresource !== undefined) return this.#subresource(resource, at, request);
        return this.#create(resource, at.namespace, request.body);
      case "PUT":
        return this.#update(resource, at, request.body);
      case "PATCH": {
        const old = this.#need(resource, at);
        return this.#update(resource, at, applyPatch(old, request));
      }
      case "DELETE":
        if (at.name !== undefined) return this.#delete(resource, this.#need(resource, at), request.body);
        for (const object of this.#select(resource, at.namespace, request))
          this.#delete(resource, object, request.body);
        return { kind: "Status", apiVersion: "v1", metadata: {}, status: "Success" };
    }
  }

  async *watch(request: RestRequest): AsyncIterable<WatchEvent> {
    await Promise.resolve();
    this.onRequest?.(request);
    const { resource, at } = this.#locate(request.path);
    const from = Number(request.query?.["resourceVersion"] ?? this.#version);
    if (from < this.#compacted)
      throw new StatusError("Expired", `too old resource version: ${from} (${this.#compacted})`);
    const path = tableOf(resource);
    const selects = selection(at.namespace, request);
    const watcher: Watcher = { path, matches: selects, queue: [], wake: undefined, ended: false };
    for (const entry of this.#history) if (entry.version > from) this.#offer(watcher, entry);
    this.#watchers.add(watcher);
    const end = () => {
      watcher.ended = true;
      watcher.wake?.();
    };
    request.signal?.addEventListener("abort", end, { once: true });
    if (request.signal?.aborted) end();
    try {
      for (;;) {
        const event = watcher.queue.shift();
        if (event !== undefined) yield event;
        else if (watcher.ended) return;
        else {
          await new Promise<void>((resolve) => (watcher.wake = resolve));
          watcher.wake = undefined;
        }
      }
    } finally {
      this.#watchers.delete(watcher);
      request.signal?.removeEventListener("abort", end);
    }
  }

  async raw(): Promise<{ readonly status: number; readonly body: AsyncIterable<Uint8Array> }> {
    return { status: 404, body: (async function* () {})() };
  }

  async close(): Promise<void> {
    this.cutWatches();
  }

  put<T extends KubeObject>(resource: ResourceName, object: Json): T {
    const key = keyOf(object);
    const old = this.#table(resource).get(key);
    const { metadata } = object;
    return this.#store(resource, old, {
      apiVersion: apiVersionOf(resource),
      kind: resource.kind,
      ...object,
      metadata: {
        uid: old?.metadata.uid ?? this.#uid(),
        creationTimestamp: old?.metadata.creationTimestamp ?? formatTime(this.#now()),
        ...(object.spec !== undefined && { generation: (old?.metadata.generation ?? 0) + 1 }),
        ...metadata,
      },
    }) as T;
  }

  take(resource: ResourceName, key: string): void {
    const object = this.#table(resource).get(key);
    if (object !== undefined) this.#remove(resource, object);
  }

  objects<T extends KubeObject = any>(resource: ResourceName): readonly T[] {
    return [...this.#table(resource).values()] as unknown as T[];
  }

  get<T extends KubeObject = any>(resource: ResourceName, key: string): T | undefined {
    return this.#table(resource).get(key) as T | undefined;
  }

  compact(): void {
    this.#compacted = ++this.#version;
    this.#history = [];
  }

  cutWatches(): void {
    for (const watcher of this.#watchers) {
      watcher.ended = true;
      watcher.wake?.();
    }
  }

  #create(resource: ResourceName, namespace: string | undefined, body: Json): KubeObject {
    let { name } = body.metadata ?? {};
    if (name === undefined || name === "") {
      const suffix = String(this.#version + 1)
        .padStart(5, "0")
        .replaceAll("0", "x")
        .replaceAll("1", "z");
      name = `${body.metadata.generateName}${suffix}`;
    }
    const table = this.#table(resource);
    const scoped =
      resource.scope === "Namespaced" ? { namespace: namespace ?? body.metadata.namespace ?? "default" } : {};
    const metadata = { ...body.metadata, name, ...scoped };
    if (table.has(keyOf({ metadata }))) throw alreadyExists(resource, name);
    return this.#store(resource, undefined, {
      ...body,
      metadata: {
        ...metadata,
        uid: this.#uid(),
        creationTimestamp: formatTime(this.#now()),
        ...(body.spec !== undefined && { generation: 1 }),
      },
      ...(body.spec !== undefined && { status: body.status ?? {} }),
    });
  }

  #update(resource: ResourceName, at: Place, body: Json): KubeObject {
    const old: Json = this.#need(resource, at);
    const sent = body.metadata?.resourceVersion;
    if (body.metadata?.uid !== undefined && body.metadata.uid !== old.metadata.uid)
      throw conflict(
        resource,
        at.name!,
        `Precondition failed: UID in precondition: ${body.metadata.uid}, UID in object meta: ${old.metadata.uid}`,
      );
    if (sent !== undefined && sent !== "" && sent !== old.metadata.resourceVersion)
      throw conflict(
        resource,
        at.name!,
        "the object has been modified; please apply your changes to the latest version and try again",
      );
    const ofStatus = at.subresource === "status";
    const next: Json =
      ofStatus || at.subresource === "finalize"
        ? {
            ...old,
            ...(ofStatus ? { status: body.status } : { spec: body.spec }),
            metadata: { ...old.metadata, ...pickStatusMeta(body) },
          }
        : { ...body, ...("status" in old && { status: old.status }) };
    const changed = !same(next.spec, old.spec);
    next.metadata = {
      ...next.metadata,
      uid: old.metadata.uid,
      creationTimestamp: old.metadata.creationTimestamp,
      resourceVersion: old.metadata.resourceVersion,
      ...(old.metadata.deletionTimestamp && { deletionTimestamp: old.metadata.deletionTimestamp }),
      ...(old.metadata.generation !== undefined && { generation: old.metadata.generation + (changed ? 1 : 0) }),
    };
    if (same(next, old)) return old;
    const finalizers = next.metadata.finalizers ?? next.spec?.finalizers ?? [];
    const held = [
      ...(next.metadata.finalizers ?? []),
      ...((resource.kind === "Namespace" && next.spec?.finalizers) || []),
    ];
    if (next.metadata.deletionTimestamp !== undefined && finalizers.length === 0 && held.length === 0)
      return this.#remove(resource, next);
    return this.#store(resource, old, next);
  }

  #delete(resource: ResourceName, old: Json, options: Json): KubeObject | Json {
    const { uid, resourceVersion } = options?.preconditions ?? {};
    if (uid !== undefined && uid !== old.metadata.uid)
      throw conflict(
        resource,
        old.metadata.name,
        `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${old.metadata.uid}`,
      );
    if (resourceVersion !== undefined && resourceVersion !== old.metadata.resourceVersion)
      throw conflict(
        resource,
        old.metadata.name,
        `Precondition failed: ResourceVersion in precondition: ${resourceVersion}, ResourceVersion in object meta: ${old.metadata.resourceVersion}`,
      );
    const policy: Record<string, string> = { Foreground: "foregroundDeletion", Orphan: "orphan" };
    const added = policy[options?.propagationPolicy ?? ""];
    const finalizers = [
      ...(old.metadata.finalizers ?? []).filter((name: string) => name !== added),
      ...(added ? [added] : []),
    ];
    const held = finalizers.length > 0 || (resource.kind === "Namespace" && (old.spec?.finalizers ?? []).length > 0);
    if (!held) {
      this.#remove(resource, old);
      return {
        kind: "Status",
        apiVersion: "v1",
        metadata: {},
        status: "Success",
        details: { name: old.metadata.name, kind: resource.plural, uid: old.metadata.uid },
      };
    }
    if (old.metadata.deletionTimestamp !== undefined) return old;
    return this.#store(resource, old, {
      ...old,
      metadata: {
        ...old.metadata,
        finalizers,
        deletionTimestamp: formatTime(this.#now()),
        deletionGracePeriodSeconds: 0,
      },
      ...(resource.kind === "Namespace" && { status: { ...old.status, phase: "Terminating" } }),
    });
  }

  #subresource(resource: ResourceName, at: Place, request: RestRequest): Json {
    const old: Json = this.#need(resource, at);
    const body = request.body as Json;
    if (at.subresource === "binding") {
      this.#store(resource, old, { ...old, spec: { ...old.spec, nodeName: body.target.name } });
      return { kind: "Status", apiVersion: "v1", metadata: {}, status: "Success" };
    }
    if (at.subresource === "eviction") return this.#delete(resource, old, body.deleteOptions);
    throw notFound(resource, at.name!);
  }

  #list(resource: ResourceName, namespace: string | undefined, request: RestRequest): Json {
    return {
      apiVersion: apiVersionOf(resource),
      kind: `${resource.kind}List`,
      metadata: { resourceVersion: String(this.#version) },
      items: this.#select(resource, namespace, request),
    };
  }

  #select(resource: ResourceName, namespace: string | undefined, request: RestRequest): readonly KubeObject[] {
    return [...this.#table(resource).values()].filter(selection(namespace, request));
  }

  #store(resource: ResourceName, before: KubeObject | undefined, object: Json): KubeObject {
    const version = ++this.#version;
    const stored: KubeObject = deepFreeze({
      ...object,
      metadata: { ...object.metadata, resourceVersion: String(version) },
    });
    this.#table(resource).set(keyOf(stored), stored);
    this.#announce({
      version,
      path: tableOf(resource),
      before,
      event: { type: before === undefined ? "ADDED" : "MODIFIED", object: stored },
    });
    return stored;
  }

  #remove(resource: ResourceName, object: Json): KubeObject {
    const version = ++this.#version;
    const last: KubeObject = deepFreeze({
      ...object,
      metadata: { ...object.metadata, resourceVersion: String(version) },
    });
    this.#table(resource).delete(keyOf(last));
    this.#announce({ version, path: tableOf(resource), before: object, event: { type: "DELETED", object: last } });
    return last;
  }

  #announce(entry: HistoryEntry): void {
    this.#history.push(entry);
    for (const watcher of this.#watchers) this.#offer(watcher, entry);
  }

  #offer(watcher: Watcher, { path, event, before }: HistoryEntry): void {
    if (watcher.path !== path || watcher.ended) return;
    const now = watcher.matches(event.object);
    const then = before !== undefined && watcher.matches(before);
    if (!now && !then) return;
    const type = event.type === "DELETED" || !now ? "DELETED" : then ? "MODIFIED" : "ADDED";
    watcher.queue.push(type === event.type ? event : { type, object: event.object });
    watcher.wake?.();
  }

  #need(resource: ResourceName, at: Place): KubeObject {
    const object = this.#table(resource).get(keyOf({ metadata: at }));
    if (object === undefined) throw notFound(resource, at.name!);
    return object;
  }

  #table(resource: ResourceName): Map<string, KubeObject> {
    const id = tableOf(resource);
    const table = this.#tables.get(id) ?? new Map<string, KubeObject>();
    this.#tables.set(id, table);
    return table;
  }

  #locate(path: string): { readonly resource: ResourceName; readonly at: Place } {
    const at = parsePath(path);
    const resource =
      at &&
      this.#resources.find(
        ({ group, version, plural }) => group === at.group && version === at.version && plural === at.plural,
      );
    if (at === undefined || resource === undefined)
      throw new StatusError("NotFound", "the server could not find the requested resource");
    return { resource, at };
  }

  #discovery(core: boolean): Json {
    const groups = new Map<string, Map<string, ResourceName[]>>();
    for (const resource of this.#resources.filter(({ group }) => (group === "") === core)) {
      const versions = groups.get(resource.group) ?? new Map<string, ResourceName[]>();
      groups.set(resource.group, versions);
      versions.set(resource.version, [...(versions.get(resource.version) ?? []), resource]);
    }
    return {
      kind: "APIGroupDiscoveryList",
      apiVersion: "apidiscovery.k8s.io/v2",
      metadata: {},
      items: [...groups].map(([group, versions]) => ({
        metadata: group === "" ? {} : { name: group },
        versions: [...versions].map(([version, resources]) => ({
          version,
          freshness: "Current",
          resources: resources.map(({ plural, kind, scope }) => ({
            resource: plural,
            responseKind: { group, version, kind },
            scope,
            verbs: ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"],
          })),
        })),
      })),
    };
  }

  #uid(): string {
    return `00000000-0000-4000-8000-${String(++this.#uids).padStart(12, "0")}`;
  }
}

interface Place {
  readonly namespace?: string;
  readonly name?: string;
  readonly subresource?: string;
}

const tableOf = ({ group, plural }: ResourceName) => `${group}/${plural}`;
const same = (a: unknown, b: unknown) => JSON.stringify(a) === JSON.stringify(b);
const pickStatusMeta = (body: Json) => ({
  ...(body.metadata?.annotations && { annotations: body.metadata.annotations }),
});

function selection(namespace: string | undefined, { query = {} }: RestRequest): (object: KubeObject) => boolean {
  const labels = terms(query["labelSelector"]);
  const fields = terms(query["fieldSelector"]);
  return (object) =>
    (namespace === undefined || object.metadata.namespace === namespace) &&
    labels.every(({ name, equal, value }) => (object.metadata.labels?.[name] === value) === equal) &&
    fields.every(({ name, equal, value }) => (String(field(object, name) ?? "") === value) === equal);
}

/** `a=b,c!=d` only. */
function terms(selector: string | readonly string[] | undefined): { name: string; equal: boolean; value: string }[] {
  if (typeof selector !== "string" || selector === "") return [];
  return selector.split(",").map((term) => {
    const [, name = "", operator, value = ""] = /^([^!=]+)(!=|==?)(.*)$/.exec(term) ?? [];
    return { name, equal: operator !== "!=", value };
  });
}

function field(object: Json, path: string): unknown {
  return path.split(".").reduce((value, name) => value?.[name], object);
}

function applyPatch(old: Json, request: RestRequest): Json {
  if (request.patchType === "application/json-patch+json") return jsonPatch(old, request.body as Json[]);
  return mergePatch(old, request.body as Json, request.patchType === "application/strategic-merge-patch+json");
}

const MERGE_KEYS: Readonly<Record<string, string>> = {
  ownerReferences: "uid",
  conditions: "type",
  taints: "key",
  addresses: "type",
};

function mergePatch(old: Json, patch: Json, strategic: boolean): Json {
  if (typeof patch !== "object" || patch === null || Array.isArray(patch)) return patch;
  const result = { ...(typeof old === "object" && old !== null ? old : {}) };
  for (const [name, value] of Object.entries<Json>(patch)) {
    if (strategic && name.startsWith("$deleteFromPrimitiveList/")) {
      const list = name.slice(name.indexOf("/") + 1);
      result[list] = (result[list] ?? []).filter((item: Json) => !value.includes(item));
    } else if (strategic && name.startsWith("$")) continue;
    else if (value === null) delete result[name];
    else if (strategic && Array.isArray(value) && MERGE_KEYS[name])
      result[name] = mergeList(result[name] ?? [], value, MERGE_KEYS[name]);
    else if (strategic && name === "finalizers") result[name] = [...new Set([...(result[name] ?? []), ...value])];
    else result[name] = mergePatch(result[name], value, strategic);
  }
  return result;
}

function mergeList(old: Json[], patch: Json[], key: string): Json[] {
  let result = [...old];
  for (const { $patch, ...item } of patch) {
    if ($patch === "delete") result = result.filter((each) => each[key] !== item[key]);
    else if (result.some((each) => each[key] === item[key]))
      result = result.map((each) => (each[key] === item[key] ? mergePatch(each, item, true) : each));
    else result.push(item);
  }
  return result;
}

function jsonPatch(old: Json, operations: readonly Json[]): Json {
  const result = structuredClone(old);
  for (const { op, path, value } of operations) {
    const parts = path
      .split("/")
      .slice(1)
      .map((part: string) => part.replaceAll("~1", "/").replaceAll("~0", "~"));
    const last = parts.pop();
    const target = parts.reduce((at: Json, part: string) => at[part], result);
    if (op === "test" && !same(target[last], value)) throw new StatusError("Invalid", `the test at ${path} failed`);
    const index = last === "-" ? target.length : Number(last);
    if (Array.isArray(target)) {
      if (op === "remove") target.splice(index, 1);
      if (op === "add") target.splice(index, 0, value);
      if (op === "replace") target[index] = value;
    } else if (op === "remove") delete target[last];
    else if (op !== "test") target[last] = value;
  }
  return result;
}
