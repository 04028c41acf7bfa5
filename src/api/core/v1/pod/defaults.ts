/**
 * The defaults of pods. `defaultPodSpec` is for pods and templates alike; `defaultPod` adds what only pods themselves get.
 * Upstream: pkg/apis/core/v1/defaults.go
 */
import type { Mutable } from "../../../../base/mutable.ts";
import type { Container, Pod, PodSpec, PodTemplateSpec, Probe, Lifecycle, Volume } from "../../../generated/core.v1.ts";
import { ifAbsent, ifEmpty, roundResourceList } from "../../../defaulting.ts";
import { defaultClaimSpec } from "../persistentvolumeclaim/defaults.ts";
import { sumOfContainers } from "./resources.ts";

export function defaultPod(pod: Mutable<Pod>): void {
  const spec = pod.spec;
  for (const container of [...(spec.containers ?? []), ...(spec.initContainers ?? [])]) requestWhatIsLimited(container);
  defaultPodLevelResources(spec);
  ifAbsent(spec, "enableServiceLinks", true);
  if (spec.hostNetwork === true)
    for (const container of [...(spec.containers ?? []), ...(spec.initContainers ?? [])])
      for (const port of container.ports ?? []) ifEmpty(port, "hostPort", port.containerPort);
  defaultPodSpec(spec);
  if (spec.terminationGracePeriodSeconds! < 0) spec.terminationGracePeriodSeconds = 1;
  mirrorStatusAddresses(pod);
  const { status } = pod;
  roundAmounts(status);
  for (const list of ["containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"] as const)
    for (const container of status?.[list] ?? []) roundAmounts(container);
}

type Amounts = Mutable<Readonly<Record<string, string>>>;

function roundAmounts(
  status: { allocatedResources?: Amounts; resources?: { limits?: Amounts; requests?: Amounts } } | undefined,
): void {
  roundResourceList(status?.allocatedResources);
  roundResourceList(status?.resources?.limits);
  roundResourceList(status?.resources?.requests);
}

export function defaultPodTemplate(template: Mutable<PodTemplateSpec> | undefined): void {
  if (template?.spec !== undefined) defaultPodSpec(template.spec);
}

function defaultPodSpec(spec: Mutable<PodSpec>): void {
  ifEmpty(spec, "dnsPolicy", "ClusterFirst");
  ifEmpty(spec, "restartPolicy", "Always");
  ifAbsent(spec, "securityContext", {});
  ifAbsent(spec, "terminationGracePeriodSeconds", 30);
  ifEmpty(spec, "schedulerName", "default-scheduler");
  mirrorServiceAccount(spec);
  for (const volume of spec.volumes ?? []) defaultVolume(volume);
  for (const container of spec.initContainers ?? []) defaultContainer(container);
  for (const container of spec.containers ?? []) defaultContainer(container);
  for (const container of spec.ephemeralContainers ?? []) defaultContainer(container);
  roundResourceList(spec.overhead);
  roundResourceList(spec.resources?.limits);
  roundResourceList(spec.resources?.requests);
}

/** `serviceAccount` is the old name of `serviceAccountName`: read when the new one is missing, and always written. */
export function mirrorServiceAccount(spec: Mutable<PodSpec>): void {
  const name = spec.serviceAccountName || spec.serviceAccount;
  if (!name) {
    delete spec.serviceAccount;
    return;
  }
  spec.serviceAccountName = name;
  spec.serviceAccount = name;
}

/** `podIP` is the first of `podIPs`; who writes one of them gets both. */
function mirrorStatusAddresses(pod: Mutable<Pod>): void {
  const status = pod.status;
  if (status === undefined) return;
  const { podIP, podIPs } = status;
  if (podIP !== undefined && podIP !== "" && podIPs?.[0]?.ip !== podIP) status.podIPs = [{ ip: podIP }];
  else if (podIPs?.[0] !== undefined && !podIP) status.podIP = podIPs[0].ip;
}

