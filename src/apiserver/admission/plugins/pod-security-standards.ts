/**
 * The Pod Security Standards: what the levels baseline and restricted forbid, for each version of Kubernetes, in the order and words of upstream's
 * checks.
 * Upstream: staging/src/k8s.io/pod-security-admission/policy.
 */
import type { AnyObject } from "../framework.ts";

export type Level = "privileged" | "baseline" | "restricted";

/** One rule that a pod breaks: the reason alone when many pods are told of, with the detail when it is about one. */
export interface Violation {
  readonly reason: string;
  readonly detail: string;
}

type Find = (pod: Subject) => Violation | undefined;

interface Check {
  readonly id: string;
  readonly level: Exclude<Level, "privileged">;
  /** At restricted, this check stands in for a milder one. */
  readonly overrides?: string;
  /** The rule as it is from a minor version on, oldest first. */
  readonly since: readonly (readonly [minor: number, find: Find])[];
}

interface Subject {
  readonly annotations: Readonly<Record<string, string>>;
  readonly spec: AnyObject;
  readonly containers: readonly AnyObject[];
}

/** Of the newest rule there is. Later versions, and `latest`, are the same. */
const NEWEST_MINOR = 35;

const join = (texts: readonly string[]): string => `"${texts.join('", "')}"`;
const names = (list: readonly AnyObject[]): string => join(list.map(({ name }) => name));
const plural = (word: string, count: number): string => (count === 1 ? word : `${word}s`);
const containersWords = (list: readonly AnyObject[]): string => `${plural("container", list.length)} ${names(list)}`;
const distinct = (list: readonly string[]): readonly string[] => [...new Set(list)].sort();
const context = (one: AnyObject): AnyObject => one.securityContext ?? {};

/** Who is at fault: the pod itself, some of its containers, or both. */
const whoIs = (pod: boolean, containers: readonly AnyObject[]): string =>
  [...(pod ? ["pod"] : []), ...(containers.length > 0 ? [containersWords(containers)] : [])].join(" and ");

const unlessWindows =
  (find: Find): Find =>
  (pod) =>
    pod.spec.os?.name === "windows" ? undefined : find(pod);

/** In a user namespace of its own, root is nobody. */
const unlessOwnUsers =
  (find: Find): Find =>
  (pod) =>
    pod.spec.hostUsers === false ? undefined : find(pod);

const allowPrivilegeEscalation: Find = ({ containers }) => {
  const bad = containers.filter((one) => context(one).allowPrivilegeEscalation !== false);
  if (bad.length === 0) return undefined;
  return {
    reason: "allowPrivilegeEscalation != false",
    detail: `${containersWords(bad)} must set securityContext.allowPrivilegeEscalation=false`,
  };
};

const APP_ARMOR = "container.apparmor.security.beta.kubernetes.io/";

const appArmorProfile: Find = ({ annotations, spec, containers }) => {
  const forbidden = (one: AnyObject): boolean => {
    const { appArmorProfile } = context(one);
    return appArmorProfile !== undefined && !["RuntimeDefault", "Localhost"].includes(appArmorProfile.type);
  };
  const bad = containers.filter(forbidden);
  const noted = Object.entries(annotations)
    .filter(
      ([key, value]) =>
        key.startsWith(APP_ARMOR) && !(value === "" || value === "runtime/default" || value.startsWith("localhost/")),
    )
    .map(([key, value]) => `${key}=${JSON.stringify(value)}`)
    .sort();
  const who = [whoIs(forbidden(spec), bad), noted.length > 0 ? plural("annotation", noted.length) : ""];
  const types = distinct(
    [...(forbidden(spec) ? [spec] : []), ...bad].map((one) => context(one).appArmorProfile.type ?? ""),
  );
  const values = [...types, ...noted];
  if (values.length === 0) return undefined;
  return {
    reason: plural("forbidden AppArmor profile", values.length),
    detail: `${who.filter((words) => words !== "").join(" and ")} must not set AppArmor profile type to ${join(values)}`,
  };
};

