/** Upstream: staging/src/k8s.io/kube-aggregator/pkg/apis/apiregistration/validation */
import { checkText } from "../../../../machinery/validation/checks.ts";
import { goQuote } from "../../../../base/go-quote.ts";
import { type FieldError, invalid, notSupported, required } from "../../../../machinery/validation/field-error.ts";
import {
  isDns1035Label,
  isDns1123Subdomain,
  isPathSegmentName,
  isPortNumber,
} from "../../../../machinery/validation/names.ts";
import type { APIService } from "../../../generated/apiregistration.v1.ts";

export function validateApiService({ metadata, spec }: APIService): FieldError[] {
  const errors: FieldError[] = [];
  const { group = "", version = "", service, caBundle, insecureSkipTLSVerify } = spec ?? {};
  const name = `${version}.${group}`;
  for (const field of ["generateName", "name"] as const) {
    const said = metadata[field] ?? "";
    if (said !== "" && said !== name && isPathSegmentName(said).length === 0)
      errors.push(invalid(`metadata.${field}`, said, `must be \`spec.version+"."+spec.group\`: ${goQuote(name)}`));
  }
  if (group === "") {
    if (version !== "v1")
      errors.push(required("spec.group", "only v1 may have an empty group and it better be legacy kube"));
  } else errors.push(...checkText(group, "spec.group", isDns1123Subdomain));
  errors.push(...checkText(version, "spec.version", isDns1035Label));
  const { groupPriorityMinimum = 0, versionPriority = 0 } = spec ?? {};
  if (groupPriorityMinimum <= 0 || groupPriorityMinimum > 20000)
    errors.push(invalid("spec.groupPriorityMinimum", groupPriorityMinimum, "must be positive and less than 20000"));
  if (versionPriority <= 0 || versionPriority > 1000)
    errors.push(invalid("spec.versionPriority", versionPriority, "must be positive and less than 1000"));
  if (service === undefined) {
    if (caBundle)
      errors.push(
        invalid(
          "spec.caBundle",
          `${Buffer.byteLength(caBundle, "base64")} bytes`,
          "local APIServices may not have a caBundle",
        ),
      );
    if (insecureSkipTLSVerify === true)
      errors.push(invalid("spec.insecureSkipTLSVerify", true, "local APIServices may not have insecureSkipTLSVerify"));
    return errors;
  }
  if (!service.namespace) errors.push(required("spec.service.namespace"));
  if (!service.name) errors.push(required("spec.service.name"));
  for (const message of isPortNumber(service.port ?? 0))
    errors.push(invalid("spec.service.port", service.port ?? 0, `port is not valid: ${message}`));
  if (insecureSkipTLSVerify === true && caBundle)
    errors.push(invalid("spec.insecureSkipTLSVerify", true, "may not be true if caBundle is present"));
  return errors;
}

export function validateApiServiceStatus({ status }: APIService): FieldError[] {
  return (status?.conditions ?? []).flatMap((condition, i) =>
    STATUSES.includes(condition.status)
      ? []
      : [notSupported(`status.conditions[${i}].status`, condition.status, STATUSES)],
  );
}

const STATUSES = ["True", "False", "Unknown"];
