/** Creates a namespace when the first object is created in it. Upstream: plugin/pkg/admission/namespace/autoprovision */
import { defineAdmission } from "../framework.ts";

export const namespaceAutoProvision = defineAdmission({
  name: "NamespaceAutoProvision",
  onByDefault: false,
  reads: ["namespaces"],
  handles: { operations: ["CREATE"] },
  async admit({ namespace, resource, dryRun }, { cluster, createNamespace }) {
    if (dryRun || namespace === "" || (resource.group === "" && resource.plural === "namespaces")) return;
    if (cluster.get("namespaces", "", namespace) === undefined) await createNamespace(namespace);
  },
});