function requestWhatIsLimited({ resources }: Mutable<Container>): void {
  if (resources?.limits === undefined) return;
  const requests = { ...resources.requests };
  for (const [name, limit] of Object.entries(resources.limits)) requests[name] ??= limit;
  if (Object.keys(requests).length > 0) resources.requests = requests;
}

const isHugePage = (name: string) => name.startsWith("hugepages-");
const isPodLevel = (name: string) => name === "cpu" || name === "memory" || isHugePage(name);

function defaultPodLevelResources(spec: Mutable<PodSpec>): void {
  const resources = spec.resources;
  if (resources === undefined) return;
  const named = { ...resources.limits, ...resources.requests };
  if (Object.keys(named).length === 0) return;
  for (const [name, sum] of Object.entries(sumOfContainers(spec, "limits")))
    if (isHugePage(name) && !(name in named)) (resources.limits ??= {})[name] = sum;
  if (Object.keys(resources.limits ?? {}).length === 0) return;
  const requests: Record<string, string> = { ...resources.requests };
  for (const [name, sum] of Object.entries(sumOfContainers(spec, "requests")))
    // Huge pages can't be promised twice: their request is their limit.
    if (isPodLevel(name) && !isHugePage(name)) requests[name] ??= sum;
  for (const [name, limit] of Object.entries(resources.limits!)) if (isPodLevel(name)) requests[name] ??= limit;
  resources.requests = requests;
}

function defaultContainer(container: Mutable<Container>): void {
  ifEmpty(container, "imagePullPolicy", pullPolicyFor(container.image ?? ""));
  ifEmpty(container, "terminationMessagePath", "/dev/termination-log");
  ifEmpty(container, "terminationMessagePolicy", "File");
  ifAbsent(container, "resources", {});
  for (const port of container.ports ?? []) ifEmpty(port, "protocol", "TCP");
  for (const { valueFrom } of container.env ?? []) {
    if (valueFrom?.fieldRef !== undefined) ifEmpty(valueFrom.fieldRef, "apiVersion", "v1");
    if (valueFrom?.fileKeyRef !== undefined) ifAbsent(valueFrom.fileKeyRef, "optional", false);
    if (valueFrom?.resourceFieldRef !== undefined) ifEmpty(valueFrom.resourceFieldRef, "divisor", "0");
  }
  roundResourceList(container.resources?.limits);
  roundResourceList(container.resources?.requests);
  for (const probe of [container.livenessProbe, container.readinessProbe, container.startupProbe]) defaultProbe(probe);
  defaultHook(container.lifecycle?.postStart);
  defaultHook(container.lifecycle?.preStop);
}

function defaultProbe(probe: Mutable<Probe> | undefined): void {
  if (probe === undefined) return;
  ifEmpty(probe, "timeoutSeconds", 1);
  ifEmpty(probe, "periodSeconds", 10);
  ifEmpty(probe, "successThreshold", 1);
  ifEmpty(probe, "failureThreshold", 3);
  defaultHook(probe);
  if (probe.grpc !== undefined) ifAbsent(probe.grpc, "service", "");
}

function defaultHook(hook: Pick<NonNullable<Mutable<Lifecycle>["preStop"]>, "httpGet"> | undefined): void {
  if (hook?.httpGet === undefined) return;
  ifEmpty(hook.httpGet, "path", "/");
  ifEmpty(hook.httpGet, "scheme", "HTTP");
}

const IDENTIFIER = /^[a-f0-9]{64}$/;
const DIGEST = /^@(sha256:[a-f0-9]{64}|sha384:[a-f0-9]{96}|sha512:[a-f0-9]{128})$/;
const MAX_REPOSITORY = 255;

/** What is behind the registry; what names none is from the library. */
function repositoryOf(name: string): string {
  const [first, ...rest] = name.split("/") as [string, ...string[]];
  if (rest.length === 0) return `library/${name}`;
  return first === "localhost" || /[.:A-Z]/.test(first) ? rest.join("/") : name;
}

