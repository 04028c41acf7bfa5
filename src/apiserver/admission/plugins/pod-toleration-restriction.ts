/**
 * A namespace, or the plugin's configuration, adds default tolerations to pods and says which ones they may have.
 * Upstream: plugin/pkg/admission/podtolerationrestriction
 */
import { qosClassOf } from "../../../api/core/v1/pod/resources.ts";
import { notFound } from "../../../machinery/status.ts";
import type { AdmissionContext, AdmissionRequest, AnyObject } from "../framework.ts";
import { defineAdmission, unclassified } from "../framework.ts";
import { allCovered, mergeTolerations } from "../tolerations.ts";

const DEFAULTS = "scheduler.alpha.kubernetes.io/defaultTolerations";
const ALLOWED = "scheduler.alpha.kubernetes.io/tolerationsWhitelist";
const MEMORY_PRESSURE = { key: "node.kubernetes.io/memory-pressure", operator: "Exists", effect: "NoSchedule" };

type Tolerations = readonly AnyObject[];

export const podTolerationRestriction = defineAdmission({
  name: "PodTolerationRestriction",
  onByDefault: false,
  reads: ["namespaces"],
  handles: { operations: ["CREATE", "UPDATE"], resources: ["pods"] },
  configure({ configuration }) {
    const cluster = (configuration ?? {}) as { readonly default?: Tolerations; readonly whitelist?: Tolerations };
    const check = async (request: AdmissionRequest, context: AdmissionContext) => {
      const { tolerations = [] } = request.object.spec;
      if (tolerations.length === 0) return;
      const own = await ofNamespace(request, context, ALLOWED);
      if (allCovered(tolerations, own ?? cluster.whitelist ?? [])) return;
      throw unclassified(
        `pod tolerations (possibly merged with namespace default tolerations) conflict with its ${own === undefined ? "cluster" : "namespace"} whitelist`,
      );
    };
    return {
      async admit(request, context) {
        const { spec, status } = request.object;
        const more: AnyObject[] = [];
        if (request.operation === "CREATE")
          more.push(...((await ofNamespace(request, context, DEFAULTS)) ?? cluster.default ?? []));
        if ((status?.qosClass ?? qosClassOf(spec)) !== "BestEffort") more.push(MEMORY_PRESSURE);
        if (more.length > 0) spec.tolerations = mergeTolerations(spec.tolerations ?? [], more);
        await check(request, context);
      },
      validate: check,
    };
  },
});

/** Undefined where the namespace says nothing, which is not the same as none. */
async function ofNamespace(
  { namespace }: AdmissionRequest,
  { cluster }: AdmissionContext,
  annotation: string,
): Promise<Tolerations | undefined> {
  const found = cluster.get("namespaces", "", namespace) ?? (await cluster.live("namespaces", "", namespace));
  if (found === undefined) throw notFound({ group: "", plural: "namespaces" }, namespace);
  const text: string | undefined = found.metadata.annotations?.[annotation];
  if (text === undefined || text === "") return text === "" ? [] : undefined;
  try {
    return (JSON.parse(text) as Tolerations | null) ?? [];
  } catch (error) {
    throw unclassified((error as Error).message);
  }
}
