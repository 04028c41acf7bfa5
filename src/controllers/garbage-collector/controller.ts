/**
 * Deletes objects whose owners are gone, and completes foreground deletion and orphaning.
 * Upstream: pkg/controller/garbagecollector/garbagecollector.go
 */
import { assert } from "../../base/assert.ts";
import type { ControllerContext } from "../../client/controller.ts";
import { defineController, done } from "../../client/controller.ts";
import { type DiscoveredResource, discover, failedGroups, supports } from "../../client/discovery.ts";
import { defaultLimiter } from "../../client/workqueue/rate-limiter.ts";
import { WorkQueue } from "../../client/workqueue/workqueue.ts";
import type { KubeObject } from "../../machinery/meta/object.ts";
import type { OwnerReference } from "../../machinery/meta/types.ts";
import type { ResourceName } from "../../machinery/resource.ts";
import { hasReason } from "../../machinery/status.ts";
import { pause } from "../../world/time.ts";
import {
  FOREGROUND,
  Graph,
  type Identity,
  type Looks,
  type Node,
  ORPHAN,
  blockers,
  identityOfObject,
} from "./graph.ts";

const DISCOVERY_MS = 30_000;
/** Events own nothing and are owned by nothing that matters; there are too many of them. */
const IGNORED: ReadonlySet<string> = new Set(["/events", "events.k8s.io/events"]);

export const garbageCollector = defineController({
  name: "garbage-collector-controller",
  aliases: ["garbagecollector"],
  workers: { default: 0 },
  triggers: [],
  create(context) {
    const collector = new Collector(context);
    return {
      reconcile: async () => done,
      background: (signal) => collector.run(signal),
    };
  },
});

class Collector {
  readonly #context: ControllerContext;
  readonly #graph: Graph;
  readonly #resources = new Map<string, DiscoveredResource>();
  readonly #following = new Map<string, Disposable>();
  readonly #toDelete: WorkQueue<string>;
  readonly #toOrphan: WorkQueue<string>;