const BASELINE_CAPABILITIES = new Set(
  "AUDIT_WRITE CHOWN DAC_OVERRIDE FOWNER FSETID KILL MKNOD NET_BIND_SERVICE SETFCAP SETGID SETPCAP SETUID SYS_CHROOT".split(
    " ",
  ),
);

/** Containers that add capabilities other than those, and what they add. */
function addedCapabilities(containers: readonly AnyObject[], allowed: ReadonlySet<string>) {
  const extra = (one: AnyObject): readonly string[] =>
    (context(one).capabilities?.add ?? []).filter((name: string) => !allowed.has(name));
  const bad = containers.filter((one) => extra(one).length > 0);
  return bad.length === 0
    ? undefined
    : `${containersWords(bad)} must not include ${join(distinct(bad.flatMap(extra)))} in securityContext.capabilities.add`;
}

const capabilitiesBaseline: Find = ({ containers }) => {
  const detail = addedCapabilities(containers, BASELINE_CAPABILITIES);
  return detail === undefined ? undefined : { reason: "non-default capabilities", detail };
};

const capabilitiesRestricted: Find = ({ containers }) => {
  const missing = containers.filter((one) => !(context(one).capabilities?.drop ?? []).includes("ALL"));
  const adding = addedCapabilities(containers, new Set(["NET_BIND_SERVICE"]));
  const parts = [
    ...(missing.length > 0 ? [`${containersWords(missing)} must set securityContext.capabilities.drop=["ALL"]`] : []),
    ...(adding === undefined ? [] : [adding]),
  ];
  return parts.length === 0 ? undefined : { reason: "unrestricted capabilities", detail: parts.join("; ") };
};

const hostNamespaces: Find = ({ spec }) => {
  const set = ["hostNetwork", "hostPID", "hostIPC"].filter((field) => spec[field] === true);
  return set.length === 0
    ? undefined
    : { reason: "host namespaces", detail: set.map((field) => `${field}=true`).join(", ") };
};

const hostPathVolumes: Find = ({ spec }) => {
  const bad = (spec.volumes ?? []).filter((volume: AnyObject) => volume.hostPath !== undefined);
  return bad.length === 0
    ? undefined
    : { reason: "hostPath volumes", detail: `${plural("volume", bad.length)} ${names(bad)}` };
};

const hostPorts: Find = ({ containers }) => {
  const ports = (one: AnyObject): readonly string[] =>
    (one.ports ?? []).flatMap(({ hostPort }: AnyObject) => (hostPort ? [String(hostPort)] : []));
  const bad = containers.filter((one) => ports(one).length > 0);
  if (bad.length === 0) return undefined;
  const all = distinct(bad.flatMap(ports));
  return {
    reason: "hostPort",
    detail: `${containersWords(bad)} ${bad.length === 1 ? "uses" : "use"} ${plural("hostPort", all.length)} ${all.join(", ")}`,
  };
};

const hostProbesAndHostLifecycle: Find = ({ containers }) => {
  const hosts = (one: AnyObject): readonly string[] =>
    [one.livenessProbe, one.readinessProbe, one.startupProbe, one.lifecycle?.postStart, one.lifecycle?.preStop].flatMap(
      (handler) => [handler?.httpGet?.host, handler?.tcpSocket?.host].filter((host) => (host ?? "") !== ""),
    );
  const bad = containers.filter((one) => hosts(one).length > 0);
  if (bad.length === 0) return undefined;
  const all = distinct(bad.flatMap(hosts));
  return {
    reason: "probe or lifecycle host",
    detail: `${plural("container", bad.length)} ${join(distinct(bad.map(({ name }) => name)))} ${bad.length === 1 ? "uses" : "use"} ${plural("probe or lifecycle host", all.length)} ${join(all)}`,
  };
};

