/** Empties namespaces that are being deleted: pods first, then all other resources that the server lists. Upstream: pkg/controller/namespace */
import type { Namespace, Pod } from "../../api/generated/core.v1.ts";
import type { Client } from "../../client/client.ts";
import { type DiscoveredResource, discover, supports } from "../../client/discovery.ts";
import { again, defineController, done } from "../../client/controller.ts";
import { namespaces } from "../../client/resources.ts";
import type { KubeObject } from "../../machinery/meta/object.ts";
import { formatTime } from "../../machinery/meta/time.ts";
import { hasReason } from "../../machinery/status.ts";
import { semanticallyEqual } from "../shared/equality.ts";
import { messageOf } from "../shared/pod-control.ts";
import { type Remaining, estimateOf, estimateOfPods, nextLookMs, statusOf } from "./plan.ts";

const FINALIZER = "kubernetes";
const CHUNK = 1000;

export const namespaceController = defineController({
  name: "namespace-controller",
  aliases: ["namespace"],
  workers: { flag: "concurrent-namespace-syncs", default: 10 },
  backoff: { baseMs: 5, maxMs: 60_000 },
  triggers: [
    {
      resource: namespaces,
      keys: ({ metadata }) => (metadata.deletionTimestamp === undefined ? [] : [metadata.name]),
    },
  ],
  create: ({ clock }) => ({
    async reconcile(name, signal, client) {
      const namespace = await terminating(client, name, signal);
      if (namespace === undefined || (namespace.spec?.finalizers ?? []).length === 0) return done;
      const emptying = new Emptying(client, namespace, clock.now(), signal);
      const estimate = await emptying.run();
      if (estimate > 0) return again(nextLookMs(estimate));
      return done;
    },
  }),
});

async function terminating(client: Client, name: string, signal: AbortSignal): Promise<Namespace | undefined> {
  try {
    const live = await client.get(namespaces, { name }, { signal });
    if (live.metadata.deletionTimestamp === undefined) return undefined;
    if (live.status?.phase === "Terminating") return live;
    return await client.updateStatus(
      namespaces,
      { ...live, status: { ...live.status, phase: "Terminating" } },
      { signal },
    );
  } catch (error) {
    if (hasReason(error, "NotFound")) return undefined;
    throw error;
  }
}

class Emptying {
  readonly #client: Client;
  readonly #namespace: Namespace;
  readonly #now: number;
  readonly #signal: AbortSignal;
  readonly #errors: string[] = [];
  readonly #remaining: Remaining[] = [];

  constructor(client: Client, namespace: Namespace, now: number, signal: AbortSignal) {
    this.#client = client;
    this.#namespace = namespace;
    this.#now = now;
    this.#signal = signal;
  }

