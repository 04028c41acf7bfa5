/**
 * Nothing can be created in a namespace that does not exist or is being deleted, and the system's namespaces cannot be deleted.
 * Upstream: apiserver/pkg/admission/plugin/namespace/lifecycle
 */
import { notFound } from "../../../machinery/status.ts";
import { defineAdmission, refuse } from "../framework.ts";

const IMMORTAL = new Set(["default", "kube-system", "kube-public"]);
const NAMESPACES = { group: "", plural: "namespaces" };
/** So long after a namespace's deletion the cache isn't trusted to know of it. */
const DOUBT_MS = 30_000;

export const namespaceLifecycle = defineAdmission({
  name: "NamespaceLifecycle",
  onByDefault: true,
  reads: ["namespaces"],
  handles: { operations: ["CREATE", "UPDATE", "DELETE"] },
  configure() {
    const doubtful = new Map<string, number>();
    return {
      async admit(request, { cluster, clock }) {
        const { operation, namespace, name, resource } = request;
        const isNamespace = resource.group === "" && resource.plural === "namespaces";
        if (operation === "DELETE" && isNamespace) {
          if (IMMORTAL.has(name)) throw refuse(request, "this namespace may not be deleted");
          const now = clock.monotonic();
          for (const [gone, until] of doubtful) if (until <= now) doubtful.delete(gone);
          doubtful.set(name, now + DOUBT_MS);
        }
        if (namespace === "" || isNamespace || operation === "DELETE") return;
        // Questions about a namespace may be asked although it isn't there: an answer would tell that it isn't.
        if (resource.group === "authorization.k8s.io") return;
        let found = cluster.get("namespaces", "", namespace);
        const doubted = found?.status?.phase === "Active" && (doubtful.get(namespace) ?? 0) > clock.monotonic();
        // The cache may not have seen it yet.
        if (found === undefined || doubted) found = await cluster.live("namespaces", "", namespace);
        if (found === undefined) throw notFound(NAMESPACES, namespace);
        if (operation !== "CREATE" || found.status?.phase !== "Terminating") return;
        throw refuse(request, `unable to create new content in namespace ${namespace} because it is being terminated`, {
          causes: [
            {
              reason: "NamespaceTerminating",
              message: `namespace ${namespace} is being terminated`,
              field: "metadata.namespace",
            },
          ],
        });
      },
    };
  },
});
