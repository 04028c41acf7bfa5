/**
 * Enforces the pod security level that a namespace's labels name, for pods; for objects that contain a pod template it warns and audits only.
 * Exemptions and default levels are in the plugin's configuration.
 * Upstream: staging/src/k8s.io/pod-security-admission/admission
 */
import { isDns1123Label, isDns1123Subdomain } from "../../../machinery/validation/names.ts";
import type { FieldError } from "../../../machinery/validation/field-error.ts";
import { duplicate, invalid, invalidObject } from "../../../machinery/validation/field-error.ts";
import { listErrors } from "../configuration.ts";
import type { AdmissionContext, AdmissionRequest, AnyObject } from "../framework.ts";
import { defineAdmission, refuse } from "../framework.ts";
import type { Level, Violation } from "./pod-security-standards.ts";
import { inDetail, violations } from "./pod-security-standards.ts";

const PREFIX = "pod-security.kubernetes.io/";
const LEVELS: readonly string[] = ["privileged", "baseline", "restricted"];
const MODES = ["enforce", "audit", "warn"] as const;
type Mode = (typeof MODES)[number];

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

interface Standard {
  readonly level: Level;
  /** `latest` or `v1.N` */
  readonly version: string;
}
type Policy = Readonly<Record<Mode, Standard>>;

interface Settings {
  readonly defaults: Policy;
  readonly usernames: readonly string[];
  readonly namespaces: readonly string[];
  readonly runtimeClasses: readonly string[];
}

export const podSecurity = defineAdmission({
  name: "PodSecurity",
  onByDefault: true,
  reads: ["namespaces"],
  handles: {
    operations: ["CREATE", "UPDATE"],
    resources: ["namespaces", "pods", ...Object.keys(TEMPLATES)],
    subresources: ["ephemeralcontainers", "resize"],
  },
  configure({ configuration }) {
    const settings = readSettings(configuration);
    return {
      validate(request, context) {
        const { group, plural } = request.resource;
        if (plural === "namespaces") return checkNamespace(request, context, settings);
        if (isExempt(request, context, settings)) return undefined;
        return plural === "pods"
          ? checkPod(request, context, settings)
          : checkTemplate(request, context, settings, group === "" ? plural : `${plural}.${group}`);
      },
    };
  },
});

const show = ({ level, version }: Standard): string => `${level}:${version}`;

function isExempt(request: AdmissionRequest, context: AdmissionContext, settings: Settings): boolean {
  const why = settings.namespaces.includes(request.namespace)
    ? "namespace"
    : settings.usernames.includes(request.user.name)
      ? "user"
      : undefined;
  if (why !== undefined) exempt(request, context, why);
  return why !== undefined;
}

function exempt(request: AdmissionRequest, { metrics }: AdmissionContext, why: string): void {
  request.annotate?.(`${PREFIX}exempt`, why);
  metrics.podSecurityExemption(...labelsOf(request));
}

function labelsOf({ operation, resource, subresource }: AdmissionRequest): readonly string[] {
  const kind = resource.plural === "pods" ? "pod" : resource.plural === "namespaces" ? "namespace" : "controller";
  return [operation.toLowerCase(), kind, subresource];
}

function checkPod(request: AdmissionRequest, context: AdmissionContext, settings: Settings): void {
  const { policy, errors } = policyOf(labelsOfNamespace(request, context), settings.defaults);
  if (errors.length === 0 && MODES.every((mode) => policy[mode].level === "privileged")) {
    request.annotate?.(`${PREFIX}enforce-policy`, "privileged:latest");
    count(request, context, "allow", policy.enforce, "enforce");
    return;
  }
  if (request.operation === "UPDATE" && !bringsImages(request.object.spec, request.oldObject.spec)) return;
  evaluate(request, context, settings, policy, errors, request.object, true);
}