  /** Seconds until another look is worth while; 0 when the namespace is empty and let go. Throws when something failed. */
  async run(): Promise<number> {
    const { resources, failed } = await discover(this.#client, this.#signal);
    const discoveryError =
      failed.size === 0
        ? undefined
        : `Discovery failed for some groups, ${failed.size} failing: unable to retrieve the complete list of server APIs: ${[
            ...failed,
          ]
            .map(([group, why]) => `${group}: ${why}`)
            .join(", ")}`;
    const deletable = resources.filter((resource) => resource.scope === "Namespaced" && supports(resource, "delete"));
    const isPods = ({ group, plural }: DiscoveredResource) => group === "" && plural === "pods";

    // What pods still use must outlast them.
    let estimate = 0;
    for (const pods of deletable.filter(isPods)) estimate = await this.#empty(pods);
    const podsLeft = this.#remaining.some(({ count }) => count > 0);
    if (!podsLeft)
      for (const resource of deletable.filter((each) => !isPods(each)))
        estimate = Math.max(estimate, await this.#empty(resource));

    await this.#report(podsLeft ? undefined : discoveryError);
    const errors = [...this.#errors, ...(discoveryError === undefined ? [] : [discoveryError])];
    if (errors.length > 0) throw new Error(errors.join(", "));
    if (estimate > 0) return estimate;
    if (podsLeft) return 1; // Overdue pods: their kubelet has the word.
    await this.#finalize();
    return 0;
  }

  async #empty(resource: DiscoveredResource): Promise<number> {
    const { name } = this.#namespace.metadata;
    try {
      const isPods = resource.group === "" && resource.plural === "pods";
      if (!isPods && supports(resource, "list") && supports(resource, "deletecollection"))
        await this.#deleteInChunks(resource);
      const before = supports(resource, "list") ? await this.#list(resource) : [];
      if (supports(resource, "list") && before.length === 0) return 0;
      const estimate = isPods ? estimateOfPods(before as unknown as readonly Pod[], this.#now) : 0;
      await this.#deleteAll(resource, before);
      const left = supports(resource, "list") ? await this.#list(resource) : [];
      if (left.length === 0) return 0;
      const finalizers = new Map<string, number>();
      for (const { metadata } of left)
        for (const each of metadata.finalizers ?? []) finalizers.set(each, (finalizers.get(each) ?? 0) + 1);
      const remaining = { resource: `${resource.plural}.${resource.group}`, count: left.length, finalizers };
      this.#remaining.push(remaining);
      if (estimate > 0) return estimate;
      if (finalizers.size > 0) return estimateOf(remaining);
      if (isPods) return 0;
      const { group, version, plural } = resource;
      throw new Error(
        `unexpected items still remain in namespace: ${name} for gvr: ${group}/${version}, Resource=${plural}`,
      );
    } catch (error) {
      if (this.#signal.aborted) throw error;
      this.#errors.push(messageOf(error));
      return 0;
    }
  }

  /** Where there are very many they go bunch by bunch, so that nobody ever holds all of them; the last, and those that something holds, go as always. */
  async #deleteInChunks(resource: DiscoveredResource): Promise<void> {
    const chunk = { namespace: this.#namespace.metadata.name, limit: CHUNK, signal: this.#signal };
    try {
      for (;;) {
        const { items } = await this.#client.list(resource, chunk);
        if (items.length < CHUNK || items.some(({ metadata }) => metadata.deletionTimestamp !== undefined)) return;
        await this.#client.deleteCollection(resource, { ...chunk, propagationPolicy: "Background" });
      }
    } catch (error) {
      if (!hasReason(error, "NotFound", "MethodNotAllowed")) throw error;
    }
  }

  async #list(resource: DiscoveredResource): Promise<readonly KubeObject[]> {
    try {
      return (await this.#client.list(resource, { namespace: this.#namespace.metadata.name, signal: this.#signal }))
        .items;
    } catch (error) {
      if (hasReason(error, "NotFound", "MethodNotAllowed")) return [];
      throw error;
    }
  }

  async #deleteAll(resource: DiscoveredResource, items: readonly KubeObject[]): Promise<void> {
    const namespace = this.#namespace.metadata.name;
    const options = { propagationPolicy: "Background", signal: this.#signal } as const;
    if (supports(resource, "deletecollection"))
      try {
        return await this.#client.deleteCollection(resource, { namespace, ...options });
      } catch (error) {
        if (!hasReason(error, "NotFound", "MethodNotAllowed")) throw error;
      }
    for (const { metadata } of items)
      try {
        await this.#client.delete(resource, { namespace, name: metadata.name }, options);
      } catch (error) {
        if (!hasReason(error, "NotFound", "MethodNotAllowed")) throw error;
      }
  }

  async #report(discoveryError: string | undefined): Promise<void> {
    const status = statusOf(
      this.#namespace,
      {
        contentErrors: this.#errors,
        remaining: this.#remaining,
        ...(discoveryError !== undefined && { discoveryError }),
      },
      formatTime(this.#now),
    );
    if (semanticallyEqual(status, this.#namespace.status)) return;
    try {
      await this.#client.updateStatus(namespaces, { ...this.#namespace, status }, { signal: this.#signal });
    } catch (error) {
      if (!hasReason(error, "NotFound", "Conflict")) throw error;
    }
  }

  async #finalize(): Promise<void> {
    try {
      const live = await this.#client.get(
        namespaces,
        { name: this.#namespace.metadata.name },
        { signal: this.#signal },
      );
      if (live.metadata.uid !== this.#namespace.metadata.uid) return;
      const finalizers = (live.spec?.finalizers ?? []).filter((each) => each !== FINALIZER).sort();
      await this.#client.update(
        namespaces,
        { ...live, spec: { ...live.spec, finalizers } },
        { subresource: "finalize", signal: this.#signal },
      );
    } catch (error) {
      if (!hasReason(error, "NotFound")) throw error;
    }
  }
}
