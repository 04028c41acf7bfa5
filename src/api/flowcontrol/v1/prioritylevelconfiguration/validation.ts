/** Upstream: pkg/apis/flowcontrol/validation/validation.go */
import {
  type FieldError,
  fieldForbidden,
  invalid,
  notSupported,
  required,
} from "../../../../machinery/validation/field-error.ts";
import { internalValue } from "../../../internal-value.ts";
import { semanticEqual } from "../../../semantic-equal.ts";
import { validateConditionTypes } from "../flowschema/validation.ts";
import { MANDATORY_PRIORITY_LEVELS } from "../mandatory.ts";
import type { PriorityLevelConfiguration } from "../../../generated/flowcontrol.v1.ts";

const MAX_QUEUES = 10_000_000;
/** So many bits a hash of the flow has to give. */
const MAX_ENTROPY = 60;

export function validatePriorityLevel(level: PriorityLevelConfiguration): FieldError[] {
  const { spec, metadata, status } = level;
  const errors: FieldError[] = [];
  if (metadata.annotations?.[ZERO_SHARES] !== undefined)
    errors.push(fieldForbidden("metadata.annotations", `annotation '${ZERO_SHARES}' is forbidden`));
  errors.push(...validateSpec(level));
  const fixed = Object.hasOwn(MANDATORY_PRIORITY_LEVELS, metadata.name)
    ? MANDATORY_PRIORITY_LEVELS[metadata.name]
    : undefined;
  if (fixed !== undefined) {
    // What 'exempt' lends is for the administrator to say.
    const open = metadata.name === "exempt";
    const judged = open && spec !== undefined ? { ...spec, exempt: fixed.exempt } : spec;
    if (!semanticEqual(judged, fixed))
      errors.push(
        invalid(
          "spec",
          internalValue(spec, "io.k8s.api.flowcontrol.v1.PriorityLevelConfigurationSpec"),
          `spec of '${metadata.name}' ${open ? "except the 'spec.exempt' field " : ""}must equal the fixed value`,
        ),
      );
  }
  return [...errors, ...validateConditionTypes(status?.conditions)];
}

const ZERO_SHARES = "flowcontrol.k8s.io/v1beta3-preserve-zero-concurrency-shares";

function validateSpec({ metadata, spec }: PriorityLevelConfiguration): FieldError[] {
  const errors: FieldError[] = [];
  const { type, limited, exempt } = spec ?? {};
  if ((metadata.name === "exempt") !== (type === "Exempt"))
    errors.push(invalid("spec.type", type ?? "", "must be 'Exempt' if and only if `name` is 'exempt'"));
  if (type === "Exempt") {
    if (limited !== undefined) errors.push(fieldForbidden("spec.limited", "must be nil if the type is not Limited"));
    return [...errors, ...validateShares(exempt, "spec.exempt")];
  }
  if (type !== "Limited") return [...errors, notSupported("spec.type", type ?? "", ["Exempt", "Limited"])];
  if (exempt !== undefined) errors.push(fieldForbidden("spec.exempt", "must be nil if the type is Limited"));
  if (limited === undefined) return [...errors, required("spec.limited", "must not be empty when type is Limited")];
  errors.push(...validateShares(limited, "spec.limited"));
  if ((limited.borrowingLimitPercent ?? 0) < 0)
    errors.push(
      invalid(
        "spec.limited.borrowingLimitPercent",
        limited.borrowingLimitPercent,
        "if specified, must be a non-negative integer",
      ),
    );
  const path = "spec.limited.limitResponse";
  const { type: response, queuing } = limited.limitResponse ?? {};
  if (response !== "Queue" && response !== "Reject")
    errors.push(notSupported(`${path}.type`, response ?? "", ["Queue", "Reject"]));
  if (response === "Reject" && queuing !== undefined)
    errors.push(fieldForbidden(`${path}.queuing`, "must be nil if limited.limitResponse.type is not Limited"));
  if (response !== "Queue") return errors;
  if (queuing === undefined)
    return [...errors, required(`${path}.queuing`, "must not be empty if limited.limitResponse.type is Limited")];
  const { queues = 0, handSize = 0, queueLengthLimit = 0 } = queuing;
  if (queueLengthLimit <= 0)
    errors.push(invalid(`${path}.queuing.queueLengthLimit`, queueLengthLimit, "must be positive"));
  if (queues <= 0) errors.push(invalid(`${path}.queuing.queues`, queues, "must be positive"));
  else if (queues > MAX_QUEUES)
    errors.push(invalid(`${path}.queuing.queues`, queues, `must not be greater than ${MAX_QUEUES}`));
  if (handSize <= 0) errors.push(invalid(`${path}.queuing.handSize`, handSize, "must be positive"));
  else if (handSize > queues)
    errors.push(invalid(`${path}.queuing.handSize`, handSize, `should not be greater than queues (${queues})`));
  else if (Math.ceil(Math.log2(queues) * handSize) > MAX_ENTROPY)
    errors.push(
      invalid(
        `${path}.queuing.handSize`,
        handSize,
        `required entropy bits of deckSize ${queues} and handSize ${handSize} should not be greater than ${MAX_ENTROPY}`,
      ),
    );
  return errors;
}

function validateShares(
  settings: { readonly nominalConcurrencyShares?: number; readonly lendablePercent?: number } | undefined,
  path: string,
): FieldError[] {
  const { nominalConcurrencyShares: shares = 0, lendablePercent: percent = 0 } = settings ?? {};
  return [
    ...(shares < 0 ? [invalid(`${path}.nominalConcurrencyShares`, shares, "must be a non-negative integer")] : []),
    ...(percent < 0 || percent > 100
      ? [invalid(`${path}.lendablePercent`, percent, "must be between 0 and 100, inclusive")]
      : []),
  ];
}
