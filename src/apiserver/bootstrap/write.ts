/** The server's own writes: they are defaulted like any other, but neither admitted nor validated. */
import { hasReason, StatusError } from "../../machinery/status.ts";
import { apiVersionOf, type Resource } from "../../machinery/resource.ts";
import { LOOPBACK } from "../authn/user.ts";
import type { Services, WriteContext } from "../registry/context.ts";
import { create } from "../registry/create.ts";
import { decodeBody, expectedOf } from "../registry/decode.ts";
import { recordUpdate } from "../registry/managed-fields.ts";
import { patcher } from "../registry/patch.ts";
import { APPLY_PATCH } from "../registry/patch-document.ts";
import { update } from "../registry/update.ts";
import type { Entry } from "../storage/entry.ts";
import { keyFor } from "../storage/keys.ts";

const never = new AbortController().signal;

export function internalContext(services: Services, fieldManager = "kube-apiserver"): WriteContext {
  return {
    services,
    user: LOOPBACK,
    signal: never,
    dryRun: false,
    fieldManager,
    fieldValidation: "Ignore",
    warn() {},
    internal: true,
  };
}

/**
 * Makes sure that an object is there: created where it is missing; where it is there, `repair` may say what it should be instead.
 * `name` is `namespaces`, `clusterroles.rbac.authorization.k8s.io`. Undefined where the resource isn't served. `live`: what is there is looked up in
 * etcd, where the cache would do for what one more try sets right.
 */
export async function ensure(
  services: Services,
  name: string,
  object: any,
  repair: (current: any) => any = () => undefined,
  { fieldManager, live = false }: { readonly fieldManager?: string; readonly live?: boolean } = {},
): Promise<Entry | undefined> {
  const resource = services.registry.named(name);
  if (resource === undefined) return undefined;
  const context = internalContext(services, fieldManager);
  const namespace = resource.scope === "Namespaced" ? (object.metadata.namespace as string) : "";
  const { store, cache } = services.registry.storage(resource);
  const key = keyFor(resource, namespace, object.metadata.name);
  const cached = cache.get(key);
  const current = cached === undefined || live ? (await store.get(key, cached)).entry : cached;
  if (current === undefined) {
    try {
      const body = { kind: "object", value: object, contentType: "application/json" } as const;
      return await create(
        context,
        resource,
        namespace,
        decodeBody(body, expectedOf(resource), "Ignore", () => {}),
      );
    } catch (error) {
      // Another server was quicker.
      if (!hasReason(error, "AlreadyExists")) throw wrap(error, name, object.metadata.name);
    }
  }
  if (current !== undefined && repair(current.view(resource)) === undefined) return current;
  try {
    const { entry } = await update(context, {
      resource,
      subresource: "",
      namespace,
      name: object.metadata.name,
      onMissing: "fail",
      make(live) {
        const wanted = repair(live);
        if (wanted === undefined) return structuredClone(live);
        const draft = decodeBody(
          { kind: "object", value: wanted, contentType: "application/json" },
          expectedOf(resource),
          "Ignore",
          () => {},
        );
        return recordUpdate(context, resource, "", live, draft);
      },
    });
    return entry;
  } catch (error) {
    throw wrap(error, name, object.metadata.name);
  }
}

/** Applies a status of an object that is cluster-wide, as one of the server's own controllers. What isn't there any more stays away. */
export async function applyStatus(
  services: Services,
  resource: Resource,
  name: string,
  status: object,
  manager: string,
): Promise<void> {
  const context = internalContext(services, manager);
  const value = { apiVersion: apiVersionOf(resource), kind: resource.kind, metadata: { name }, status };
  const make = patcher(
    context,
    resource,
    "status",
    { kind: "object", value, contentType: APPLY_PATCH },
    { force: true, fieldManager: manager },
  );
  try {
    await update(context, { resource, subresource: "status", namespace: "", name, make, onMissing: "fail" });
  } catch (error) {
    if (!hasReason(error, "NotFound")) throw error;
  }
}

function wrap(error: unknown, resource: string, name: string): unknown {
  return error instanceof StatusError ? error : new Error(`writing ${resource} ${name}`, { cause: error });
}
