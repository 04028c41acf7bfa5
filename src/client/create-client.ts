/** The one implementation of `Client`, over any transport. Upstream: staging/src/k8s.io/client-go/dynamic/simple.go */
import type { ListMeta } from "../machinery/meta/types.ts";
import type { Draft, KubeObject, ObjectList } from "../machinery/meta/object.ts";
import { apiVersionOf, pathOf, type ResourceName, type ResourceOf } from "../machinery/resource.ts";
import type { At, CallOptions, Client, DeleteOptions, ListOptions, WatchOptions, WriteOptions } from "./client.ts";
import type { PatchType, RestRequest, Transport, WatchEvent } from "./transport.ts";

export function createClient(transport: Transport): Client {
  return new RestClient(transport);
}

class RestClient implements Client {
  readonly transport: Transport;

  constructor(transport: Transport) {
    this.transport = transport;
  }

  get<T extends KubeObject>(resource: ResourceOf<T>, at: At, options: CallOptions = {}): Promise<T> {
    return this.#send({ method: "GET", path: pathOf(resource, at), ...signalOf(options) });
  }

  async list<T extends KubeObject>(resource: ResourceOf<T>, options: ListOptions = {}): Promise<ObjectList<T>> {
    const body = await this.#send<{ readonly items?: readonly T[] | null; readonly metadata?: ListMeta }>({
      method: "GET",
      path: pathOf(resource, inNamespace(options.namespace)),
      query: listQuery(options),
      ...signalOf(options),
    });
    const { resourceVersion = "", continue: next, remainingItemCount } = body.metadata ?? {};
    return {
      items: body.items ?? [],
      resourceVersion,
      ...(next !== undefined && next !== "" && { continue: next }),
      ...(remainingItemCount !== undefined && { remainingItemCount }),
    };
  }

  watch<T extends KubeObject>(resource: ResourceOf<T>, options: WatchOptions = {}): AsyncIterable<WatchEvent<T>> {
    return this.transport.watch({
      method: "GET",
      path: pathOf(resource, inNamespace(options.namespace)),
      query: {
        watch: "true",
        labelSelector: options.labelSelector,
        fieldSelector: options.fieldSelector,
        resourceVersion: options.resourceVersion,
        ...(options.allowBookmarks && { allowWatchBookmarks: "true" }),
        ...(options.sendInitialEvents && { sendInitialEvents: "true", resourceVersionMatch: "NotOlderThan" }),
        ...(options.timeoutSeconds !== undefined && { timeoutSeconds: String(options.timeoutSeconds) }),
      },
      ...signalOf(options),
    }) as AsyncIterable<WatchEvent<T>>;
  }

  create<T extends KubeObject>(resource: ResourceOf<T>, object: Draft<T>, options: WriteOptions = {}): Promise<T> {
    const namespace = (object as Draft<KubeObject>).metadata?.namespace;
    return this.#send({
      method: "POST",
      path: pathOf(resource, inNamespace(namespace)),
      query: writeQuery(options),
      body: typed(resource, object),
      ...signalOf(options),
    });
  }

  update<T extends KubeObject>(
    resource: ResourceOf<T>,
    object: T,
    options: WriteOptions & { readonly subresource?: string } = {},
  ): Promise<T> {
    const { namespace, name } = object.metadata;
    return this.#send({
      method: "PUT",
      path: pathOf(resource, {
        ...inNamespace(namespace),
        name,
        ...(options.subresource !== undefined && { subresource: options.subresource }),
      }),
      query: writeQuery(options),
      body: typed(resource, object),
      ...signalOf(options),
    });
  }

  updateStatus<T extends KubeObject>(resource: ResourceOf<T>, object: T, options: WriteOptions = {}): Promise<T> {
    return this.update(resource, object, { ...options, subresource: "status" });
  }

  patch<T extends KubeObject>(
    resource: ResourceOf<T>,
    at: At,
    type: PatchType,
    patch: unknown,
    options: WriteOptions & { readonly subresource?: string; readonly force?: boolean } = {},
  ): Promise<T> {
    return this.#send({
      method: "PATCH",
      path: pathOf(resource, {
        ...at,
        ...(options.subresource !== undefined && { subresource: options.subresource }),
      }),
      query: { ...writeQuery(options), ...(options.force && { force: "true" }) },
      body: patch,
      patchType: type,
      ...signalOf(options),
    });
  }

  async delete<T extends KubeObject>(resource: ResourceOf<T>, at: At, options: DeleteOptions = {}): Promise<void> {
    await this.#send({
      method: "DELETE",
      path: pathOf(resource, at),
      body: deleteBody(options),
      ...signalOf(options),
    });
  }

  async deleteCollection<T extends KubeObject>(
    resource: ResourceOf<T>,
    options: DeleteOptions & ListOptions = {},
  ): Promise<void> {
    await this.#send({
      method: "DELETE",
      path: pathOf(resource, inNamespace(options.namespace)),
      query: listQuery(options),
      body: deleteBody(options),
      ...signalOf(options),
    });
  }

  createSubresource(
    resource: ResourceName,
    at: At,
    subresource: string,
    body: unknown,
    options: WriteOptions = {},
  ): Promise<unknown> {
    return this.#send({
      method: "POST",
      path: pathOf(resource, { ...at, subresource }),
      query: writeQuery(options),
      body,
      ...signalOf(options),
    });
  }

  // The one place where an answer gets its type: the server promises that the path decides it.
  async #send<R>(request: RestRequest): Promise<R> {
    return (await this.transport.send(request)) as R;
  }
}

const inNamespace = (namespace: string | undefined) => (namespace === undefined ? {} : { namespace });
const signalOf = ({ signal }: CallOptions) => (signal === undefined ? {} : { signal });

function typed<T>(resource: ResourceName, object: T): T {
  return { apiVersion: apiVersionOf(resource), kind: resource.kind, ...object };
}

function listQuery(options: ListOptions): Record<string, string | undefined> {
  return {
    labelSelector: options.labelSelector,
    fieldSelector: options.fieldSelector,
    limit: options.limit === undefined ? undefined : String(options.limit),
    continue: options.continue,
    resourceVersion: options.resourceVersion,
    resourceVersionMatch: options.resourceVersionMatch,
  };
}

function writeQuery(options: WriteOptions): Record<string, string | undefined> {
  return { fieldManager: options.fieldManager, dryRun: options.dryRun ? "All" : undefined };
}

function deleteBody({ gracePeriodSeconds, propagationPolicy, preconditions }: DeleteOptions): unknown {
  return {
    kind: "DeleteOptions",
    apiVersion: "v1",
    ...(gracePeriodSeconds !== undefined && { gracePeriodSeconds }),
    ...(propagationPolicy !== undefined && { propagationPolicy }),
    ...(preconditions !== undefined && { preconditions }),
  };
}
