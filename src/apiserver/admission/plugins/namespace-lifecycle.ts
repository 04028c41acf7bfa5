/** Nothing is created in a namespace that isn't there or is going, and the system's namespaces stay. */
import { notFound } from "../../../machinery/status.ts";
import { defineAdmission, refuse } from "../framework.ts";

const IMMORTAL = new Set(["default", "kube-system", "kube-public"]);
const NAMESPACES = { group: "", plural: "namespaces" };

export const namespaceLifecycle = defineAdmission({
  name: "NamespaceLifecycle",
  onByDefault: true,
  handles: { operations: ["CREATE", "UPDATE", "DELETE"] },
  async admit(request, { cluster }) {
    const { operation, namespace, name, resource } = request;
    const isNamespace = resource.group === "" && resource.plural === "namespaces";
    if (operation === "DELETE" && isNamespace && IMMORTAL.has(name))
      throw refuse(request, "this namespace may not be deleted");
    if (namespace === "" || isNamespace || operation !== "CREATE") return;
    // Questions about a namespace may be asked although it isn't there.
    if (resource.group === "authorization.k8s.io") return;
    let found = cluster.get("namespaces", "", namespace);
    // The cache may not have seen it yet.
    if (found === undefined) found = await cluster.live("namespaces", "", namespace);
    if (found === undefined) throw notFound(NAMESPACES, namespace);
    if (found.status?.phase !== "Terminating") return;
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
});
