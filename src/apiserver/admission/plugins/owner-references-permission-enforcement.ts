/**
 * To change an object's owner references one must be allowed to delete the object, and to set `blockOwnerDeletion`, to set the finalizers of the
 * owner.
 * Upstream: plugin/pkg/admission/gc
 */
import { isDeepStrictEqual } from "node:util";
import type { AdmissionContext, AdmissionRequest, AnyObject } from "../framework.ts";
import { defineAdmission, refuse } from "../framework.ts";

export const ownerReferencesPermissionEnforcement = defineAdmission({
  name: "OwnerReferencesPermissionEnforcement",
  onByDefault: false,
  handles: { operations: ["CREATE", "UPDATE"] },
  async validate(request, context) {
    const { resource, subresource } = request;
    // The status of a pod can't change its owners.
    if (resource.group === "" && resource.plural === "pods" && subresource === "status") return;
    const now = ownersOf(request.object);
    const before = ownersOf(request.oldObject);
    if (isDeepStrictEqual(now, before)) return;
    if (request.operation !== "CREATE") {
      const { group, plural } = resource;
      const { namespace, name } = request;
      const why = await denied(request, context, {
        verb: "delete",
        group,
        resource: plural,
        subresource,
        namespace,
        name,
      });
      if (why !== undefined)
        throw refuse(request, `cannot set an ownerRef on a resource you can't delete: ${why}, <nil>`);
    }
    const blocking = now.filter(
      ({ uid, blockOwnerDeletion }) =>
        blockOwnerDeletion === true && !before.some((old) => old.uid === uid && old.blockOwnerDeletion === true),
    );
    if (blocking.length === 0) return;
    const finalize = { verb: "update", subresource: "finalizers" };
    if (
      (await denied(request, context, { ...finalize, group: "*", resource: "*", namespace: "", name: "*" })) ===
      undefined
    )
      return;
    for (const { apiVersion, kind, name } of blocking) {
      const [version, group = ""] = String(apiVersion).split("/").reverse() as [string, string | undefined];
      const owner = context.findKind(group, version, kind);
      if (owner === undefined)
        throw refuse(
          request,
          `cannot set blockOwnerDeletion in this case because cannot find RESTMapping for APIVersion ${apiVersion} Kind ${kind}: no matches for kind ${JSON.stringify(kind)} in version ${JSON.stringify(apiVersion)}`,
        );
      const namespace = owner.scope === "Namespaced" ? request.namespace : "";
      const why = await denied(request, context, { ...finalize, group, resource: owner.plural, namespace, name });
      if (why !== undefined)
        throw refuse(
          request,
          `cannot set blockOwnerDeletion if an ownerReference refers to a resource you can't set finalizers on: ${why}, <nil>`,
        );
    }
  },
});

const ownersOf = (object: AnyObject): readonly AnyObject[] => object?.metadata?.ownerReferences ?? [];

/** Why the user may not do it; undefined if it is allowed. */
async function denied(
  { user }: AdmissionRequest,
  { authorizer }: AdmissionContext,
  what: {
    readonly verb: string;
    readonly group: string;
    readonly resource: string;
    readonly subresource: string;
    readonly namespace: string;
    readonly name: string;
  },
): Promise<string | undefined> {
  const { decision, reason } = await authorizer.authorize({
    ...what,
    user,
    resourceRequest: true,
    version: "*",
    path: "",
  });
  return decision === "allow" ? undefined : (reason ?? "");
}
