/** The parallelism of a job whose pods are scheduled as a group cannot change. Upstream: plugin/pkg/admission/job */
import type { AnyObject } from "../framework.ts";
import { defineAdmission, refuse } from "../framework.ts";

const GROUPS = "podgroups.scheduling.k8s.io";

export const jobValidation = defineAdmission({
  name: "JobValidation",
  onByDefault: true,
  reads: [GROUPS],
  handles: { operations: ["UPDATE"], resources: ["jobs.batch"] },
  validate(request, { gate, cluster }) {
    if (!gate("GenericWorkload", false) && !gate("WorkloadWithJob", false)) return;
    const { object, oldObject } = request;
    if (object.spec.parallelism === oldObject.spec.parallelism) return;
    const named: string | undefined = oldObject.spec.template.spec.schedulingGroup?.podGroupName;
    const groups =
      named === undefined
        ? cluster.list(GROUPS, request.namespace).filter((group) => controls(oldObject, group))
        : [cluster.get(GROUPS, request.namespace, named)];
    const gang = groups.find((group) => group?.spec.schedulingPolicy?.gang !== undefined);
    if (gang !== undefined)
      throw refuse(
        request,
        `cannot change parallelism for a Job referencing gang-scheduled PodGroup ${JSON.stringify(gang.metadata.name)}`,
      );
  },
});

function controls(owner: AnyObject, { metadata }: AnyObject): boolean {
  const references: readonly AnyObject[] = metadata.ownerReferences ?? [];
  return references.find(({ controller }) => controller === true)?.uid === owner.metadata.uid;
}
