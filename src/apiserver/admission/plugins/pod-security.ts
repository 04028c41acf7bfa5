/** Namespaces say by labels how much their pods may: enforced for pods, told of for what makes pods. Upstream: pod-security-admission/admission. */
import { invalid, invalidObject } from "../../../machinery/validation/field-error.ts";
import type { AdmissionRequest, AnyObject } from "../framework.ts";
import { defineAdmission, refuse } from "../framework.ts";
import type { Level } from "./pod-security-standards.ts";
import { violations } from "./pod-security-standards.ts";

const PREFIX = "pod-security.kubernetes.io/";
const LEVELS = ["privileged", "baseline", "restricted"];

/** Where the pod is in each kind that makes pods. */
const TEMPLATES: Readonly<Record<string, (object: AnyObject) => AnyObject>> = {
  replicationcontrollers: ({ spec }) => spec?.template,
  podtemplates: ({ template }) => template,
  "replicasets.apps": ({ spec }) => spec?.template,
  "deployments.apps": ({ spec }) => spec?.template,
  "statefulsets.apps": ({ spec }) => spec?.template,
  "daemonsets.apps": ({ spec }) => spec?.template,
  "jobs.batch": ({ spec }) => spec?.template,
  "cronjobs.batch": ({ spec }) => spec?.jobTemplate?.spec?.template,
};

export const podSecurity = defineAdmission({
  name: "PodSecurity",
  onByDefault: true,
  handles: {
    operations: ["CREATE", "UPDATE"],
    resources: ["namespaces", "pods", ...Object.keys(TEMPLATES)],
    subresources: ["ephemeralcontainers"],
  },
  validate(request, context) {
    const { group, plural } = request.resource;
    if (plural === "namespaces") return checkLabels(request);
    const labels = context.cluster.get("namespaces", "", request.namespace)?.metadata.labels ?? {};
    if (plural !== "pods") {
      const pod = TEMPLATES[group === "" ? plural : `${plural}.${group}`]!(request.object);
      if (pod?.spec !== undefined) tell(request, labels, pod);
      return;
    }
    // What may change of a running pod gives it no more than it has.
    if (request.operation === "UPDATE" && request.subresource !== "ephemeralcontainers") return;
    enforce(request, labels);
  },
});

function policyOf(
  labels: Readonly<Record<string, string>>,
  mode: "enforce" | "audit" | "warn",
): { readonly level: Level; readonly version: string } {
  const level = labels[`${PREFIX}${mode}`] ?? "privileged";
  // A label that says nothing known is taken at its strictest.
  return {
    level: (LEVELS.includes(level) ? level : "restricted") as Level,
    version: labels[`${PREFIX}${mode}-version`] ?? "latest",
  };
}

function enforce(request: AdmissionRequest, labels: Readonly<Record<string, string>>): void {
  const { level, version } = policyOf(labels, "enforce");
  request.annotate?.(`${PREFIX}enforce-policy`, `${level}:${version}`);
  const found = violations(level, request.object);
  if (found !== undefined)
    throw refuse(request, `violates PodSecurity ${JSON.stringify(`${level}:${version}`)}: ${found}`);
  tell(request, labels, request.object);
}

function tell(request: AdmissionRequest, labels: Readonly<Record<string, string>>, pod: AnyObject): void {
  const { level, version } = policyOf(labels, "warn");
  const found = violations(level, pod);
  const audited = policyOf(labels, "audit");
  const noted = violations(audited.level, pod);
  if (noted !== undefined)
    request.annotate?.(
      `${PREFIX}audit-violations`,
      `would violate PodSecurity ${JSON.stringify(`${audited.level}:${audited.version}`)}: ${noted}`,
    );
  if (found !== undefined) request.warn(`would violate PodSecurity ${JSON.stringify(`${level}:${version}`)}: ${found}`);
}

function checkLabels({ object, oldObject }: AdmissionRequest): void {
  const labels: Readonly<Record<string, string>> = object.metadata.labels ?? {};
  const before: Readonly<Record<string, string>> = oldObject?.metadata.labels ?? {};
  const errors = ["enforce", "audit", "warn"].flatMap((mode) => {
    const key = `${PREFIX}${mode}`;
    const value = labels[key];
    if (value === undefined || value === before[key] || LEVELS.includes(value)) return [];
    return [invalid(`metadata.labels[${key}]`, value, `must be one of ${LEVELS.join(", ")}`)];
  });
  if (errors.length > 0) throw invalidObject("", "Namespace", object.metadata.name, errors);
}
