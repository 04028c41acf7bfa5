/**
 * The effective security context of a container: its own fields take precedence over the pod's.
 * Upstream: pkg/securitycontext, pkg/kubelet/kuberuntime/security_context.go
 */
import type {
  AppArmorProfile,
  Pod,
  SeccompProfile,
  SecurityContext,
  SELinuxOptions,
} from "../../api/generated/core.v1.ts";
import type {
  LinuxContainerSecurityContext,
  NamespaceOption,
  SELinuxOption,
  SecurityProfile,
} from "../../protocols/cri/generated.ts";
import type { Init } from "../../wire/rpc/service.ts";
import { podText } from "../format.ts";
import type { AnyContainer } from "../pod.ts";

const MASKED = [
  "/proc/asound",
  "/proc/acpi",
  "/proc/interrupts",
  "/proc/kcore",
  "/proc/keys",
  "/proc/latency_stats",
  "/proc/timer_list",
  "/proc/timer_stats",
  "/proc/sched_debug",
  "/proc/scsi",
  "/sys/firmware",
  "/sys/devices/virtual/powercap",
];
const READONLY = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

export interface ImageUser {
  readonly uid: number | undefined;
  readonly username: string;
}

export interface SecuritySettings {
  readonly seccompRoot: string;
  readonly seccompDefault: boolean;
}

/** Container before pod, field by field. */
function effectiveSecurityContext(pod: Pod, container: AnyContainer): SecurityContext {
  const of = pod.spec.securityContext;
  return {
    ...(of?.seLinuxOptions && { seLinuxOptions: of.seLinuxOptions }),
    ...(of?.runAsUser !== undefined && { runAsUser: of.runAsUser }),
    ...(of?.runAsGroup !== undefined && { runAsGroup: of.runAsGroup }),
    ...(of?.runAsNonRoot !== undefined && { runAsNonRoot: of.runAsNonRoot }),
    ...(of?.seccompProfile && { seccompProfile: of.seccompProfile }),
    ...(of?.appArmorProfile && { appArmorProfile: of.appArmorProfile }),
    ...container.securityContext,
  };
}

/** Throws where the container would run as root and must not. */
export function verifyRunAsNonRoot(pod: Pod, container: AnyContainer, image: ImageUser): void {
  const effective = effectiveSecurityContext(pod, container);
  if (effective.runAsNonRoot !== true) return;
  const about = `(pod: "${podText(pod)}", container: ${container.name})`;
  if (effective.runAsUser !== undefined) {
    if (effective.runAsUser === 0) throw new Error(`container's runAsUser breaks non-root policy ${about}`);
    return;
  }
  if (image.uid === 0) throw new Error(`container has runAsNonRoot and image will run as root ${about}`);
  if (image.uid === undefined && image.username !== "") {
    throw new Error(
      `container has runAsNonRoot and image has non-numeric user (${image.username}), cannot verify user is non-root ${about}`,
    );
  }
}

export function namespaceOptions(pod: Pod): Init<NamespaceOption> {
  const { spec } = pod;
  return {
    network: spec.hostNetwork === true ? "NODE" : "POD",
    ipc: spec.hostIPC === true ? "NODE" : "POD",
    pid: spec.hostPID === true ? "NODE" : spec.shareProcessNamespace === true ? "POD" : "CONTAINER",
  };
}

export function supplementalGroups(pod: Pod, volumeGroups: readonly number[] = []): readonly number[] {
  const of = pod.spec.securityContext;
  return [...(of?.fsGroup === undefined ? [] : [of.fsGroup]), ...(of?.supplementalGroups ?? []), ...volumeGroups];
}

export function containerSecurityContext(
  pod: Pod,
  container: AnyContainer,
  image: ImageUser,
  settings: SecuritySettings,
  target: { readonly containerId: string } | undefined,
): Init<LinuxContainerSecurityContext> {
  const effective = effectiveSecurityContext(pod, container);
  const unmasked = effective.procMount === "Unmasked";
  const options = namespaceOptions(pod);
  const username = effective.runAsUser === undefined && image.uid === undefined ? image.username : "";
  const appArmor = appArmorOf(pod, container, effective.appArmorProfile);
  return {
    ...(effective.capabilities && {
      capabilities: {
        add_capabilities: effective.capabilities.add ?? [],
        drop_capabilities: effective.capabilities.drop ?? [],
      },
    }),
    privileged: effective.privileged === true,
    namespace_options:
      target !== undefined && options.pid === "CONTAINER"
        ? { ...options, pid: "TARGET", target_id: target.containerId }
        : options,
    ...(effective.seLinuxOptions && { selinux_options: seLinux(effective.seLinuxOptions) }),
    ...(username === "" && { run_as_user: { value: effective.runAsUser ?? image.uid ?? 0 } }),
    ...(effective.runAsGroup !== undefined && { run_as_group: { value: effective.runAsGroup } }),
    run_as_username: username,
    readonly_rootfs: effective.readOnlyRootFilesystem === true,
    supplemental_groups: supplementalGroups(pod),
    supplemental_groups_policy: pod.spec.securityContext?.supplementalGroupsPolicy === "Strict" ? "Strict" : "Merge",
    no_new_privs: effective.allowPrivilegeEscalation === false,
    masked_paths: unmasked ? [] : MASKED,
    readonly_paths: unmasked ? [] : READONLY,
    seccomp: seccompOf(effective.seccompProfile, settings),
    ...appArmor,
  };
}

function seccompOf(profile: SeccompProfile | undefined, settings: SecuritySettings): Init<SecurityProfile> {
  if (profile === undefined) return { profile_type: settings.seccompDefault ? "RuntimeDefault" : "Unconfined" };
  if (profile.type === "Localhost")
    return { profile_type: "Localhost", localhost_ref: `${settings.seccompRoot}/${profile.localhostProfile ?? ""}` };
  return { profile_type: profile.type === "RuntimeDefault" ? "RuntimeDefault" : "Unconfined" };
}

function appArmorOf(
  pod: Pod,
  container: AnyContainer,
  field: AppArmorProfile | undefined,
): Pick<Init<LinuxContainerSecurityContext>, "apparmor" | "apparmor_profile"> {
  const annotation = pod.metadata.annotations?.[`container.apparmor.security.beta.kubernetes.io/${container.name}`];
  const name =
    field === undefined
      ? annotation
      : field.type === "Localhost"
        ? `localhost/${field.localhostProfile ?? ""}`
        : field.type === "RuntimeDefault"
          ? "runtime/default"
          : "unconfined";
  if (name === undefined || name === "") return {};
  if (name.startsWith("localhost/"))
    return {
      apparmor: { profile_type: "Localhost", localhost_ref: name.slice("localhost/".length) },
      apparmor_profile: name,
    };
  return {
    apparmor: { profile_type: name === "runtime/default" ? "RuntimeDefault" : "Unconfined" },
    apparmor_profile: name,
  };
}

export function seLinux(options: SELinuxOptions): Init<SELinuxOption> {
  return { user: options.user ?? "", role: options.role ?? "", type: options.type ?? "", level: options.level ?? "" };
}