const privileged: Find = ({ containers }) => {
  const bad = containers.filter((one) => context(one).privileged === true);
  return bad.length === 0
    ? undefined
    : { reason: "privileged", detail: `${containersWords(bad)} must not set securityContext.privileged=true` };
};

const procMount: Find = ({ containers }) => {
  const bad = containers.filter((one) => (context(one).procMount ?? "Default") !== "Default");
  if (bad.length === 0) return undefined;
  return {
    reason: "procMount",
    detail: `${containersWords(bad)} must not set securityContext.procMount to ${join(distinct(bad.map((one) => context(one).procMount)))}`,
  };
};

const RESTRICTED_VOLUMES = [
  "configMap",
  "csi",
  "downwardAPI",
  "emptyDir",
  "ephemeral",
  "image",
  "persistentVolumeClaim",
  "projected",
  "secret",
];

const restrictedVolumes: Find = ({ spec }) => {
  const bad: readonly AnyObject[] = (spec.volumes ?? []).filter((volume: AnyObject) =>
    RESTRICTED_VOLUMES.every((kind) => volume[kind] === undefined),
  );
  if (bad.length === 0) return undefined;
  const kinds = distinct(bad.map((volume) => Object.keys(volume).find((key) => key !== "name") ?? "unknown"));
  return {
    reason: "restricted volume types",
    detail: `${plural("volume", bad.length)} ${names(bad)} ${bad.length === 1 ? "uses" : "use"} ${plural("restricted volume type", kinds.length)} ${join(kinds)}`,
  };
};

const runAsNonRoot: Find = ({ spec, containers }) => {
  const reason = "runAsNonRoot != true";
  const byPod: boolean | undefined = context(spec).runAsNonRoot;
  const who = whoIs(
    byPod === false,
    containers.filter((one) => context(one).runAsNonRoot === false),
  );
  if (who !== "") return { reason, detail: `${who} must not set securityContext.runAsNonRoot=false` };
  const silent = byPod === true ? [] : containers.filter((one) => context(one).runAsNonRoot === undefined);
  if (silent.length === 0) return undefined;
  return { reason, detail: `pod or ${containersWords(silent)} must set securityContext.runAsNonRoot=true` };
};

const runAsUser: Find = ({ spec, containers }) => {
  const root = (one: AnyObject): boolean => context(one).runAsUser === 0;
  const who = whoIs(root(spec), containers.filter(root));
  return who === "" ? undefined : { reason: "runAsUser=0", detail: `${who} must not set runAsUser=0` };
};

const SELINUX_TYPES = ["", "container_t", "container_init_t", "container_kvm_t"];

const seLinuxOptions =
  (types: readonly string[]): Find =>
  ({ spec, containers }) => {
    const all: readonly AnyObject[] = [spec, ...containers].flatMap((one) => context(one).seLinuxOptions ?? []);
    const badType = ({ type = "" }: AnyObject) => !types.includes(type);
    const bad = (one: AnyObject): boolean => {
      const { seLinuxOptions } = context(one);
      if (seLinuxOptions === undefined) return false;
      return badType(seLinuxOptions) || Boolean(seLinuxOptions.user) || Boolean(seLinuxOptions.role);
    };
    const who = whoIs(bad(spec), containers.filter(bad));
    if (who === "") return undefined;
    const badTypes = distinct(all.filter(badType).map(({ type }) => type));
    const parts = [
      ...(badTypes.length > 0 ? [`${plural("type", badTypes.length)} ${join(badTypes)}`] : []),
      ...(all.some(({ user }) => user) ? ["user may not be set"] : []),
      ...(all.some(({ role }) => role) ? ["role may not be set"] : []),
    ];
    return {
      reason: "seLinuxOptions",
      detail: `${who} set forbidden securityContext.seLinuxOptions: ${parts.join("; ")}`,
    };
  };

const SECCOMP_POD = "seccomp.security.alpha.kubernetes.io/pod";
const SECCOMP_CONTAINER = "container.seccomp.security.alpha.kubernetes.io/";

