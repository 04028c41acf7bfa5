/**
 * The Pod Security Standards: what a pod may not have at the levels baseline and restricted, in the order and words of upstream's checks.
 * Upstream: staging/src/k8s.io/pod-security-admission/policy.
 */
import type { AnyObject } from "../framework.ts";

export type Level = "privileged" | "baseline" | "restricted";

/** Why a pod breaks a rule, or undefined. */
interface Check {
  readonly id: string;
  readonly level: Exclude<Level, "privileged">;
  /** At restricted, the stricter check stands in for this one. */
  readonly overriddenBy?: string;
  find(pod: Subject): readonly [reason: string, text: string] | undefined;
}

interface Subject {
  readonly metadata: AnyObject;
  readonly spec: AnyObject;
  readonly containers: readonly AnyObject[];
}

const quote = (text: string): string => JSON.stringify(text);
const names = (list: readonly { readonly name: string }[]): string => list.map(({ name }) => quote(name)).join(", ");
const containersWords = (list: readonly AnyObject[]): string =>
  `${list.length === 1 ? "container" : "containers"} ${names(list as never)}`;
const any = (list: readonly string[]): string => [...new Set(list)].sort().map(quote).join(", ");

const BASELINE_CAPABILITIES = new Set(
  "AUDIT_WRITE CHOWN DAC_OVERRIDE FOWNER FSETID KILL MKNOD NET_BIND_SERVICE SETFCAP SETGID SETPCAP SETUID SYS_CHROOT".split(
    " ",
  ),
);
const SAFE_SYSCTLS = new Set([
  "kernel.shm_rmid_forced",
  "net.ipv4.ip_local_port_range",
  "net.ipv4.ip_unprivileged_port_start",
  "net.ipv4.tcp_syncookies",
  "net.ipv4.ping_group_range",
  "net.ipv4.ip_local_reserved_ports",
  "net.ipv4.tcp_keepalive_time",
  "net.ipv4.tcp_fin_timeout",
  "net.ipv4.tcp_keepalive_intvl",
  "net.ipv4.tcp_keepalive_probes",
  "net.ipv4.tcp_rmem",
  "net.ipv4.tcp_wmem",
]);
const SELINUX_TYPES = new Set(["", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"]);
const RESTRICTED_VOLUMES = new Set([
  "configMap",
  "csi",
  "downwardAPI",
  "emptyDir",
  "ephemeral",
  "image",
  "persistentVolumeClaim",
  "projected",
  "secret",
]);

const context = (one: AnyObject): AnyObject => one.securityContext ?? {};
const isLinux = ({ spec }: Subject): boolean => spec.os?.name !== "windows";

/** In the order of their ids, which is the order of a refusal's parts. */
const CHECKS: readonly Check[] = [
  {
    id: "allowPrivilegeEscalation",
    level: "restricted",
    find(pod) {
      if (!isLinux(pod)) return undefined;
      const bad = pod.containers.filter((one) => context(one).allowPrivilegeEscalation !== false);
      return bad.length === 0
        ? undefined
        : [
            "allowPrivilegeEscalation != false",
            `${containersWords(bad)} must set securityContext.allowPrivilegeEscalation=false`,
          ];
    },
  },
  {
    id: "appArmorProfile",
    level: "baseline",
    find({ metadata, spec, containers }) {
      const parts: string[] = [];
      const allowed = (type: string | undefined) =>
        type === undefined || type === "RuntimeDefault" || type === "Localhost";
      if (!allowed(context(spec).appArmorProfile?.type))
        parts.push(`pod must not set AppArmor profile type to ${quote(context(spec).appArmorProfile.type)}`);
      const bad = containers.filter((one) => !allowed(context(one).appArmorProfile?.type));
      if (bad.length > 0)
        parts.push(
          `${containersWords(bad)} must not set AppArmor profile type to ${any(bad.map((one) => context(one).appArmorProfile.type))}`,
        );
      const prefix = "container.apparmor.security.beta.kubernetes.io/";
      const annotations = Object.entries((metadata.annotations ?? {}) as Record<string, string>).filter(
        ([key, value]) =>
          key.startsWith(prefix) && !(value === "" || value === "runtime/default" || value.startsWith("localhost/")),
      );
      if (annotations.length > 0)
        parts.push(
          `${annotations.length === 1 ? "annotation" : "annotations"} ${annotations.map(([key, value]) => quote(`${key}=${value}`)).join(", ")}`,
        );
      return parts.length === 0
        ? undefined
        : [`forbidden AppArmor ${parts.length === 1 ? "profile" : "profiles"}`, parts.join(" and ")];
    },
  },
  {
    id: "capabilities_baseline",
    level: "baseline",
    overriddenBy: "capabilities_restricted",
    find({ containers }) {
      const extra = (one: AnyObject): string[] =>
        (context(one).capabilities?.add ?? []).filter((name: string) => !BASELINE_CAPABILITIES.has(name));
      const bad = containers.filter((one) => extra(one).length > 0);
      return bad.length === 0
        ? undefined
        : [
            "non-default capabilities",
            `${containersWords(bad)} must not include ${any(bad.flatMap(extra))} in securityContext.capabilities.add`,
          ];
    },
  },
  {
    id: "capabilities_restricted",
    level: "restricted",
    find(pod) {
      if (!isLinux(pod)) return undefined;
      const missing = pod.containers.filter((one) => !(context(one).capabilities?.drop ?? []).includes("ALL"));
      const extra = (one: AnyObject): string[] =>
        (context(one).capabilities?.add ?? []).filter((name: string) => name !== "NET_BIND_SERVICE");
      const adding = pod.containers.filter((one) => extra(one).length > 0);
      const parts = [
        ...(missing.length > 0
          ? [`${containersWords(missing)} must set securityContext.capabilities.drop=["ALL"]`]
          : []),
        ...(adding.length > 0
          ? [
              `${containersWords(adding)} must not include ${any(adding.flatMap(extra))} in securityContext.capabilities.add`,
            ]
          : []),
      ];
      return parts.length === 0 ? undefined : ["unrestricted capabilities", parts.join("; ")];
    },
  },
  {
    id: "hostNamespaces",
    level: "baseline",
    find({ spec }) {
      const set = ["hostNetwork", "hostPID", "hostIPC"].filter((field) => spec[field] === true);
      return set.length === 0 ? undefined : ["host namespaces", set.map((field) => `${field}=true`).join(", ")];
    },
  },
  {
    id: "hostPathVolumes",
    level: "baseline",
    overriddenBy: "restrictedVolumes",
    find({ spec }) {
      const bad = (spec.volumes ?? []).filter((volume: AnyObject) => volume.hostPath !== undefined);
      return bad.length === 0
        ? undefined
        : ["hostPath volumes", `${bad.length === 1 ? "volume" : "volumes"} ${names(bad)}`];
    },
  },
  {
    id: "hostPorts",
    level: "baseline",
    find({ containers }) {
      const ports = (one: AnyObject): number[] =>
        (one.ports ?? []).flatMap(({ hostPort }: AnyObject) => (hostPort ? [hostPort] : []));
      const bad = containers.filter((one) => ports(one).length > 0);
      const all = [...new Set(bad.flatMap(ports))].sort((a, b) => a - b);
      return bad.length === 0
        ? undefined
        : [
            "hostPort",
            `${containersWords(bad)} ${bad.length === 1 ? "uses" : "use"} ${all.length === 1 ? "hostPort" : "hostPorts"} ${all.join(", ")}`,
          ];
    },
  },
  {
    id: "hostProbesAndhostLifecycle",
    level: "baseline",
    find({ containers }) {
      const hosts = (one: AnyObject): string[] =>
        [
          one.livenessProbe,
          one.readinessProbe,
          one.startupProbe,
          one.lifecycle?.postStart,
          one.lifecycle?.preStop,
        ].flatMap((handler) =>
          [handler?.httpGet?.host, handler?.tcpSocket?.host].filter(
            (host) =>
              host !== undefined && host !== "" && host !== "127.0.0.1" && host !== "::1" && host !== "localhost",
          ),
        );
      const bad = containers.filter((one) => hosts(one).length > 0);
      return bad.length === 0
        ? undefined
        : [
            "probe or lifecycle host",
            `${containersWords(bad)} ${bad.length === 1 ? "uses" : "use"} probe or lifecycle hosts ${any(bad.flatMap(hosts))}`,
          ];
    },
  },
  {
    id: "privileged",
    level: "baseline",
    find({ containers }) {
      const bad = containers.filter((one) => context(one).privileged === true);
      return bad.length === 0
        ? undefined
        : ["privileged", `${containersWords(bad)} must not set securityContext.privileged=true`];
    },
  },
  {
    id: "procMount",
    level: "baseline",
    find({ spec, containers }) {
      // A user namespace of its own makes an unmasked /proc harmless.
      if (spec.hostUsers === false) return undefined;
      const bad = containers.filter(
        (one) => context(one).procMount !== undefined && context(one).procMount !== "Default",
      );
      return bad.length === 0
        ? undefined
        : [
            "procMount",
            `${containersWords(bad)} must not set securityContext.procMount to ${any(bad.map((one) => context(one).procMount))}`,
          ];
    },
  },
  {
    id: "restrictedVolumes",
    level: "restricted",
    find({ spec }) {
      const kind = (volume: AnyObject): string => Object.keys(volume).find((key) => key !== "name") ?? "unknown";
      const bad = (spec.volumes ?? []).filter((volume: AnyObject) => !RESTRICTED_VOLUMES.has(kind(volume)));
      const kinds = [...new Set<string>(bad.map(kind))].sort();
      return bad.length === 0
        ? undefined
        : [
            "restricted volume types",
            `${bad.length === 1 ? "volume" : "volumes"} ${names(bad)} ${bad.length === 1 ? "uses" : "use"} restricted volume ${kinds.length === 1 ? "type" : "types"} ${kinds.map(quote).join(", ")}`,
          ];
    },
  },
  {
    id: "runAsNonRoot",
    level: "restricted",
    find({ spec, containers }) {
      if (spec.hostUsers === false) return undefined;
      const byPod: boolean | undefined = context(spec).runAsNonRoot;
      const no = containers.filter((one) => context(one).runAsNonRoot === false);
      if (byPod === false || no.length > 0) {
        const who = [...(byPod === false ? ["pod"] : []), ...(no.length > 0 ? [containersWords(no)] : [])];
        return ["runAsNonRoot != true", `${who.join(" and ")} must not set securityContext.runAsNonRoot=false`];
      }
      const silent = byPod === true ? [] : containers.filter((one) => context(one).runAsNonRoot === undefined);
      return silent.length === 0
        ? undefined
        : ["runAsNonRoot != true", `pod or ${containersWords(silent)} must set securityContext.runAsNonRoot=true`];
    },
  },
  {
    id: "runAsUser",
    level: "restricted",
    find({ spec, containers }) {
      if (spec.hostUsers === false) return undefined;
      const bad = containers.filter((one) => context(one).runAsUser === 0);
      const who = [
        ...(context(spec).runAsUser === 0 ? ["pod"] : []),
        ...(bad.length > 0 ? [containersWords(bad)] : []),
      ];
      return who.length === 0 ? undefined : ["runAsUser=0", `${who.join(" and ")} must not set runAsUser=0`];
    },
  },
  {
    id: "seLinuxOptions",
    level: "baseline",
    find({ spec, containers }) {
      const all = [
        { who: "pod", options: context(spec).seLinuxOptions },
        ...containers.map((one) => ({ who: containersWords([one]), options: context(one).seLinuxOptions })),
      ].filter(({ options }) => options !== undefined);
      const types = all.filter(({ options }) => !SELINUX_TYPES.has(options.type ?? ""));
      const users = all.filter(({ options }) => options.user);
      const roles = all.filter(({ options }) => options.role);
      const bad = all.filter((one) => types.includes(one) || users.includes(one) || roles.includes(one));
      if (bad.length === 0) return undefined;
      const parts = [
        ...(types.length > 0
          ? [`${types.length === 1 ? "type" : "types"} ${any(types.map(({ options }) => options.type))}`]
          : []),
        ...(users.length > 0 ? ["user may not be set"] : []),
        ...(roles.length > 0 ? ["role may not be set"] : []),
      ];
      return [
        "seLinuxOptions",
        `${bad.map(({ who }) => who).join(" and ")} set forbidden securityContext.seLinuxOptions: ${parts.join("; ")}`,
      ];
    },
  },
  {
    id: "seccompProfile_baseline",
    level: "baseline",
    overriddenBy: "seccompProfile_restricted",
    find({ spec, containers }) {
      const bad = containers.filter((one) => context(one).seccompProfile?.type === "Unconfined");
      const who = [
        ...(context(spec).seccompProfile?.type === "Unconfined" ? ["pod"] : []),
        ...(bad.length > 0 ? [containersWords(bad)] : []),
      ];
      return who.length === 0
        ? undefined
        : ["seccompProfile", `${who.join(" and ")} must not set securityContext.seccompProfile.type to "Unconfined"`];
    },
  },
  {
    id: "seccompProfile_restricted",
    level: "restricted",
    find(pod) {
      if (!isLinux(pod)) return undefined;
      const { spec, containers } = pod;
      const good = (type: string | undefined) => type === "RuntimeDefault" || type === "Localhost";
      const byPod: string | undefined = context(spec).seccompProfile?.type;
      const bad = containers.filter(
        (one) => context(one).seccompProfile !== undefined && !good(context(one).seccompProfile.type),
      );
      const podBad = byPod !== undefined && !good(byPod);
      if (podBad || bad.length > 0) {
        const who = [...(podBad ? ["pod"] : []), ...(bad.length > 0 ? [containersWords(bad)] : [])];
        const types = [...(podBad ? [byPod] : []), ...bad.map((one) => context(one).seccompProfile.type as string)];
        return [
          "seccompProfile",
          `${who.join(" and ")} must not set securityContext.seccompProfile.type to ${any(types)}`,
        ];
      }
      const silent = good(byPod) ? [] : containers.filter((one) => context(one).seccompProfile === undefined);
      return silent.length === 0
        ? undefined
        : [
            "seccompProfile",
            `pod or ${containersWords(silent)} must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"`,
          ];
    },
  },
  {
    id: "sysctls",
    level: "baseline",
    find({ spec }) {
      const bad = (context(spec).sysctls ?? []).filter(({ name }: AnyObject) => !SAFE_SYSCTLS.has(name));
      return bad.length === 0 ? undefined : ["forbidden sysctls", bad.map(({ name }: AnyObject) => name).join(", ")];
    },
  },
  {
    id: "windowsHostProcess",
    level: "baseline",
    find({ spec, containers }) {
      const bad = containers.filter((one) => context(one).windowsOptions?.hostProcess === true);
      const who = [
        ...(context(spec).windowsOptions?.hostProcess === true ? ["pod"] : []),
        ...(bad.length > 0 ? [containersWords(bad)] : []),
      ];
      return who.length === 0
        ? undefined
        : ["hostProcess", `${who.join(" and ")} must not set securityContext.windowsOptions.hostProcess=true`];
    },
  },
];

/** All that a pod breaks at a level, as one text; undefined where nothing is. */
export function violations(
  level: Level,
  pod: { readonly metadata?: AnyObject; readonly spec: AnyObject },
): string | undefined {
  if (level === "privileged") return undefined;
  const { spec } = pod;
  const subject: Subject = {
    metadata: pod.metadata ?? {},
    spec,
    containers: [...(spec.initContainers ?? []), ...(spec.containers ?? []), ...(spec.ephemeralContainers ?? [])],
  };
  const parts = CHECKS.filter((check) =>
    check.level === "baseline" ? !(level === "restricted" && check.overriddenBy !== undefined) : level === "restricted",
  ).flatMap((check) => {
    const found = check.find(subject);
    return found === undefined ? [] : [`${found[0]} (${found[1]})`];
  });
  return parts.length === 0 ? undefined : parts.join(", ");
}
