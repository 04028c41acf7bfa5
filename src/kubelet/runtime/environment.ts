/**
 * The environment of a container, with references resolved. Pure: what it refers to is fetched beforehand.
 * Upstream: pkg/kubelet/kubelet_pods.go makeEnvironmentVariables
 */
import { bracketed } from "../../base/host-port.ts";
import type { ConfigMap, Pod, Secret, Service } from "../../api/generated/core.v1.ts";
import type { AnyContainer } from "../pod.ts";
import { expand } from "./expansion.ts";
import { fieldValue, resourceValue } from "./downward.ts";
import type { DownwardContext } from "./downward.ts";

/** Config maps and secrets by name, in the pod's namespace; undefined where there is none. */
export interface References {
  readonly configMaps: ReadonlyMap<string, ConfigMap | undefined>;
  readonly secrets: ReadonlyMap<string, Secret | undefined>;
}

/** What `environmentOf` will look up. */
export function environmentReferences(container: AnyContainer): {
  readonly configMaps: readonly string[];
  readonly secrets: readonly string[];
} {
  const configMaps = new Set<string>();
  const secrets = new Set<string>();
  for (const from of container.envFrom ?? []) {
    if (from.configMapRef) configMaps.add(from.configMapRef.name);
    if (from.secretRef) secrets.add(from.secretRef.name);
  }
  for (const { valueFrom } of container.env ?? []) {
    if (valueFrom?.configMapKeyRef) configMaps.add(valueFrom.configMapKeyRef.name);
    if (valueFrom?.secretKeyRef) secrets.add(valueFrom.secretKeyRef.name);
  }
  return { configMaps: [...configMaps], secrets: [...secrets] };
}

export function environmentOf(
  pod: Pod,
  container: AnyContainer,
  references: References,
  services: Readonly<Record<string, string>>,
  downward: DownwardContext,
): ReadonlyMap<string, string> {
  const result = new Map<string, string>();
  const namespace = pod.metadata.namespace ?? "";
  for (const from of container.envFrom ?? []) {
    const reference = from.configMapRef ?? from.secretRef;
    if (reference === undefined || reference.name === undefined) continue;
    const object = from.configMapRef
      ? references.configMaps.get(reference.name)
      : references.secrets.get(reference.name);
    if (object === undefined) {
      if (reference.optional === true) continue;
      throw new Error(`${from.configMapRef ? "configmap" : "secret"} "${reference.name}" not found`);
    }
    for (const [key, value] of Object.entries(object.data ?? {})) {
      result.set(`${from.prefix ?? ""}${key}`, from.configMapRef ? value : decode(value));
    }
  }
  for (const { name, value, valueFrom } of container.env ?? []) {
    if (valueFrom === undefined || (value !== undefined && value !== "")) {
      result.set(
        name,
        expand(value ?? "", (other) => result.get(other) ?? services[other]),
      );
    } else if (valueFrom.fieldRef) {
      result.set(name, fieldValue(pod, valueFrom.fieldRef.fieldPath, downward));
    } else if (valueFrom.resourceFieldRef) {
      result.set(name, resourceValue(pod, container, valueFrom.resourceFieldRef, downward));
    } else if (valueFrom.configMapKeyRef) {
      const found = keyOf("ConfigMap", namespace, valueFrom.configMapKeyRef, references.configMaps);
      if (found !== undefined) result.set(name, found);
    } else if (valueFrom.secretKeyRef) {
      const found = keyOf("Secret", namespace, valueFrom.secretKeyRef, references.secrets);
      if (found !== undefined) result.set(name, decode(found));
    }
  }
  for (const name in services) if (!result.has(name)) result.set(name, services[name]!);
  return result;
}

/** A missing optional key leaves the variable unset. */
function keyOf(
  kind: "ConfigMap" | "Secret",
  namespace: string,
  reference: { readonly name: string; readonly key: string; readonly optional?: boolean },
  objects: ReadonlyMap<string, { readonly data?: Readonly<Record<string, string>> } | undefined>,
): string | undefined {
  const object = objects.get(reference.name);
  if (object === undefined) {
    if (reference.optional === true) return undefined;
    throw new Error(`${kind.toLowerCase()} "${reference.name}" not found`);
  }
  const value = object.data?.[reference.key];
  if (value === undefined && reference.optional !== true)
    throw new Error(`couldn't find key ${reference.key} in ${kind} ${namespace}/${reference.name}`);
  return value;
}

const decode = (base64: string): string => Buffer.from(base64, "base64").toString("utf8");

/** The variables that tell of services: those of the pod's namespace, and always `kubernetes` of the default one. */
export function serviceEnvironment(pod: Pod, services: readonly Service[]): Readonly<Record<string, string>> {
  const byName = new Map<string, Service>();
  for (const service of services) {
    const ip = service.spec.clusterIP ?? "";
    if (ip === "" || ip === "None") continue;
    const { name, namespace } = service.metadata;
    const own = namespace === pod.metadata.namespace && pod.spec.enableServiceLinks !== false;
    const master = namespace === "default" && name === "kubernetes";
    if (own || (master && !byName.has(name))) byName.set(name, service);
  }
  const result: Record<string, string> = {};
  for (const [name, { spec }] of byName) {
    const prefix = name.toUpperCase().replaceAll("-", "_");
    const ip = spec.clusterIP!;
    const host = bracketed(ip);
    const ports = spec.ports ?? [];
    if (ports.length === 0) continue;
    result[`${prefix}_SERVICE_HOST`] = ip;
    result[`${prefix}_SERVICE_PORT`] = String(ports[0]!.port);
    ports.forEach((port, i) => {
      const protocol = port.protocol ?? "TCP";
      const url = `${protocol.toLowerCase()}://${host}:${port.port}`;
      if (port.name !== undefined && port.name !== "")
        result[`${prefix}_SERVICE_PORT_${port.name.toUpperCase().replaceAll("-", "_")}`] = String(port.port);
      if (i === 0) result[`${prefix}_PORT`] = url;
      const each = `${prefix}_PORT_${port.port}_${protocol.toUpperCase()}`;
      result[each] = url;
      result[`${each}_PROTO`] = protocol.toLowerCase();
      result[`${each}_PORT`] = String(port.port);
      result[`${each}_ADDR`] = ip;
    });
  }
  return result;
}