/** An image that may move (no tag, or `latest`) is pulled every time; one that is pinned, or that makes no sense, only when it is missing. */
function pullPolicyFor(image: string): "Always" | "IfNotPresent" {
  const match =
    /^((?:(?:[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?|\[[a-fA-F0-9:]+\])(?::[0-9]+)?\/)?[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*)(?::([\w][\w.-]{0,127}))?(@[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,})?$/.exec(
      image,
    );
  if (match === null || IDENTIFIER.test(image)) return "IfNotPresent";
  const [, name, tag, digest] = match;
  if (repositoryOf(name!).length > MAX_REPOSITORY || (digest !== undefined && !DIGEST.test(digest)))
    return "IfNotPresent";
  if (tag === "latest") return "Always";
  return tag === undefined && digest === undefined ? "Always" : "IfNotPresent";
}

function defaultVolume(volume: Mutable<Volume>): void {
  if (!Object.keys(volume).some((field) => field !== "name" && volume[field as keyof Volume] !== undefined))
    volume.emptyDir = {};
  if (volume.image !== undefined) ifEmpty(volume.image, "pullPolicy", pullPolicyFor(volume.image.reference ?? ""));
  if (volume.hostPath !== undefined) ifAbsent(volume.hostPath, "type", "");
  if (volume.secret !== undefined) ifAbsent(volume.secret, "defaultMode", 0o644);
  if (volume.downwardAPI !== undefined) {
    ifAbsent(volume.downwardAPI, "defaultMode", 0o644);
    for (const { fieldRef } of volume.downwardAPI.items ?? [])
      if (fieldRef !== undefined) ifEmpty(fieldRef, "apiVersion", "v1");
  }
  if (volume.configMap !== undefined) ifAbsent(volume.configMap, "defaultMode", 0o644);
  if (volume.projected !== undefined) {
    ifAbsent(volume.projected, "defaultMode", 0o644);
    for (const { downwardAPI, serviceAccountToken } of volume.projected.sources ?? []) {
      for (const { fieldRef } of downwardAPI?.items ?? [])
        if (fieldRef !== undefined) ifEmpty(fieldRef, "apiVersion", "v1");
      if (serviceAccountToken !== undefined) ifAbsent(serviceAccountToken, "expirationSeconds", 3600);
    }
  }
  if (volume.ephemeral?.volumeClaimTemplate?.spec !== undefined)
    defaultClaimSpec(volume.ephemeral.volumeClaimTemplate.spec);
  defaultVolumeSource(volume);
}

interface OldSources {
  iscsi?: { iscsiInterface?: string };
  rbd?: { pool?: string; user?: string; keyring?: string };
  azureDisk?: { cachingMode?: string; fsType?: string; readOnly?: boolean; kind?: string };
  scaleIO?: { storageMode?: string; fsType?: string };
}

/** The sources that pods and persistent volumes have in common. */
export function defaultVolumeSource({ iscsi, rbd, azureDisk, scaleIO }: OldSources): void {
  if (iscsi !== undefined) ifEmpty(iscsi, "iscsiInterface", "default");
  if (rbd !== undefined) {
    ifEmpty(rbd, "pool", "rbd");
    ifEmpty(rbd, "user", "admin");
    ifEmpty(rbd, "keyring", "/etc/ceph/keyring");
  }
  if (azureDisk !== undefined) {
    ifAbsent(azureDisk, "cachingMode", "ReadWrite");
    ifAbsent(azureDisk, "fsType", "ext4");
    ifAbsent(azureDisk, "readOnly", false);
    ifAbsent(azureDisk, "kind", "Shared");
  }
  if (scaleIO !== undefined) {
    ifEmpty(scaleIO, "storageMode", "ThinProvisioned");
    ifEmpty(scaleIO, "fsType", "xfs");
  }
}
