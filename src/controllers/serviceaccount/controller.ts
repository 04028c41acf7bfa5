/** Every active namespace has the service account `default`. Upstream: pkg/controller/serviceaccount/serviceaccounts_controller.go */
import { defineController, done } from "../../client/controller.ts";
import { isNamespaceTerminating, itself } from "../../client/controller-runner.ts";
import { namespaces, serviceAccounts } from "../../client/resources.ts";
import { hasReason } from "../../machinery/status.ts";

export const serviceAccountController = defineController({
  name: "serviceaccount-controller",
  aliases: ["serviceaccount"],
  workers: { default: 1 },
  triggers: [
    itself(namespaces),
    { resource: serviceAccounts, on: ["delete"], keys: ({ metadata }) => [metadata.namespace ?? ""] },
  ],
  create: ({ informers }) => ({
    async reconcile(namespace, signal, client) {
      if (informers.of(namespaces).get(namespace)?.status.phase !== "Active") return done;
      if (informers.of(serviceAccounts).get(`${namespace}/default`) !== undefined) return done;
      try {
        await client.create(serviceAccounts, { metadata: { name: "default", namespace } }, { signal });
      } catch (error) {
        if (!hasReason(error, "AlreadyExists") && !isNamespaceTerminating(error)) throw error;
      }
      return done;
    },
  }),
});