function checkTemplate(request: AdmissionRequest, context: AdmissionContext, settings: Settings, name: string): void {
  if (request.subresource !== "") return;
  const { policy, errors } = policyOf(labelsOfNamespace(request, context), settings.defaults);
  if (errors.length === 0 && policy.warn.level === "privileged" && policy.audit.level === "privileged") return;
  const pod = TEMPLATES[name]!(request.object);
  if (pod?.spec !== undefined) evaluate(request, context, settings, policy, errors, pod, false);
}

function labelsOfNamespace({ namespace }: AdmissionRequest, { cluster }: AdmissionContext) {
  return (cluster.get("namespaces", "", namespace)?.metadata.labels ?? {}) as Readonly<Record<string, string>>;
}

function evaluate(
  request: AdmissionRequest,
  context: AdmissionContext,
  settings: Settings,
  policy: Policy,
  errors: readonly FieldError[],
  pod: AnyObject,
  enforced: boolean,
): void {
  if (settings.runtimeClasses.includes(pod.spec.runtimeClassName)) {
    exempt(request, context, "runtimeClass");
    return;
  }
  if (errors.length > 0) {
    request.annotate?.(
      `${PREFIX}error`,
      `Failed to parse policy: ${listErrors(errors.map(({ field, message }) => `${field}: ${message}`))}`,
    );
    context.metrics.podSecurityError("false", ...labelsOf(request));
  }
  const known = new Map<string, readonly Violation[]>();
  const find = (standard: Standard): readonly Violation[] => {
    let found = known.get(show(standard));
    if (found === undefined) known.set(show(standard), (found = violations(standard.level, standard.version, pod)));
    return found;
  };
  const tell = (standard: Standard) =>
    `violate PodSecurity ${JSON.stringify(show(standard))}: ${inDetail(find(standard))}`;
  const { enforce, audit, warn } = policy;
  if (enforced) request.annotate?.(`${PREFIX}enforce-policy`, show(enforce));
  const refused = enforced && find(enforce).length > 0;
  if (enforced) count(request, context, refused ? "deny" : "allow", enforce, "enforce");
  if (find(audit).length > 0) {
    request.annotate?.(`${PREFIX}audit-violations`, `would ${tell(audit)}`);
    count(request, context, "deny", audit, "audit");
  }
  if (refused)
    throw refuse(request, `violates PodSecurity ${JSON.stringify(show(enforce))}: ${inDetail(find(enforce))}`);
  if (find(warn).length > 0) {
    request.warn(`would ${tell(warn)}`);
    count(request, context, "deny", warn, "warn");
  }
}

/** This server's own minor version: policies of later ones are all alike to it. */
const OWN_MINOR = 36;

function count(
  request: AdmissionRequest,
  { metrics }: AdmissionContext,
  decision: "allow" | "deny",
  { level, version }: Standard,
  mode: Mode,
): void {
  const latest = version === "latest" || level === "privileged";
  const shown = latest ? "latest" : minorOf(version) > OWN_MINOR ? "future" : version;
  metrics.podSecurity(decision, level, shown, mode, ...labelsOf(request));
}

const minorOf = (version: string): number => Number(version.slice("v1.".length));

/** Of what may change of a running pod only images give it more than it has. */
function bringsImages(spec: AnyObject, before: AnyObject): boolean {
  for (const list of ["containers", "initContainers"] as const) {
    const [now, then]: readonly (readonly AnyObject[])[] = [spec[list] ?? [], before[list] ?? []] as const;
    if (now!.length !== then!.length || now!.some(({ image }, i) => image !== then![i].image)) return true;
  }
  return (spec.ephemeralContainers ?? []).some(
    ({ name, image }: AnyObject) =>
      (before.ephemeralContainers ?? []).find((one: AnyObject) => one.name === name)?.image !== image,
  );
}

