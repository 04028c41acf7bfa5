/**
 * `--admission-control-config-file`: the configuration of each plugin, inline or in a file of its own.
 * Upstream: apiserver/pkg/admission/config.go, apiserver/pkg/apis/apiserver
 */
import type { AdmissionFlags, AdmissionPlugin, PluginConfiguration } from "./framework.ts";

/** By plugin's name; a plugin without an entry runs with its defaults. */
export interface AdmissionConfiguration {
  readonly plugins: ReadonlyMap<string, Omit<PluginConfiguration, "flags">>;
  readonly flags?: Partial<AdmissionFlags>;
}

/** The groups whose kinds configure plugins, with the versions and the kind of each; a plugin that isn't here takes no configuration. */
const KINDS: Readonly<Record<string, readonly { readonly apiVersions: readonly string[]; readonly kind: string }[]>> = {
  PodSecurity: [
    {
      apiVersions: [1, "1beta1", "1alpha1"].map((version) => `pod-security.admission.config.k8s.io/v${version}`),
      kind: "PodSecurityConfiguration",
    },
  ],
  EventRateLimit: [{ apiVersions: ["eventratelimit.admission.k8s.io/v1alpha1"], kind: "Configuration" }],
  PodTolerationRestriction: [
    { apiVersions: ["podtolerationrestriction.admission.k8s.io/v1alpha1"], kind: "Configuration" },
  ],
  ResourceQuota: [
    { apiVersions: ["apiserver.config.k8s.io/v1"], kind: "ResourceQuotaConfiguration" },
    {
      apiVersions: ["resourcequota.admission.k8s.io/v1beta1", "resourcequota.admission.k8s.io/v1alpha1"],
      kind: "Configuration",
    },
  ],
  MutatingAdmissionWebhook: webhookKinds(),
  ValidatingAdmissionWebhook: webhookKinds(),
};

function webhookKinds() {
  return [
    { apiVersions: ["apiserver.config.k8s.io/v1"], kind: "WebhookAdmissionConfiguration" },
    { apiVersions: ["apiserver.config.k8s.io/v1alpha1"], kind: "WebhookAdmission" },
  ];
}

/** Plugins from before configurations had versions. */
const UNVERSIONED = ["ImagePolicyWebhook", "PodNodeSelector"];

/** Throws where a plugin's configuration is of another kind than it reads. */
export function checkKind(plugin: string, configuration: unknown): void {
  if (UNVERSIONED.includes(plugin) || KINDS[plugin] === undefined) return;
  const { apiVersion = "", kind = "" } = (configuration ?? {}) as Record<string, string>;
  if (kind === "") throw new Error(`Object 'Kind' is missing in '${JSON.stringify(configuration)}'`);
  if (apiVersion === "") throw new Error(`Object 'apiVersion' is missing in '${JSON.stringify(configuration)}'`);
  if (KINDS[plugin].some((known) => known.kind === kind && known.apiVersions.includes(apiVersion))) return;
  throw new Error(`no kind ${JSON.stringify(kind)} is registered for version ${JSON.stringify(apiVersion)}`);
}

/** The plugins of one server, each told its part. Throws, in upstream's words, what a plugin can't run with. */
export function configurePlugins(
  plugins: readonly AdmissionPlugin[],
  { plugins: given, flags }: AdmissionConfiguration,
): readonly AdmissionPlugin[] {
  return plugins.map((plugin) => {
    if (plugin.configure === undefined) return plugin;
    try {
      return {
        ...plugin,
        ...plugin.configure({
          ...given.get(plugin.name),
          flags: { notReadySeconds: 300, unreachableSeconds: 300, ...flags },
        }),
      };
    } catch (error) {
      throw new Error(
        `couldn't init admission plugin ${JSON.stringify(plugin.name)}: ${error instanceof Error ? error.message : String(error)}`,
        { cause: error },
      );
    }
  });
}

/** Several errors as one text, each once. */
export function listErrors(texts: readonly string[]): string {
  const once = [...new Set(texts)];
  return once.length === 1 ? once[0]! : `[${once.join(", ")}]`;
}
