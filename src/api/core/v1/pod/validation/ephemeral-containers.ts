/**
 * Containers added to a running pod to look into it: they can be added, and then stay as they are.
 * Upstream: pkg/apis/core/validation/validation.go (ValidatePodEphemeralContainersUpdate)
 */
import { type FieldError, fieldForbidden } from "../../../../../machinery/validation/field-error.ts";
import type { Pod } from "../../../../generated/core.v1.ts";
import { internalDiff } from "../../../../internal-value.ts";
import { semanticEqual } from "../../../../semantic-equal.ts";
import { MIRROR, NOWHERE, validateAnnotationsUpdate } from "./annotations.ts";
import { type PodContext, rulesOfWrite, validateAnyPod } from "./pod.ts";

export function validateEphemeralContainersUpdate(pod: Pod, old: Pod, context: PodContext): FieldError[] {
  if (MIRROR in (old.metadata.annotations ?? {}))
    return [fieldForbidden(NOWHERE, "static pods do not support ephemeral containers")];
  const rules = rulesOfWrite(pod, old, context);
  const errors = [...validateAnyPod(pod, rules), ...validateAnnotationsUpdate(pod, old, rules)];
  for (const before of old.spec.ephemeralContainers ?? []) {
    const now = pod.spec.ephemeralContainers?.findLast(({ name }) => name === before.name);
    const path = "spec.ephemeralContainers";
    const what = `existing ephemeral containers ${JSON.stringify(before.name)}`;
    if (now === undefined) errors.push(fieldForbidden(path, `${what} may not be removed\n`));
    else if (!semanticEqual(now, before)) {
      const diff = internalDiff(before, now, "io.k8s.api.core.v1.EphemeralContainer");
      errors.push(fieldForbidden(path, `${what} may not be changed\n${diff}`));
    }
  }
  return errors;
}