  constructor(context: ControllerContext) {
    this.#context = context;
    this.#graph = new Graph((reference) => {
      const resource = this.#resourceOf(reference);
      return resource === undefined ? undefined : resource.scope === "Namespaced";
    });
    const { clock } = context;
    const queue = (name: string) => new WorkQueue<string>({ name, clock, limiter: defaultLimiter(clock) });
    this.#toDelete = queue("garbage_collector_attempt_to_delete");
    this.#toOrphan = queue("garbage_collector_attempt_to_orphan");
  }

  async run(signal: AbortSignal): Promise<void> {
    const { options } = this.#context;
    const set = options["concurrent-gc-syncs"];
    const workers = typeof set === "number" ? set : 20;
    signal.addEventListener("abort", () => {
      this.#toDelete.shutDown();
      this.#toOrphan.shutDown();
    });
    const work = Array.from({ length: workers }, () => [
      this.#work(this.#toDelete, signal, (node) => this.#attemptToDelete(node, signal)),
      this.#work(this.#toOrphan, signal, (node) => this.#attemptToOrphan(node, signal)),
    ]).flat();
    await Promise.all([this.#followAll(signal), ...work]);
  }

  /** Keeps an informer on each resource that can be collected, as discovery shows them come and go. */
  async #followAll(signal: AbortSignal): Promise<void> {
    const { client, log, clock } = this.#context;
    while (!signal.aborted) {
      try {
        const { resources, failed } = await discover(client, signal);
        const wanted = new Map<string, DiscoveredResource>();
        for (const resource of resources) {
          const id = `${resource.group}/${resource.plural}`;
          this.#resources.set(`${resource.group}/${resource.kind}`, resource);
          if (supports(resource, "delete", "list", "watch") && !IGNORED.has(id)) wanted.set(id, resource);
        }
        for (const [id, resource] of wanted)
          if (!this.#following.has(id)) this.#following.set(id, this.#follow(resource));
        // What a failing group has is unknown, not gone.
        const failing = failedGroups(failed);
        for (const [id, following] of this.#following) {
          if (wanted.has(id) || failing.has(id.slice(0, id.indexOf("/")))) continue;
          following[Symbol.dispose]();
          this.#following.delete(id);
        }
      } catch (error) {
        if (!signal.aborted) log.error("Failed to discover resources", error);
      }
      if (!(await pause(clock, DISCOVERY_MS, signal))) return;
    }
  }

  #follow(resource: DiscoveredResource): Disposable {
    const { informers } = this.#context;
    const name: ResourceName = resource;
    const subscription = informers.of<KubeObject>(name).subscribe({
      add: (object) => this.#queue(this.#graph.observe(object)),
      update: (old, object) => {
        if (old.metadata.uid !== object.metadata.uid) this.#queue(this.#graph.forget(old));
        this.#queue(this.#graph.observe(object));
      },
      delete: (object) => this.#queue(this.#graph.forget(object)),
    });
    return {
      [Symbol.dispose]: () => {
        subscription[Symbol.dispose]();
        for (const object of informers.of<KubeObject>(name).list()) this.#queue(this.#graph.forget(object));
        informers.drop(name);
      },
    };
  }

  #queue({ delete: toDelete, orphan, misplaced }: Looks): void {
    for (const { identity } of toDelete) this.#toDelete.add(identity.uid);
    for (const { identity } of orphan) this.#toOrphan.add(identity.uid);
    for (const { node, owner } of misplaced) {
      const { namespace } = node.identity;
      const what = `${owner.apiVersion}/${owner.kind}, namespace: ${namespace}, name: ${owner.name}, uid: ${owner.uid}`;
      const words = `ownerRef [${what}] does not exist in namespace "${namespace}"`;
      this.#context.events.event(node.identity, "Warning", "OwnerRefInvalidNamespace", words);
    }
  }

  async #work(
    queue: WorkQueue<string>,
    signal: AbortSignal,
    act: (node: Node) => Promise<"done" | "again">,
  ): Promise<void> {
    for (let uid = await queue.take(); uid !== undefined; uid = await queue.take()) {
      const node = this.#graph.node(uid);
      try {
        const outcome = node === undefined ? "done" : await act(node);
        if (outcome === "done") queue.forget(uid);
        else queue.addRateLimited(uid);
      } catch (error) {
        if (!signal.aborted) {
          this.#context.log.v(2).info("Garbage collection failed, trying again", {
            message: error instanceof Error ? error.message : String(error),
          });
          queue.addRateLimited(uid);
        }
      } finally {
        queue.done(uid);
      }
    }
  }

  async #attemptToDelete(node: Node, signal: AbortSignal): Promise<"done" | "again"> {
    if (node.beingDeleted && !node.deletingDependents) return "done";
    const { identity } = node;
    const live = await this.#live(identity, signal);
    if (live === "unknown kind") return "again";
    if (live === undefined) {
      this.#queue(this.#graph.forgetVirtual(identity));
      return "done";
    }
    // Seen by asking, not yet by its watch: come again until both agree.
    const outcome = node.virtual ? "again" : "done";
    if (node.deletingDependents) {
      await this.#endForeground(node, live, signal);
      return outcome;
    }
    const references = live.metadata.ownerReferences ?? [];
    if (references.length === 0) return outcome;

    const { solid, dangling, waiting } = await this.#classify(node, references, signal);
    if (solid.length > 0) {
      const lost = new Set([...dangling, ...waiting].map(({ uid }) => uid));
      if (lost.size > 0)
        await this.#setOwners(
          live,
          references.filter(({ uid }) => !lost.has(uid)),
          signal,
        );
      return outcome;
    }
    if (waiting.length > 0 && node.dependents.size > 0) {
      // Two that wait for each other would wait for ever: this one stops holding up its owner.
      if ([...node.dependents].some(({ deletingDependents }) => deletingDependents))
        await this.#setOwners(
          live,
          references.map((reference) => ({ ...reference, blockOwnerDeletion: false })),
          signal,
        );
      await this.#delete(live, "Foreground", signal);
      return outcome;
    }
    const finalizers = live.metadata.finalizers ?? [];
    const policy = finalizers.includes(ORPHAN)
      ? "Orphan"
      : finalizers.includes(FOREGROUND)
        ? "Foreground"
        : "Background";
    await this.#delete(live, policy, signal);
    return outcome;
  }

  async #endForeground(node: Node, live: KubeObject, signal: AbortSignal): Promise<void> {
    const holding = blockers(node);
    if (holding.length === 0) return await this.#removeFinalizer(live, FOREGROUND, signal);
    for (const dependent of holding) if (!dependent.deletingDependents) this.#toDelete.add(dependent.identity.uid);
  }

  async #classify(node: Node, references: readonly OwnerReference[], signal: AbortSignal) {
    const solid: OwnerReference[] = [];
    const dangling: OwnerReference[] = [];
    const waiting: OwnerReference[] = [];
    for (const reference of references) {
      const { namespace } = node.identity;
      if (this.#graph.knownAbsent(reference, namespace)) {
        dangling.push(reference);
        continue;
      }
      const resource = this.#resourceOf(reference);
      if (resource === undefined)
        throw new Error(`unable to get REST mapping for ${reference.apiVersion}/${reference.kind}.`);
      // A cluster-scoped object can't have a namespaced owner; that is no reason to delete it.
      if (resource.scope === "Namespaced" && namespace === "") {
        solid.push(reference);
        continue;
      }
      const identity: Identity = { ...reference, namespace: resource.scope === "Namespaced" ? namespace : "" };
      const owner = await this.#live(identity, signal);
      assert(owner !== "unknown kind", "the kind was found a moment ago");
      if (owner === undefined) {
        this.#graph.noteAbsent(identity);
        dangling.push(reference);
      } else if (
        owner.metadata.deletionTimestamp !== undefined &&
        (owner.metadata.finalizers ?? []).includes(FOREGROUND)
      )
        waiting.push(reference);
      else solid.push(reference);
    }
    return { solid, dangling, waiting };
  }

  async #attemptToOrphan(node: Node, signal: AbortSignal): Promise<"done" | "again"> {
    const { uid } = node.identity;
    await Promise.all(
      [...node.dependents].map(async ({ identity }) => {
        const dependent = await this.#live(identity, signal);
        if (dependent === undefined || dependent === "unknown kind") return;
        const references = dependent.metadata.ownerReferences ?? [];
        const rest = references.filter((reference) => reference.uid !== uid);
        if (rest.length < references.length) await this.#setOwners(dependent, rest, signal);
      }),
    );
    const live = await this.#live(node.identity, signal);
    if (live !== undefined && live !== "unknown kind") await this.#removeFinalizer(live, ORPHAN, signal);
    return "done";
  }

  /** The object as the server has it now; undefined when it is gone or another took its name. */
  async #live(identity: Identity, signal: AbortSignal): Promise<KubeObject | undefined | "unknown kind"> {
    const resource = this.#resourceOf(identity);
    if (resource === undefined) return "unknown kind";
    try {
      const { namespace, name } = identity;
      const live = await this.#context.client.get<KubeObject>(resource, { namespace, name }, { signal });
      return live.metadata.uid === identity.uid ? live : undefined;
    } catch (error) {
      if (hasReason(error, "NotFound")) return undefined;
      throw error;
    }
  }

  async #setOwners(object: KubeObject, ownerReferences: readonly OwnerReference[], signal: AbortSignal): Promise<void> {
    await this.#patchMetadata(
      object,
      { ownerReferences: ownerReferences.length === 0 ? null : ownerReferences },
      signal,
    );
  }

  async #removeFinalizer(object: KubeObject, finalizer: string, signal: AbortSignal): Promise<void> {
    const finalizers = (object.metadata.finalizers ?? []).filter((each) => each !== finalizer);
    await this.#patchMetadata(object, { finalizers }, signal);
  }

  /** Merge patches work on custom resources as well; the version in them makes up for their taking whole lists. */
  async #patchMetadata(object: KubeObject, change: object, signal: AbortSignal): Promise<void> {
    const { namespace = "", name, uid, resourceVersion } = object.metadata;
    const resource = this.#resourceOf(identityOfObject(object))!;
    const patch = { metadata: { uid, resourceVersion, ...change } };
    try {
      await this.#context.client.patch(resource, { namespace, name }, "application/merge-patch+json", patch, {
        signal,
      });
    } catch (error) {
      if (!hasReason(error, "NotFound")) throw error;
    }
  }

  async #delete(
    object: KubeObject,
    propagationPolicy: "Orphan" | "Foreground" | "Background",
    signal: AbortSignal,
  ): Promise<void> {
    const { namespace = "", name, uid, resourceVersion } = object.metadata;
    const resource = this.#resourceOf(identityOfObject(object))!;
    const at = { namespace, name };
    // With the version: an owner that was added in between would be lost.
    const withVersion = { propagationPolicy, preconditions: { uid, resourceVersion }, signal };
    try {
      await this.#context.client.delete(resource, at, withVersion);
    } catch (error) {
      if (hasReason(error, "NotFound")) return;
      if (!hasReason(error, "Conflict")) throw error;
      const live = await this.#live(identityOfObject(object), signal);
      if (live === undefined || live === "unknown kind") return;
      if (JSON.stringify(live.metadata.ownerReferences) !== JSON.stringify(object.metadata.ownerReferences))
        throw error;
      await this.#context.client.delete(resource, at, { propagationPolicy, preconditions: { uid }, signal });
    }
  }

  /** By group and kind: the version in a reference may be any that the group ever had. */
  #resourceOf({
    apiVersion,
    kind,
  }: {
    readonly apiVersion: string;
    readonly kind: string;
  }): DiscoveredResource | undefined {
    const group = apiVersion.includes("/") ? apiVersion.slice(0, apiVersion.indexOf("/")) : "";
    return this.#resources.get(`${group}/${kind}`);
  }
}
