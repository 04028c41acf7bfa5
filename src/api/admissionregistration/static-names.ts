/**
 * Names that are reserved for configurations in manifest files.
 * Upstream: pkg/apis/admissionregistration/validation/validation.go (ValidateStaticSuffix)
 */
import type { KubeObject } from "../../machinery/meta/object.ts";
import type { Behaviour } from "../../machinery/resource.ts";
import { invalid } from "../../machinery/validation/field-error.ts";

const SUFFIX = ".static.k8s.io";
const GATE = "ManifestBasedAdmissionControlConfig";
const WORDS = `names ending with "${SUFFIX}" are reserved for static manifest-based configurations and cannot be managed via the API`;

/** With the gate nothing new may have such a name; without it, and for what is there, its writer is warned. */
export function withStaticNames<T extends KubeObject>(behaviour: Behaviour<T>): Behaviour<T> {
  const isStatic = ({ metadata }: T): boolean => (metadata.name ?? "").endsWith(SUFFIX);
  return {
    ...behaviour,
    validate(object, context) {
      const errors = behaviour.validate?.(object, context) ?? [];
      if (!isStatic(object) || context.featureGates.get(GATE) !== true) return errors;
      return [...errors, invalid("metadata.name", object.metadata.name, WORDS)];
    },
    // Updates are asked as ever.
    validateUpdate: (object, old, context) =>
      behaviour.validateUpdate?.(object, old, context) ?? behaviour.validate?.(object, context) ?? [],
    warnings: (object, old) => [
      ...(behaviour.warnings?.(object, old) ?? []),
      ...(isStatic(object) ? [`metadata.name: ${WORDS}`] : []),
    ],
  };
}