/** Before there was a field, annotations said it. */
const seccompAnnotations: Find = ({ annotations, containers }) => {
  const bad = distinct(
    [SECCOMP_POD, ...containers.map(({ name }) => `${SECCOMP_CONTAINER}${name}`)].flatMap((key) => {
      const value = annotations[key];
      const fine =
        value === undefined ||
        value === "runtime/default" ||
        value === "docker/default" ||
        value.startsWith("localhost/");
      return fine ? [] : [`${key}=${JSON.stringify(value)}`];
    }),
  );
  if (bad.length === 0) return undefined;
  return { reason: "seccompProfile", detail: `forbidden ${plural("annotation", bad.length)} ${bad.join(", ")}` };
};

const badSeccomp = (one: AnyObject): boolean => {
  const { seccompProfile } = context(one);
  return seccompProfile !== undefined && !["RuntimeDefault", "Localhost"].includes(seccompProfile.type);
};

const seccompBaseline: Find = ({ spec, containers }) => {
  const bad = [spec, ...containers].filter(badSeccomp);
  if (bad.length === 0) return undefined;
  const types = distinct(bad.map((one) => context(one).seccompProfile.type ?? ""));
  return {
    reason: "seccompProfile",
    detail: `${whoIs(badSeccomp(spec), containers.filter(badSeccomp))} must not set securityContext.seccompProfile.type to ${join(types)}`,
  };
};

const seccompRestricted: Find = (pod) => {
  const { spec, containers } = pod;
  const bad = seccompBaseline(pod);
  if (bad !== undefined) return bad;
  const silent =
    context(spec).seccompProfile === undefined
      ? containers.filter((one) => context(one).seccompProfile === undefined)
      : [];
  if (silent.length === 0) return undefined;
  return {
    reason: "seccompProfile",
    detail: `pod or ${containersWords(silent)} must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"`,
  };
};

const SYSCTLS = [
  "kernel.shm_rmid_forced",
  "net.ipv4.ip_local_port_range",
  "net.ipv4.tcp_syncookies",
  "net.ipv4.ping_group_range",
  "net.ipv4.ip_unprivileged_port_start",
];
const SYSCTLS_27 = [...SYSCTLS, "net.ipv4.ip_local_reserved_ports"];
const SYSCTLS_29 = [
  ...SYSCTLS_27,
  "net.ipv4.tcp_keepalive_time",
  "net.ipv4.tcp_fin_timeout",
  "net.ipv4.tcp_keepalive_intvl",
  "net.ipv4.tcp_keepalive_probes",
];
const SYSCTLS_32 = [...SYSCTLS_29, "net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem"];

const sysctls =
  (allowed: readonly string[]): Find =>
  ({ spec }) => {
    const bad = (context(spec).sysctls ?? []).filter(({ name }: AnyObject) => !allowed.includes(name));
    return bad.length === 0
      ? undefined
      : { reason: "forbidden sysctls", detail: bad.map(({ name }: AnyObject) => name).join(", ") };
  };

const windowsHostProcess: Find = ({ spec, containers }) => {
  const set = (one: AnyObject): boolean => context(one).windowsOptions?.hostProcess === true;
  const who = whoIs(set(spec), containers.filter(set));
  return who === ""
    ? undefined
    : { reason: "hostProcess", detail: `${who} must not set securityContext.windowsOptions.hostProcess=true` };
};

