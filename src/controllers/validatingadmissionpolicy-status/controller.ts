/**
 * Reports in a policy's status which of its expressions do not type-check against the kinds it applies to.
 * Upstream: pkg/controller/validatingadmissionpolicystatus
 */
import { defineController, done } from "../../client/controller.ts";
import { validatingAdmissionPolicies } from "../../client/resources.ts";
import { checkPolicy } from "./check.ts";
import { kindsOf } from "./kinds.ts";

const NAME = "validatingadmissionpolicy-status-controller";

export const validatingAdmissionPolicyStatusController = defineController({
  name: NAME,
  aliases: ["validatingadmissionpolicy-status"],
  workers: { flag: "concurrent-validating-admission-policy-status-syncs", default: 5 },
  triggers: [{ resource: validatingAdmissionPolicies, on: ["add", "update"], keys: ({ metadata }) => [metadata.name] }],
  create: ({ informers }) => ({
    async reconcile(name, signal, client) {
      const policy = informers.of(validatingAdmissionPolicies).get(name);
      const generation = policy?.metadata.generation ?? 0;
      if (policy === undefined || generation <= (policy.status?.observedGeneration ?? 0)) return done;
      const expressionWarnings = await checkPolicy(policy, kindsOf(client.transport, signal));
      const status = {
        observedGeneration: generation,
        typeChecking: expressionWarnings.length > 0 ? { expressionWarnings } : {},
      };
      const applied = {
        apiVersion: "admissionregistration.k8s.io/v1",
        kind: "ValidatingAdmissionPolicy",
        metadata: { name },
        status,
      };
      await client.patch(validatingAdmissionPolicies, { name }, "application/apply-patch+yaml", applied, {
        fieldManager: NAME,
        force: true,
        subresource: "status",
        signal,
      });
      return done;
    },
  }),
});
