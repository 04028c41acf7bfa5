/**
 * Deletes an object that can't be read, without a look at what it says: neither its finalizers nor admission are asked. Who may is a right of its own.
 * Upstream: pkg/registry/generic/registry/corrupt_obj_deleter.go, pkg/endpoints/handlers/delete.go (authorizeUnsafeDelete)
 */
import type { Resource } from "../../machinery/resource.ts";
import { forbidden, StatusError } from "../../machinery/status.ts";
import type { FieldError } from "../../machinery/validation/field-error.ts";
import { invalid, invalidObject } from "../../machinery/validation/field-error.ts";
import { resourceAttributes } from "../authz/authorizer.ts";
import { CorruptObject } from "../storage/corrupt.ts";
import { keyFor } from "../storage/keys.ts";
import type { WriteContext } from "./context.ts";
import type { DeleteOptions } from "./delete.ts";

export const UNSAFE = "ignoreStoreReadErrorWithClusterBreakingPotential";

const VERB = "unsafe-delete-ignore-read-errors";

/** What can't be said along with it. */
export function checkUnsafe(options: DeleteOptions): readonly FieldError[] {
  if (options[UNSAFE] !== true) return [];
  const { dryRun = [], propagationPolicy, orphanDependents, gracePeriodSeconds, preconditions } = options;
  return Object.entries({
    dryRun: dryRun.length > 0,
    propagationPolicy: propagationPolicy !== undefined,
    orphanDependents: orphanDependents !== undefined,
    gracePeriodSeconds: gracePeriodSeconds !== undefined,
    preconditions: preconditions !== undefined,
  }).flatMap(([field, isSet]) => (isSet ? [invalid(UNSAFE, true, `cannot be set together with .${field}`)] : []));
}

export function refusedForMany(): StatusError {
  const why = "is not allowed with DELETECOLLECTION, try again after removing the option";
  return invalidObject("meta.k8s.io", "DeleteOptions", "", [invalid(UNSAFE, true, why)]);
}

/** The Status that says it is gone: nobody knows what it was. */
export async function removeUnread(
  context: WriteContext,
  resource: Resource,
  namespace: string,
  name: string,
): Promise<object> {
  context.annotate?.("apiserver.k8s.io/unsafe-delete-ignore-read-error", "");
  await assertAllowed(context, resource, namespace, name);
  const { store } = context.services.registry.storage(resource);
  const key = keyFor(resource, namespace, name);
  if (!(await isCorrupt(() => store.get(key)))) {
    const why = "is exclusively used to delete corrupt object(s), try again by removing this option";
    throw invalidObject(resource.group, resource.plural, name, [invalid(UNSAFE, true, why)]);
  }
  await store.deleteUnread(key);
  const details = { name, kind: resource.kind };
  return { kind: "Status", apiVersion: "v1", metadata: {}, status: "Success", details, code: 200 };
}

async function isCorrupt(read: () => Promise<unknown>): Promise<boolean> {
  try {
    await read();
    return false;
  } catch (error) {
    if (error instanceof CorruptObject) return true;
    throw error;
  }
}

async function assertAllowed(
  { services, user }: WriteContext,
  resource: Resource,
  namespace: string,
  name: string,
): Promise<void> {
  const { group, version, plural } = resource;
  const { decision, reason } = await services.authorizer.authorize(
    resourceAttributes({ user, verb: VERB, group, version, resource: plural, namespace, name }),
  );
  if (decision !== "allow") throw forbidden(resource, name, `not permitted to do "${VERB}", reason: ${reason}`);
}
