/**
 * Adoption and release: objects that match a selector and have no controller are adopted, and owned objects that no longer match are released.
 * Upstream: pkg/controller/controller_ref_manager.go
 */
import type { Client } from "../../client/client.ts";
import { controllerOf, type KubeObject } from "../../machinery/meta/object.ts";
import type { OwnerReference } from "../../machinery/meta/types.ts";
import type { ResourceOf } from "../../machinery/resource.ts";
import { hasReason } from "../../machinery/status.ts";

export interface Claim<O extends KubeObject, T extends KubeObject> {
  readonly client: Client;
  readonly owners: ResourceOf<O>;
  readonly owner: O;
  readonly resource: ResourceOf<T>;
  readonly candidates: readonly T[];
  matches(object: T): boolean;
  /** Added with an adoption, taken away with a release. */
  readonly finalizer?: string;
  readonly signal: AbortSignal;
}

export function controllerReference(owner: KubeObject): OwnerReference {
  const { apiVersion, kind, metadata } = owner;
  return { apiVersion, kind, name: metadata.name, uid: metadata.uid, controller: true, blockOwnerDeletion: true };
}

/** The candidates that `owner` owns now. */
export async function claim<O extends KubeObject, T extends KubeObject>(request: Claim<O, T>): Promise<readonly T[]> {
  const { owner, candidates, matches } = request;
  const claimed: T[] = [];
  let checked: Promise<void> | undefined;
  for (const object of candidates) {
    const controller = controllerOf(object);
    if (controller !== undefined) {
      if (controller.uid !== owner.metadata.uid) continue;
      if (matches(object)) claimed.push(object);
      else if (owner.metadata.deletionTimestamp === undefined) await release(request, object);
      continue;
    }
    if (owner.metadata.deletionTimestamp !== undefined || object.metadata.deletionTimestamp !== undefined) continue;
    if (object.metadata.namespace !== owner.metadata.namespace || !matches(object)) continue;
    // The cache may not know yet that the owner is being deleted: whoever adopts asks the server, once.
    checked ??= checkOwner(request);
    await checked;
    const adopted = await adopt(request, object);
    if (adopted !== undefined) claimed.push(adopted);
  }
  return claimed;
}

async function checkOwner<O extends KubeObject>({ client, owners, owner, signal }: Claim<O, any>): Promise<void> {
  const { namespace = "", name, uid } = owner.metadata;
  const live = await client.get(owners, { namespace, name }, { signal });
  if (live.metadata.uid !== uid)
    throw new Error(`original ${owner.kind} ${namespace}/${name} is gone: got uid ${live.metadata.uid}, wanted ${uid}`);
  if (live.metadata.deletionTimestamp !== undefined)
    throw new Error(`${namespace}/${name} has just been deleted at ${live.metadata.deletionTimestamp}`);
}

async function adopt<T extends KubeObject>(
  { client, resource, owner, finalizer, signal }: Claim<any, T>,
  object: T,
): Promise<T | undefined> {
  const { uid, namespace = "", name } = object.metadata;
  const patch = {
    metadata: {
      uid,
      ownerReferences: [controllerReference(owner)],
      ...(finalizer !== undefined && { finalizers: [finalizer] }),
    },
  };
  try {
    return await client.patch(resource, { namespace, name }, "application/strategic-merge-patch+json", patch, {
      signal,
    });
  } catch (error) {
    if (hasReason(error, "NotFound")) return undefined;
    throw error;
  }
}

async function release<T extends KubeObject>(
  { client, resource, owner, finalizer, signal }: Claim<any, T>,
  object: T,
): Promise<void> {
  const { uid, namespace = "", name } = object.metadata;
  const patch = {
    metadata: {
      uid,
      ownerReferences: [{ $patch: "delete", uid: owner.metadata.uid }],
      ...(finalizer !== undefined && { "$deleteFromPrimitiveList/finalizers": [finalizer] }),
    },
  };
  try {
    await client.patch(resource, { namespace, name }, "application/strategic-merge-patch+json", patch, { signal });
  } catch (error) {
    if (!hasReason(error, "NotFound", "Invalid")) throw error;
  }
}