function checkNamespace(request: AdmissionRequest, context: AdmissionContext, settings: Settings): void {
  const { object, oldObject, operation } = request;
  const labels: Readonly<Record<string, string>> = object.metadata.labels ?? {};
  const { policy, errors } = policyOf(labels, settings.defaults);
  const name: string = object.metadata.name ?? "";
  const refusal = () => invalidObject("", "Namespace", name, errors);
  if (operation === "CREATE") {
    if (errors.length > 0) throw refusal();
    if (settings.namespaces.includes(name)) warnOfExemption(request, policy, settings, labels);
    return;
  }
  const before = policyOf(oldObject.metadata.labels ?? {}, settings.defaults);
  // What was wrong before may stay so.
  if (errors.length > 0 && JSON.stringify(errors) !== JSON.stringify(before.errors)) throw refusal();
  const { enforce } = policy;
  const was = before.policy.enforce;
  if (show(enforce) === show(was) || enforce.level === "privileged") return;
  if (enforce.version === was.version && LEVELS.indexOf(enforce.level) <= LEVELS.indexOf(was.level)) return;
  if (settings.namespaces.includes(name)) {
    warnOfExemption(request, policy, settings, labels);
    return;
  }
  for (const warning of warningsOfPods(context, settings, name, enforce)) request.warn(warning);
}

function warnOfExemption(
  request: AdmissionRequest,
  policy: Policy,
  { defaults }: Settings,
  labels: Readonly<Record<string, string>>,
): void {
  const plain = ({ level }: Standard) => level === "privileged";
  const alike = (mode: Mode) =>
    (plain(policy[mode]) && plain(defaults[mode])) || show(policy[mode]) === show(defaults[mode]);
  if (MODES.every((mode) => plain(policy[mode])) || MODES.every(alike)) return;
  const said = MODES.filter(
    (mode) =>
      !plain(policy[mode]) &&
      (labels[`${PREFIX}${mode}`] !== undefined || labels[`${PREFIX}${mode}-version`] !== undefined),
  );
  request.warn(
    `namespace ${JSON.stringify(request.object.metadata.name)} is exempt from Pod Security, and the policy (${said.map((mode) => `${mode}=${show(policy[mode])}`).join(", ")}) will be ignored`,
  );
}

const PODS_MAX = 3000;
const PODS_TIME_MS = 1000;

/** What the pods there are would be refused for, once for all that break the same rules. */
function warningsOfPods(
  { cluster, clock }: AdmissionContext,
  { runtimeClasses }: Settings,
  namespace: string,
  enforce: Standard,
): readonly string[] {
  const until = clock.monotonic() + PODS_TIME_MS;
  const first: AnyObject[] = [];
  const alike: AnyObject[] = [];
  const controllers = new Set<string>();
  for (const pod of cluster.list("pods", namespace)) {
    if (runtimeClasses.includes(pod.spec.runtimeClassName)) continue;
    const uid = (pod.metadata.ownerReferences ?? []).find(({ controller }: AnyObject) => controller === true)?.uid;
    (uid !== undefined && controllers.has(uid) ? alike : first).push(pod);
    if (uid !== undefined) controllers.add(uid);
  }
  // Pods of one controller are alike: one of each comes first.
  const all = [...first, ...alike];
  const byReason = new Map<string, string[]>();
  let checked = 0;
  for (const pod of all.slice(0, PODS_MAX)) {
    checked++;
    const reasons = violations(enforce.level, enforce.version, pod).map(({ reason }) => reason);
    if (reasons.length > 0) {
      const text = reasons.join(", ");
      byReason.set(text, [...(byReason.get(text) ?? []), pod.metadata.name]);
    }
    if (clock.monotonic() > until) break;
  }
  const texts = [...byReason].map(([text, names]) => {
    const [lowest] = names.sort();
    const others = names.length - 1;
    return `${lowest}${others === 0 ? "" : others === 1 ? " (and 1 other pod)" : ` (and ${others} other pods)`}: ${text}`;
  });
  return [
    ...(checked < all.length
      ? [`new PodSecurity enforce level only checked against the first ${checked} of ${all.length} existing pods`]
      : []),
    ...(texts.length > 0
      ? [
          `existing pods in namespace ${JSON.stringify(namespace)} violate the new PodSecurity enforce level ${JSON.stringify(show(enforce))}`,
        ]
      : []),
    ...texts.sort(),
  ];
}

