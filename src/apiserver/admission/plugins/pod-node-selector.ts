/** A namespace, or the plugin's configuration, restricts the nodes on which its pods may run. Upstream: plugin/pkg/admission/podnodeselector */
import { isLabelValue, isQualifiedName } from "../../../machinery/validation/names.ts";
import { notFound } from "../../../machinery/status.ts";
import type { AdmissionContext, AdmissionRequest } from "../framework.ts";
import { defineAdmission, refuse, unclassified } from "../framework.ts";

const ANNOTATION = "scheduler.alpha.kubernetes.io/node-selector";

type Labels = Readonly<Record<string, string>>;

export const podNodeSelector = defineAdmission({
  name: "PodNodeSelector",
  onByDefault: false,
  reads: ["namespaces"],
  handles: { operations: ["CREATE"], resources: ["pods"] },
  configure({ configuration }) {
    /** Selectors by namespace: all that its pods may ask for; and one for namespaces that say nothing. */
    const selectors = ((configuration as { readonly podNodeSelectorPluginConfig?: Labels } | undefined)
      ?.podNodeSelectorPluginConfig ?? {}) as Labels;
    const check = async (request: AdmissionRequest, context: AdmissionContext): Promise<Labels> => {
      const wanted = await wantedBy(request, context, selectors["clusterDefaultNodeSelector"] ?? "");
      const own: Labels = request.object.spec.nodeSelector ?? {};
      if (Object.entries(wanted).some(([key, value]) => own[key] !== undefined && own[key] !== value))
        throw refuse(request, "pod node label selector conflicts with its namespace node label selector");
      const allowed = parseLabels(selectors[request.namespace] ?? "");
      const asked = Object.entries({ ...wanted, ...own });
      if (Object.keys(allowed).length > 0 && asked.some(([key, value]) => allowed[key] !== value))
        throw refuse(request, "pod node label selector labels conflict with its namespace whitelist");
      return wanted;
    };
    return {
      async admit(request, context) {
        const wanted = await check(request, context);
        const { spec } = request.object;
        if (Object.keys(wanted).length > 0) spec.nodeSelector = { ...wanted, ...spec.nodeSelector };
      },
      async validate(request, context) {
        await check(request, context);
      },
    };
  },
});

async function wantedBy(
  { namespace }: AdmissionRequest,
  { cluster }: AdmissionContext,
  otherwise: string,
): Promise<Labels> {
  const found = cluster.get("namespaces", "", namespace) ?? (await cluster.live("namespaces", "", namespace));
  if (found === undefined) throw notFound({ group: "", plural: "namespaces" }, namespace);
  return parseLabels(found.metadata.annotations?.[ANNOTATION] ?? otherwise);
}

function parseLabels(text: string): Labels {
  if (text === "") return {};
  return Object.fromEntries(
    text.split(",").map((part) => {
      const [key = "", value = "", ...more] = part.split("=");
      if (!part.includes("=") || more.length > 0)
        throw unclassified(`invalid selector: [${part.split("=").join(" ")}]`);
      const wrong = [...isQualifiedName(key.trim()), ...isLabelValue(value.trim())];
      if (wrong.length > 0)
        throw unclassified(`<nil>: Invalid value: ${JSON.stringify(key.trim())}: ${wrong.join("; ")}`);
      return [key.trim(), value.trim()];
    }),
  );
}
