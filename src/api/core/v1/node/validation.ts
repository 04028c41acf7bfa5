/** Upstream: pkg/apis/core/validation/validation.go (ValidateNode, ValidateNodeUpdate) */
import { syntaxError } from "../../../../machinery/codec/json-text.ts";
import { checkRequiredText, checkText } from "../../../../machinery/validation/checks.ts";
import {
  type FieldError,
  duplicate,
  fieldForbidden,
  internalError,
  invalid,
  required,
} from "../../../../machinery/validation/field-error.ts";
import { isCidr, parseCidr } from "../../../../machinery/validation/ip.ts";
import { isConfigMapKey, isDns1123Label, isDns1123Subdomain } from "../../../../machinery/validation/names.ts";
import { sortedEntries } from "../../../../machinery/validation/object-meta.ts";
import type { ConfigMapNodeConfigSource, Node, NodeConfigSource, Taint } from "../../../generated/core.v1.ts";
import { internalValue } from "../../../internal-value.ts";
import { validateQuantityValue } from "../pod/validation/resources.ts";
import { validateTaints } from "../pod/validation/scheduling.ts";

export function validateNode(node: Node): FieldError[] {
  const { spec, status, metadata } = node;
  const errors = [
    ...validateAnnotations(metadata.annotations ?? {}),
    // The path is upstream's.
    ...validateTaints(spec?.taints ?? [], "metadata.taints"),
    ...validateAmounts(node),
  ];
  const swap = status?.nodeInfo?.swap?.capacity;
  if (swap !== undefined && swap <= 0)
    errors.push(invalid("metadata.nodeSwapStatus.capacity", swap, "must be greater than zero"));
  errors.push(...validateFeatures(status?.declaredFeatures ?? []));
  const cidrs = spec?.podCIDRs ?? [];
  const path = "spec.podCIDRs";
  for (const [i, cidr] of cidrs.entries()) errors.push(...checkText(cidr, `${path}[${i}]`, isCidr));
  if (cidrs.length < 2) return errors;
  const parsed = cidrs.map((cidr) => parseCidr(cidr));
  const broken = cidrs.find((_, i) => parsed[i] === undefined);
  if (broken !== undefined)
    errors.push(
      internalError(
        path,
        `invalid PodCIDRs. failed to check with dual stack with error:invalid CIDR[${parsed.indexOf(undefined)}]: <nil> (invalid CIDR address: ${broken})`,
      ),
    );
  if (broken !== undefined || cidrs.length > 2 || parsed[0]!.family === parsed[1]!.family)
    errors.push(invalid(path, cidrs, "may specify no more than one CIDR for each IP family"));
  return errors;
}

const TAINTS = "scheduler.alpha.kubernetes.io/taints";
const AVOID_PODS = "scheduler.alpha.kubernetes.io/preferAvoidPods";

interface AvoidPods {
  readonly preferAvoidPods?: readonly {
    readonly podSignature?: { readonly podController?: { readonly controller?: boolean } };
  }[];
}

/** What used to be said in annotations is still checked there. */
function validateAnnotations(annotations: Readonly<Record<string, string>>): FieldError[] {
  const errors: FieldError[] = [];
  const { [TAINTS]: taints, [AVOID_PODS]: avoid } = annotations;
  if (taints) {
    const problem = syntaxError(taints);
    if (problem !== undefined) errors.push(invalid("metadata.annotations", TAINTS, problem));
    else errors.push(...validateTaints(JSON.parse(taints) as readonly Taint[], `metadata.annotations.${TAINTS}`));
  }
  if (!avoid) return errors;
  const problem = syntaxError(avoid);
  if (problem !== undefined) return [...errors, invalid("metadata.annotations.AvoidPods", AVOID_PODS, problem)];
  const said: unknown = JSON.parse(avoid);
  if (said !== null && (typeof said !== "object" || Array.isArray(said))) {
    const type = Array.isArray(said) ? "array" : typeof said === "boolean" ? "bool" : typeof said;
    const words = `json: cannot unmarshal ${type} into Go value of type v1.AvoidPods`;
    return [...errors, invalid("metadata.annotations.AvoidPods", AVOID_PODS, words)];
  }
  const { preferAvoidPods = [] } = (said ?? {}) as AvoidPods;
  for (const [i, { podSignature }] of preferAvoidPods.entries()) {
    const path = `metadata.annotations.${AVOID_PODS}[${i}].PodSignature`;
    const controller = podSignature?.podController;
    if (controller === undefined) errors.push(required(path));
    else if (controller.controller !== true)
      errors.push(invalid(`${path}.PodController.Controller`, false, "must point to a controller"));
  }
  return errors;
}

