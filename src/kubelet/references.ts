/**
 * Gets the ConfigMaps, Secrets and claims that pods of this node refer to, one by one, because a node may read no others.
 * Upstream: pkg/kubelet/util/manager/cache_based_manager.go
 */
import type { ConfigMap, PersistentVolume, PersistentVolumeClaim, Secret } from "../api/generated/core.v1.ts";
import type { Client } from "../client/client.ts";
import type { KubeObject } from "../machinery/meta/object.ts";
import type { ResourceOf } from "../machinery/resource.ts";
import { hasReason } from "../machinery/status.ts";
import type { Clock } from "../world/world.ts";
import { configMaps, persistentVolumeClaims, persistentVolumes, secrets } from "../client/resources.ts";
import type { References } from "./runtime/environment.ts";

interface Entry {
  readonly atMs: number;
  readonly object: Promise<KubeObject | undefined>;
}

export class ReferencedObjects {
  readonly #client: Client;
  readonly #clock: Clock;
  readonly #ttlMs: number;
  readonly #entries = new Map<string, Entry>();

  constructor(client: Client, clock: Clock, ttlMs: number) {
    this.#client = client;
    this.#clock = clock;
    this.#ttlMs = ttlMs;
  }

  configMap(namespace: string, name: string): Promise<ConfigMap | undefined> {
    return this.#get(configMaps, namespace, name);
  }
  secret(namespace: string, name: string): Promise<Secret | undefined> {
    return this.#get(secrets, namespace, name);
  }

  /** Claims and volumes are waited for, so what was known a moment ago is no answer. */
  claim(namespace: string, name: string): Promise<PersistentVolumeClaim | undefined> {
    return this.#fresh(persistentVolumeClaims, namespace, name);
  }
  volume(name: string): Promise<PersistentVolume | undefined> {
    return this.#fresh(persistentVolumes, "", name);
  }

  #fresh<T extends KubeObject>(resource: ResourceOf<T>, namespace: string, name: string): Promise<T | undefined> {
    return this.#client.get(resource, { namespace, name }).catch((error: unknown) => {
      if (hasReason(error, "NotFound")) return undefined;
      throw error;
    });
  }

  async several(
    namespace: string,
    names: { readonly configMaps: readonly string[]; readonly secrets: readonly string[] },
  ): Promise<References> {
    const [maps, others] = await Promise.all([
      Promise.all(names.configMaps.map((name) => this.configMap(namespace, name))),
      Promise.all(names.secrets.map((name) => this.secret(namespace, name))),
    ]);
    return {
      configMaps: new Map(names.configMaps.map((name, i) => [name, maps[i]])),
      secrets: new Map(names.secrets.map((name, i) => [name, others[i]])),
    };
  }

  /** A pod that has just come must not see what was cached for another. */
  invalidate(namespace: string): void {
    for (const key of this.#entries.keys()) if (key.split("/")[1] === namespace) this.#entries.delete(key);
  }

  async #get<T extends KubeObject>(resource: ResourceOf<T>, namespace: string, name: string): Promise<T | undefined> {
    const key = `${resource.plural}/${namespace}/${name}`;
    const known = this.#entries.get(key);
    const now = this.#clock.monotonic();
    if (known !== undefined && now - known.atMs < this.#ttlMs) return known.object as Promise<T | undefined>;
    const object = this.#client.get(resource, { namespace, name }).catch((error: unknown) => {
      this.#entries.delete(key); // What is missing may be there a moment later.
      if (hasReason(error, "NotFound")) return undefined;
      throw error;
    });
    this.#entries.set(key, { atMs: now, object });
    return object;
  }
}
