/** Upstream: pkg/apis/core/validation/validation.go (ValidateService) */
import {
  checkPortNumber,
  checkPortOrName,
  checkRequiredText,
  checkText,
  checkWord,
} from "../../../../machinery/validation/checks.ts";
import {
  type FieldError,
  duplicate,
  fieldForbidden,
  invalid,
  notSupported,
  required,
} from "../../../../machinery/validation/field-error.ts";
import { isCidr, isEndpointIp, isIp, parseIp } from "../../../../machinery/validation/ip.ts";
import { isDns1123Label, isDns1123Subdomain, isQualifiedName } from "../../../../machinery/validation/names.ts";
import { validateLabels } from "../../../../machinery/validation/object-meta.ts";
import type { Service, ServicePort, ServiceSpec } from "../../../generated/core.v1.ts";
import { hasClusterIPs, isExternallyAccessible, needsHealthCheck } from "./needs.ts";

const MAX_AFFINITY_SECONDS = 86400;
const isHeadless = ({ clusterIPs }: ServiceSpec): boolean => clusterIPs?.length === 1 && clusterIPs[0] === "None";

export function validateService(service: Service): FieldError[] {
  return validateAny(service, undefined);
}

const SOURCE_RANGES = "service.beta.kubernetes.io/load-balancer-source-ranges";