function validateAmounts({ status }: Node): FieldError[] {
  return (["capacity", "allocatable"] as const).flatMap((list) =>
    sortedEntries(status?.[list]).flatMap(([name, text]) =>
      validateQuantityValue(name, text, `status.${list}.${name}`),
    ),
  );
}

const FEATURE = /^[A-Z][a-zA-Z0-9]*(\/[a-zA-Z][a-zA-Z0-9]*)*$/;

/** Sorted, so that two lists are compared in one pass. */
function validateFeatures(features: readonly string[]): FieldError[] {
  const path = "status.declaredFeatures";
  return features.flatMap((name, i) => {
    const errors: FieldError[] = [];
    const broken = (detail: string) =>
      errors.push(invalid(`${path}[${i}]`, name, `invalid feature name ${JSON.stringify(name)}: ${detail}`));
    if (Buffer.byteLength(name) > 253) broken("must be no more than 253 characters");
    else if (!FEATURE.test(name))
      broken(
        "must start with an UpperCamelCase segment, with subsequent segments separated by '/' (e.g., MyFeature or MyFeature/mySubFeature), and contain only alphanumeric characters and slashes",
      );
    const next = features[i + 1];
    if (next === name) errors.push(duplicate(`${path}[${i + 1}]`, next));
    else if (next !== undefined && name > next)
      errors.push(invalid(`${path}[${i + 1}]`, next, "list must be sorted alphabetically"));
    return errors;
  });
}

/** Much of it is looked at twice. */
export function validateNodeUpdate(node: Node, old: Node): FieldError[] {
  return [...validateNode(node), ...validateNodeStatus(node, old)];
}

export function validateNodeStatus(node: Node, old: Node): FieldError[] {
  const { spec, status, metadata } = node;
  const errors = [
    ...validateAnnotations(metadata.annotations ?? {}),
    ...validateAmounts(node),
    ...validateFeatures(status?.declaredFeatures ?? []),
  ];
  const addresses = status?.addresses ?? [];
  for (const [i, { type, address }] of addresses.entries())
    if (addresses.slice(0, i).some((before) => before.type === type && before.address === address))
      errors.push(duplicate(`status.addresses[${i}]`, { Type: type, Address: address }));
  const [cidrs, before] = [spec?.podCIDRs ?? [], old.spec?.podCIDRs ?? []];
  const changed = before.length === cidrs.length ? before.filter((cidr, i) => cidr !== cidrs[i]).length : 1;
  if (before.length > 0)
    for (let i = 0; i < changed; i++)
      errors.push(fieldForbidden("spec.podCIDRs", 'node updates may not change podCIDR except from "" to valid'));
  if (old.spec?.providerID && spec?.providerID !== old.spec.providerID)
    errors.push(fieldForbidden("spec.providerID", 'node updates may not change providerID except from "" to valid'));
  if (spec?.configSource !== undefined)
    errors.push(...validateConfigSource(spec.configSource, "spec.configSource", "spec"));
  for (const name of ["assigned", "active", "lastKnownGood"] as const) {
    const source = status?.config?.[name];
    if (source !== undefined) errors.push(...validateConfigSource(source, `status.config.${name}`, "status"));
  }
  errors.push(...validateTaints(spec?.taints ?? [], "metadata.taints"));
  if ((spec?.externalID ?? "") !== (old.spec?.externalID ?? ""))
    errors.push(fieldForbidden("spec.externalID", "may not be updated"));
  return errors;
}

/** Of a kubelet that reads its configuration from the API, which none does any more. */
function validateConfigSource(source: NodeConfigSource, path: string, part: "spec" | "status"): FieldError[] {
  if (source.configMap !== undefined) return validateConfigMapSource(source.configMap, `${path}.configMap`, part);
  const shown = internalValue(source, "io.k8s.api.core.v1.NodeConfigSource");
  return [invalid(path, shown, "exactly one reference subfield must be non-nil")];
}

function validateConfigMapSource(
  { uid, resourceVersion, namespace, name, kubeletConfigKey }: ConfigMapNodeConfigSource,
  path: string,
  part: "spec" | "status",
): FieldError[] {
  const errors: FieldError[] = [];
  for (const [field, value] of Object.entries({ uid, resourceVersion }))
    if (part === "spec" && value) errors.push(fieldForbidden(`${path}.${field}`, `${field} must not be set in spec`));
    else if (part === "status" && !value) errors.push(required(`${path}.${field}`));
  return [
    ...errors,
    ...checkRequiredText(namespace, `${path}.namespace`, isDns1123Label),
    ...checkRequiredText(name, `${path}.name`, isDns1123Subdomain),
    ...checkRequiredText(kubeletConfigKey, `${path}.kubeletConfigKey`, isConfigMapKey),
  ];
}
