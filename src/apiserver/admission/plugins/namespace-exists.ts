/** Rejects requests in a namespace that does not exist. Upstream: plugin/pkg/admission/namespace/exists */
import { notFound } from "../../../machinery/status.ts";
import { defineAdmission } from "../framework.ts";

export const namespaceExists = defineAdmission({
  name: "NamespaceExists",
  onByDefault: false,
  reads: ["namespaces"],
  handles: { operations: ["CREATE", "UPDATE", "DELETE"] },
  async validate({ namespace, resource }, { cluster }) {
    if (namespace === "" || (resource.group === "" && resource.plural === "namespaces")) return;
    if (cluster.get("namespaces", "", namespace) !== undefined) return;
    if ((await cluster.live("namespaces", "", namespace)) === undefined)
      throw notFound({ group: "", plural: "namespaces" }, namespace);
  },
});