/** Labels before defaults. What can't be read is taken at its strictest where it is enforced, and left alone where it is only told of. */
function policyOf(
  labels: Readonly<Record<string, string>>,
  defaults: Policy,
): { readonly policy: Policy; readonly errors: readonly FieldError[] } {
  const errors: FieldError[] = [];
  const one = (mode: Mode): Standard => {
    let { level, version } = defaults[mode];
    const [levelKey, versionKey] = [`${PREFIX}${mode}`, `${PREFIX}${mode}-version`];
    const said = labels[levelKey];
    if (said !== undefined) {
      if (isLevel(said)) level = said;
      else {
        level = mode === "enforce" ? "restricted" : "privileged";
        errors.push(invalid(`metadata.labels[${levelKey}]`, said, BAD_LEVEL));
      }
    }
    const saidVersion = labels[versionKey];
    if (saidVersion !== undefined) {
      version = isVersion(saidVersion) ? saidVersion : "latest";
      if (!isVersion(saidVersion)) errors.push(invalid(`metadata.labels[${versionKey}]`, saidVersion, BAD_VERSION));
    }
    return { level, version };
  };
  const [enforce, audit] = [one("enforce"), one("audit")];
  let warn = one("warn");
  // Who makes the rule stricter wants to hear of it on what makes pods, too.
  const stricter =
    isLevel(labels[`${PREFIX}enforce`] ?? "") && LEVELS.indexOf(enforce.level) > LEVELS.indexOf(warn.level);
  if (labels[`${PREFIX}warn`] === undefined && stricter)
    warn = {
      level: enforce.level,
      version: labels[`${PREFIX}warn-version`] === undefined ? enforce.version : warn.version,
    };
  return { policy: { enforce, audit, warn }, errors };
}

const BAD_LEVEL = `must be one of ${LEVELS.join(", ")}`;
const BAD_VERSION = 'must be "latest" or "v1.x"';
const isLevel = (text: string): text is Level => LEVELS.includes(text);
const isVersion = (text: string): boolean => text === "latest" || /^v1\.([0-9]|[1-9][0-9]*)$/.test(text);

function readSettings(configuration: AnyObject): Settings {
  const { defaults = {}, exemptions = {} } = configuration ?? {};
  const errors: FieldError[] = [];
  const standard = (mode: Mode): Standard => {
    const level: string = defaults[mode] || "privileged";
    const version: string = defaults[`${mode}-version`] || "latest";
    if (!isLevel(level)) errors.push(invalid(`defaults.${mode}`, level, BAD_LEVEL));
    if (!isVersion(version)) errors.push(invalid(`defaults.${mode}-version`, version, BAD_VERSION));
    return { level: level as Level, version };
  };
  const [enforce, warn, audit] = [standard("enforce"), standard("warn"), standard("audit")];
  const names = (list: string, check: (name: string) => readonly string[]): readonly string[] => {
    const all: readonly string[] = exemptions[list] ?? [];
    for (const [i, name] of all.entries()) {
      const path = `exemptions.${list}[${i}]`;
      const wrong = check(name);
      if (wrong.length > 0) errors.push(invalid(path, name, wrong.join(", ")));
      else if (all.indexOf(name) < i) errors.push(duplicate(path, name));
    }
    return all;
  };
  const settings = {
    defaults: { enforce, warn, audit },
    namespaces: names("namespaces", isDns1123Label),
    runtimeClasses: names("runtimeClasses", isDns1123Subdomain),
    usernames: names("usernames", (name) => (name === "" ? ["username must not be empty"] : [])),
  };
  if (errors.length > 0)
    throw new Error(`PodSecurity invalid: ${listErrors(errors.map(({ field, message }) => `${field}: ${message}`))}`);
  return settings;
}