/** Baseline before restricted, each in the order of their ids: the order of a refusal's parts. */
const CHECKS: readonly Check[] = [
  { id: "appArmorProfile", level: "baseline", since: [[0, appArmorProfile]] },
  { id: "capabilities_baseline", level: "baseline", since: [[0, capabilitiesBaseline]] },
  { id: "hostNamespaces", level: "baseline", since: [[0, hostNamespaces]] },
  { id: "hostPathVolumes", level: "baseline", since: [[0, hostPathVolumes]] },
  { id: "hostPorts", level: "baseline", since: [[0, hostPorts]] },
  { id: "hostProbesAndHostLifecycle", level: "baseline", since: [[34, hostProbesAndHostLifecycle]] },
  { id: "privileged", level: "baseline", since: [[0, privileged]] },
  {
    id: "procMount",
    level: "baseline",
    since: [
      [0, procMount],
      [35, unlessOwnUsers(procMount)],
    ],
  },
  {
    id: "seLinuxOptions",
    level: "baseline",
    since: [
      [0, seLinuxOptions(SELINUX_TYPES)],
      [31, seLinuxOptions([...SELINUX_TYPES, "container_engine_t"])],
    ],
  },
  {
    id: "seccompProfile_baseline",
    level: "baseline",
    since: [
      [0, seccompAnnotations],
      [19, seccompBaseline],
    ],
  },
  {
    id: "sysctls",
    level: "baseline",
    since: [
      [0, sysctls(SYSCTLS)],
      [27, sysctls(SYSCTLS_27)],
      [29, sysctls(SYSCTLS_29)],
      [32, sysctls(SYSCTLS_32)],
    ],
  },
  { id: "windowsHostProcess", level: "baseline", since: [[0, windowsHostProcess]] },
  {
    id: "allowPrivilegeEscalation",
    level: "restricted",
    since: [
      [8, allowPrivilegeEscalation],
      [25, unlessWindows(allowPrivilegeEscalation)],
    ],
  },
  {
    id: "capabilities_restricted",
    level: "restricted",
    overrides: "capabilities_baseline",
    since: [
      [22, capabilitiesRestricted],
      [25, unlessWindows(capabilitiesRestricted)],
    ],
  },
  { id: "procMount_restricted", level: "restricted", overrides: "procMount", since: [[35, procMount]] },
  { id: "restrictedVolumes", level: "restricted", overrides: "hostPathVolumes", since: [[0, restrictedVolumes]] },
  {
    id: "runAsNonRoot",
    level: "restricted",
    since: [
      [0, runAsNonRoot],
      [35, unlessOwnUsers(runAsNonRoot)],
    ],
  },
  {
    id: "runAsUser",
    level: "restricted",
    since: [
      [23, runAsUser],
      [35, unlessOwnUsers(runAsUser)],
    ],
  },
  {
    id: "seccompProfile_restricted",
    level: "restricted",
    overrides: "seccompProfile_baseline",
    since: [
      [19, seccompRestricted],
      [25, unlessWindows(seccompRestricted)],
    ],
  },
];

/** The rules of a level as they were in `minor`. */
function rulesOf(level: Exclude<Level, "privileged">, minor: number): readonly Find[] {
  const valid = CHECKS.flatMap(({ since, ...check }) => {
    const find = since.findLast(([from]) => from <= minor)?.[1];
    return find === undefined || (level === "baseline" && check.level === "restricted") ? [] : [{ ...check, find }];
  });
  return valid.filter(({ id }) => !valid.some(({ overrides }) => overrides === id)).map(({ find }) => find);
}

/** All that a pod breaks at a level, of a version `latest` or `v1.N`. */
export function violations(
  level: Level,
  version: string,
  pod: { readonly metadata?: AnyObject; readonly spec: AnyObject },
): readonly Violation[] {
  if (level === "privileged") return [];
  const { spec } = pod;
  const subject: Subject = {
    annotations: pod.metadata?.annotations ?? {},
    spec,
    containers: [...(spec.initContainers ?? []), ...(spec.containers ?? []), ...(spec.ephemeralContainers ?? [])],
  };
  const minor = version === "latest" ? NEWEST_MINOR : Number(version.slice("v1.".length));
  return rulesOf(level, minor).flatMap((find) => find(subject) ?? []);
}

/** What one pod is told. */
export function inDetail(found: readonly Violation[]): string {
  return found.map(({ reason, detail }) => (detail === "" ? reason : `${reason} (${detail})`)).join(", ");
}
