/** A namespace says by annotation on which nodes its pods run. Upstream: plugin/pkg/admission/podnodeselector */
import type { AdmissionContext, AdmissionRequest } from "../framework.ts";
import { defineAdmission, refuse } from "../framework.ts";

const ANNOTATION = "scheduler.alpha.kubernetes.io/node-selector";

export const podNodeSelector = defineAdmission({
  name: "PodNodeSelector",
  onByDefault: false,
  handles: { operations: ["CREATE"], resources: ["pods"] },
  async admit(request, context) {
    const wanted = await agreed(request, context);
    const { spec } = request.object;
    if (Object.keys(wanted).length > 0) spec.nodeSelector = { ...wanted, ...spec.nodeSelector };
  },
  async validate(request, context) {
    await agreed(request, context);
  },
});

/** What the namespace asks for; refuses a pod that asks for something else. */
async function agreed(
  request: AdmissionRequest,
  { cluster }: AdmissionContext,
): Promise<Readonly<Record<string, string>>> {
  const { namespace } = request;
  const found = cluster.get("namespaces", "", namespace) ?? (await cluster.live("namespaces", "", namespace));
  const wanted = parseLabels(found?.metadata.annotations?.[ANNOTATION] ?? "");
  const own = request.object.spec.nodeSelector ?? {};
  for (const [key, value] of Object.entries(wanted))
    if (own[key] !== undefined && own[key] !== value)
      throw refuse(request, "pod node label selector conflicts with its namespace node label selector");
  return wanted;
}

function parseLabels(text: string): Readonly<Record<string, string>> {
  const labels: Record<string, string> = {};
  for (const part of text.split(",").filter((one) => one.trim() !== "")) {
    const [key, value, ...more] = part.split("=").map((one) => one.trim());
    if (value === undefined || more.length > 0) throw new Error(`invalid selector: ${text}`);
    labels[key!] = value;
  }
  return labels;
}
