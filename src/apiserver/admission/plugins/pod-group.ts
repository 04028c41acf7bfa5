/**
 * Protects a pod group while pods belong to it, and checks that the workload it names exists.
 * Upstream: plugin/pkg/admission/{scheduling/podgroupprotection,podgroup}
 */
import { defineAdmission, refuse } from "../framework.ts";

const GROUPS = "podgroups.scheduling.k8s.io";
const FINALIZER = "scheduling.k8s.io/podgroup-protection";

export const podGroupProtection = defineAdmission({
  name: "PodGroupProtection",
  onByDefault: true,
  handles: { operations: ["CREATE"], resources: [GROUPS] },
  admit({ object: { metadata } }, { gate }) {
    const finalizers: readonly string[] = metadata.finalizers ?? [];
    if (gate("GenericWorkload", false) && !finalizers.includes(FINALIZER))
      metadata.finalizers = [...finalizers, FINALIZER];
  },
});

export const podGroupWorkloadExists = defineAdmission({
  name: "PodGroupWorkloadExists",
  onByDefault: true,
  reads: ["workloads.scheduling.k8s.io"],
  handles: { operations: ["CREATE"], resources: [GROUPS] },
  async validate(request, { gate, cluster }) {
    const wanted = request.object.spec?.podGroupTemplateRef?.workload;
    if (!gate("GenericWorkload", false) || wanted === undefined) return;
    const { workloadName, podGroupTemplateName } = wanted;
    const workload =
      cluster.get("workloads.scheduling.k8s.io", request.namespace, workloadName) ??
      (await cluster.live("workloads.scheduling.k8s.io", request.namespace, workloadName));
    const quoted = JSON.stringify(workloadName);
    if (workload === undefined) throw refuse(request, `PodGroup rejected: Workload ${quoted} not found`);
    if (workload.metadata.deletionTimestamp !== undefined)
      throw refuse(request, `PodGroup rejected: Workload ${quoted} is being deleted`);
    const templates: readonly { readonly name: string }[] = workload.spec.podGroupTemplates ?? [];
    if (!templates.some(({ name }) => name === podGroupTemplateName))
      throw refuse(
        request,
        `PodGroup rejected: PodGroupTemplate ${JSON.stringify(podGroupTemplateName)} not found in Workload ${quoted}`,
      );
  },
});