function validateAny(service: Service, old: Service | undefined): FieldError[] {
  const { spec, metadata } = service;
  const errors: FieldError[] = [];
  const ports = spec.ports ?? [];
  if (ports.length === 0 && !isHeadless(spec) && spec.type !== "ExternalName") errors.push(required("spec.ports"));
  errors.push(...validateForType(spec));
  const named = new Set<string>();
  for (const [i, port] of ports.entries()) errors.push(...validatePort(port, named, ports.length, `spec.ports[${i}]`));
  errors.push(...validateLabels(spec.selector, "spec.selector"), ...validateAffinity(spec));
  errors.push(...validateClusterIPs(spec, old?.spec));
  const oldExternal = new Set(old?.spec.externalIPs ?? []);
  for (const [i, ip] of (spec.externalIPs ?? []).entries()) {
    const at = `spec.externalIPs[${i}]`;
    const messages = oldExternal.has(ip) ? [] : checkText(ip, at, isIp);
    errors.push(...messages);
    if (messages.length === 0) errors.push(...checkText(ip, at, isEndpointIp));
  }
  errors.push(...checkWord(spec.type, "spec.type", ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"]));
  errors.push(...validatePortsTogether(spec), ...validateLoadBalancer(service, old));
  errors.push(...validateTrafficPolicies(spec));
  const modes = ["PreferClose", "PreferSameZone", "PreferSameNode"];
  if (spec.trafficDistribution !== undefined && !modes.includes(spec.trafficDistribution))
    errors.push(notSupported("spec.trafficDistribution", spec.trafficDistribution, modes));
  const [mode, hints] = ["service.kubernetes.io/topology-mode", "service.kubernetes.io/topology-aware-hints"].map(
    (key) => metadata.annotations?.[key],
  );
  if (mode !== undefined && hints !== undefined && mode !== hints)
    errors.push(
      invalid(
        "metadata.annotations[service.kubernetes.io/topology-mode]",
        mode,
        "must match annotations[service.kubernetes.io/topology-aware-hints] when both are specified",
      ),
    );
  return errors;
}

function validateForType(spec: ServiceSpec): FieldError[] {
  switch (spec.type) {
    case "LoadBalancer":
    case "NodePort":
      return isHeadless(spec)
        ? [invalid("spec.clusterIPs[0]", "None", `may not be set to 'None' for ${spec.type} services`)]
        : [];
    case "ExternalName": {
      const errors: FieldError[] = [];
      const detail = "may not be set for ExternalName services";
      if ((spec.clusterIPs ?? []).length > 0) errors.push(fieldForbidden("spec.clusterIPs", detail));
      if ((spec.ipFamilies ?? []).length > 0) errors.push(fieldForbidden("spec.ipFamilies", detail));
      if (spec.ipFamilyPolicy !== undefined) errors.push(fieldForbidden("spec.ipFamilyPolicy", detail));
      const name = (spec.externalName ?? "").replace(/\.$/, "");
      return [...errors, ...checkRequiredText(name, "spec.externalName", isDns1123Subdomain)];
    }
    default:
      return [];
  }
}

function validatePort(port: ServicePort, named: Set<string>, count: number, path: string): FieldError[] {
  const errors: FieldError[] = [];
  if (!port.name) {
    if (count > 1) errors.push(required(`${path}.name`));
  } else {
    errors.push(...checkText(port.name, `${path}.name`, isDns1123Label));
    if (named.has(port.name)) errors.push(duplicate(`${path}.name`, port.name));
    named.add(port.name);
  }
  errors.push(...checkPortNumber(port.port, `${path}.port`));
  errors.push(...checkWord(port.protocol, `${path}.protocol`, ["SCTP", "TCP", "UDP"]));
  errors.push(...checkPortOrName(port.targetPort, `${path}.targetPort`));
  if (port.appProtocol !== undefined)
    errors.push(...checkText(port.appProtocol, `${path}.appProtocol`, isQualifiedName));
  return errors;
}

function validatePortsTogether({ ports = [], type }: ServiceSpec): FieldError[] {
  const errors: FieldError[] = [];
  if (type === "ClusterIP")
    for (const [i, { nodePort }] of ports.entries())
      if (nodePort)
        errors.push(fieldForbidden(`spec.ports[${i}].nodePort`, "may not be used when `type` is 'ClusterIP'"));
  const nodePorts = new Set<string>();
  for (const [i, { protocol, nodePort }] of ports.entries()) {
    if (!nodePort) continue;
    const key = `${protocol}/${nodePort}`;
    if (nodePorts.has(key)) errors.push(duplicate(`spec.ports[${i}].nodePort`, nodePort));
    nodePorts.add(key);
  }
  const seen = new Set<string>();
  for (const [i, { protocol, port }] of ports.entries()) {
    const key = `${protocol}/${port}`;
    const shown = { Name: "", Protocol: protocol, AppProtocol: null, Port: port, TargetPort: 0, NodePort: 0 };
    if (seen.has(key)) errors.push(duplicate(`spec.ports[${i}]`, shown));
    seen.add(key);
  }
  return errors;
}

function validateAffinity({ sessionAffinity, sessionAffinityConfig }: ServiceSpec): FieldError[] {
  const errors = checkWord(sessionAffinity, "spec.sessionAffinity", ["ClientIP", "None"]);
  const path = "spec.sessionAffinityConfig";
  if (sessionAffinity === "None" && sessionAffinityConfig !== undefined)
    errors.push(fieldForbidden(path, "must not be set when session affinity is None"));
  if (sessionAffinity !== "ClientIP") return errors;
  const detail = "when session affinity type is ClientIP";
  if (sessionAffinityConfig === undefined) return [...errors, required(path, detail)];
  if (sessionAffinityConfig.clientIP === undefined) return [...errors, required(`${path}.clientIP`, detail)];
  const seconds = sessionAffinityConfig.clientIP.timeoutSeconds;
  const at = `${path}.clientIP.timeoutSeconds`;
  if (seconds === undefined) errors.push(required(at, detail));
  else if (seconds <= 0 || seconds > MAX_AFFINITY_SECONDS)
    errors.push(invalid(at, seconds, `must be greater than 0 and less than ${MAX_AFFINITY_SECONDS}`));
  return errors;
}

/** Also what the allocator asks before it gives anything out. */
export function validateClusterIPs(spec: ServiceSpec, old?: ServiceSpec): FieldError[] {
  if (spec.type === "ExternalName") return [];
  const errors: FieldError[] = [];
  const { clusterIP = "", clusterIPs = [], ipFamilies = [], ipFamilyPolicy } = spec;
  const path = "spec.clusterIPs";
  if (clusterIP !== "") {
    if (clusterIPs.length === 0) errors.push(required(path));
    else if (clusterIPs[0] !== clusterIP) errors.push(invalid(path, clusterIPs, "first value must match `clusterIP`"));
  } else if (clusterIPs.length > 0)
    errors.push(invalid(path, clusterIPs, "must be empty when `clusterIP` is not specified"));
  for (const [i, family] of ipFamilies.entries()) {
    if (family !== "IPv4" && family !== "IPv6")
      errors.push(notSupported(`spec.ipFamilies[${i}]`, family, ["IPv4", "IPv6"]));
    if (ipFamilies.indexOf(family) < i) errors.push(duplicate(`spec.ipFamilies[${i}]`, family));
  }
  const policies = ["PreferDualStack", "RequireDualStack", "SingleStack"];
  if (ipFamilyPolicy !== undefined && !policies.includes(ipFamilyPolicy))
    errors.push(notSupported("spec.ipFamilyPolicy", ipFamilyPolicy, policies));
  let bad = false;
  const before = new Set(old?.clusterIPs ?? []);
  for (const [i, ip] of clusterIPs.entries()) {
    if (i === 0 && ip === "None") {
      if (clusterIPs.length > 1) {
        errors.push(invalid(path, clusterIPs, "'None' must be the first and only value"));
        bad = true;
      }
      continue;
    }
    const messages = before.has(ip) ? [] : checkText(ip, `${path}[${i}]`, isIp);
    if (messages.length > 0) bad = true;
    errors.push(...messages);
  }
  if (clusterIPs.length > 2) errors.push(invalid(path, clusterIPs, "may only hold up to 2 values"));
  if (bad || clusterIPs[0] === "None") return errors;
  const families = clusterIPs.map((ip) => `IPv${parseIp(ip)?.family ?? 4}`);
  if (families.length > 1 && new Set(families).size === 1)
    errors.push(invalid(path, clusterIPs, "may specify no more than one IP for each IP family"));
  for (const [i, family] of families.entries()) {
    const wanted = ipFamilies[i];
    if ((wanted === "IPv4" || wanted === "IPv6") && wanted !== family)
      errors.push(
        invalid(`${path}[${i}]`, clusterIPs[i], `expected an ${wanted} value as indicated by \`ipFamilies[${i}]\``),
      );
  }
  return errors;
}

function validateLoadBalancer({ spec, metadata }: Service, old: Service | undefined): FieldError[] {
  const errors: FieldError[] = [];
  const balanced = spec.type === "LoadBalancer";
  const detail = "may only be used when `type` is 'LoadBalancer'";
  const ranges = spec.loadBalancerSourceRanges ?? [];
  const annotation = metadata.annotations?.[SOURCE_RANGES];
  if (ranges.length > 0) {
    if (!balanced) errors.push(fieldForbidden("spec.LoadBalancerSourceRanges", detail));
    for (const [i, range] of ranges.entries())
      if (old?.spec.loadBalancerSourceRanges?.includes(range.trim()) !== true)
        errors.push(...checkText(range.trim(), `spec.LoadBalancerSourceRanges[${i}]`, isCidr));
  } else if (annotation !== undefined) {
    const path = `metadata.annotations[${SOURCE_RANGES}]`;
    if (!balanced) errors.push(fieldForbidden(path, detail));
    if (old?.metadata.annotations?.[SOURCE_RANGES] !== annotation && annotation.trim() !== "")
      for (const range of annotation.trim().split(",")) errors.push(...checkText(range.trim(), path, isCidr));
  }
  if (spec.allocateLoadBalancerNodePorts !== undefined && !balanced)
    errors.push(fieldForbidden("spec.allocateLoadBalancerNodePorts", detail));
  if (spec.allocateLoadBalancerNodePorts === undefined && balanced)
    errors.push(required("allocateLoadBalancerNodePorts"));
  return [...errors, ...validateClass(spec)];
}

function validateClass({ type, loadBalancerClass }: ServiceSpec): FieldError[] {
  const path = "spec.loadBalancerClass";
  if (loadBalancerClass === undefined) return [];
  if (type !== "LoadBalancer") return [fieldForbidden(path, "may only be used when `type` is 'LoadBalancer'")];
  return checkText(loadBalancerClass, path, isQualifiedName);
}

function validateTrafficPolicies(spec: ServiceSpec): FieldError[] {
  const errors: FieldError[] = [];
  const words = ["Cluster", "Local"];
  if (!isExternallyAccessible(spec)) {
    if (spec.externalTrafficPolicy)
      errors.push(
        invalid(
          "spec.externalTrafficPolicy",
          spec.externalTrafficPolicy,
          "may only be set for externally-accessible services",
        ),
      );
  } else errors.push(...checkWord(spec.externalTrafficPolicy, "spec.externalTrafficPolicy", words));
  const port = spec.healthCheckNodePort ?? 0;
  if (!needsHealthCheck(spec)) {
    if (port !== 0)
      errors.push(
        invalid(
          "spec.healthCheckNodePort",
          port,
          "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'",
        ),
      );
  } else if (port === 0) errors.push(required("spec.healthCheckNodePort"));
  else errors.push(...checkPortNumber(port, "spec.healthCheckNodePort"));
  if (spec.internalTrafficPolicy === undefined) {
    if (hasClusterIPs(spec)) errors.push(required("spec.internalTrafficPolicy"));
  } else if (!words.includes(spec.internalTrafficPolicy))
    errors.push(notSupported("spec.internalTrafficPolicy", spec.internalTrafficPolicy, words));
  return errors;
}

export function validateServiceUpdate(service: Service, old: Service): FieldError[] {
  const errors: FieldError[] = [];
  const [spec, before] = [service.spec, old.spec];
  if (spec.type !== "ExternalName" && before.type !== "ExternalName")
    errors.push(...validateAddressesUpdate(spec, before));
  if (
    spec.type === "LoadBalancer" &&
    before.type === "LoadBalancer" &&
    spec.loadBalancerClass !== before.loadBalancerClass
  )
    errors.push(invalid("spec.loadBalancerClass", spec.loadBalancerClass ?? null, "may not change once set"));
  // Looked at as a change and as part of the whole.
  errors.push(...validateClass(spec));
  if (
    needsHealthCheck(spec) &&
    needsHealthCheck(before) &&
    (spec.healthCheckNodePort ?? 0) !== (before.healthCheckNodePort ?? 0)
  )
    errors.push(fieldForbidden("spec.healthCheckNodePort", "field is immutable"));
  return [...errors, ...validateAny(service, old)];
}

/** Who knows a service by its address keeps finding it there. */
function validateAddressesUpdate(spec: ServiceSpec, old: ServiceSpec): FieldError[] {
  const errors: FieldError[] = [];
  const change = "may not change once set";
  const [now, before] = [spec.clusterIPs ?? [], old.clusterIPs ?? []];
  const shownNow = spec.clusterIPs ?? null;
  if (!(isHeadless(spec) && isHeadless(old)) && before.length > 0) {
    if (now.length === before.length) {
      for (const [i, ip] of now.entries())
        if (ip !== before[i]) errors.push(invalid(`spec.clusterIPs[${i}]`, now, change));
    } else if (now.length === 0)
      errors.push(invalid("spec.clusterIPs[0]", shownNow, "primary clusterIP can not be unset"));
    else {
      if (now[0] !== before[0]) errors.push(invalid("spec.clusterIPs[0]", now, change));
      if (now.length < before.length && spec.ipFamilyPolicy !== "SingleStack")
        errors.push(
          invalid(
            "spec.ipFamilyPolicy",
            spec.ipFamilyPolicy ?? null,
            "must be set to 'SingleStack' when releasing the secondary clusterIP",
          ),
        );
    }
  }
  const [families, oldFamilies] = [spec.ipFamilies ?? [], old.ipFamilies ?? []];
  if (isHeadless(spec) || isHeadless(old) || oldFamilies.length === 0) return errors;
  if (families.length === oldFamilies.length) {
    for (const [i, family] of families.entries())
      if (family !== oldFamilies[i]) errors.push(invalid("spec.ipFamilies[0]", families, change));
  } else if (families.length === 0) {
    if (now.length === 0)
      errors.push(invalid("spec.ipFamilies[0]", spec.ipFamilies ?? null, "primary ipFamily can not be unset"));
  } else {
    if (families[0] !== oldFamilies[0]) errors.push(invalid("spec.ipFamilies[0]", now, change));
    if (families.length < oldFamilies.length && spec.ipFamilyPolicy !== "SingleStack")
      errors.push(
        invalid(
          "spec.ipFamilyPolicy",
          spec.ipFamilyPolicy ?? null,
          "must be set to 'SingleStack' when releasing the secondary ipFamily",
        ),
      );
  }
  return errors;
}

export function validateServiceStatus({ spec, status }: Service, old: Service): FieldError[] {
  const ingress = status?.loadBalancer?.ingress ?? [];
  const path = "status.loadBalancer.ingress";
  if (ingress.length === 0) return [];
  if (spec.type !== "LoadBalancer")
    return [fieldForbidden(path, "may only be used when `spec.type` is 'LoadBalancer'")];
  const errors: FieldError[] = [];
  const before = new Set((old.status?.loadBalancer?.ingress ?? []).map(({ ip }) => ip));
  for (const [i, { ip, hostname, ipMode }] of ingress.entries()) {
    const at = `${path}[${i}]`;
    if (ip && !before.has(ip)) errors.push(...checkText(ip, `${at}.ip`, isIp));
    if (ip && ipMode === undefined) errors.push(required(`${at}.ipMode`, "must be specified when `ip` is set"));
    if (!ip && ipMode !== undefined)
      errors.push(fieldForbidden(`${at}.ipMode`, "may not be specified when `ip` is not set"));
    else if (ipMode !== undefined && ipMode !== "VIP" && ipMode !== "Proxy")
      errors.push(notSupported(`${at}.ipMode`, ipMode, ["Proxy", "VIP"]));
    if (hostname) {
      errors.push(...checkText(hostname, `${at}.hostname`, isDns1123Subdomain));
      if (parseIp(hostname) !== undefined)
        errors.push(invalid(`${at}.hostname`, hostname, "must be a DNS name, not an IP address"));
    }
  }
  return errors;
}
