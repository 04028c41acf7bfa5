/** Upstream: pkg/apis/coordination/validation/validation.go */
import { type FieldError, invalid, required } from "../../../../machinery/validation/field-error.ts";
import { immutableField } from "../../../../machinery/validation/object-meta.ts";
import type { LeaseCandidate } from "../../../generated/coordination.v1beta1.ts";
import { validateStrategy } from "../../v1/lease/validation.ts";

type Version = readonly [major: number, minor: number, patch: number];

const SEMANTIC = /^(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$/;
const ZERO: Version = [0, 0, 0];

/** What can't be read counts as zero where versions are compared. */
function parse(text: string): Version | undefined {
  const match = SEMANTIC.exec(text);
  return match === null ? undefined : [Number(match[1]), Number(match[2]), Number(match[3])];
}

function isLess(a: Version, b: Version): boolean {
  for (const i of [0, 1, 2] as const) if (a[i] !== b[i]) return a[i] < b[i];
  return false;
}

export function validateLeaseCandidate({ spec }: LeaseCandidate): FieldError[] {
  const { leaseName, binaryVersion = "", emulationVersion = "", strategy = "" } = spec ?? {};
  const errors: FieldError[] = leaseName ? [] : [required("spec.leaseName")];
  const check = (field: string, text: string): Version => {
    const version = parse(text);
    if (version === undefined) errors.push(invalid(`spec.${field}`, text, "must be a valid semantic version"));
    return version ?? ZERO;
  };
  const emulated = emulationVersion === "" ? ZERO : check("emulationVersion", emulationVersion);
  if (binaryVersion === "") errors.push(required("spec.binaryVersion"));
  else if (isLess(check("binaryVersion", binaryVersion), emulated))
    errors.push(invalid("spec.binaryVersion", binaryVersion, "must be greater than or equal to `emulationVersion`"));
  if (strategy === "") return [...errors, required("spec.strategy")];
  if (strategy === "OldestEmulationVersion" && emulated.every((part) => part === 0))
    errors.push(required("spec.emulationVersion", "must be specified when `strategy` is 'OldestEmulationVersion'"));
  return [...errors, ...validateStrategy(strategy)];
}

export function validateLeaseCandidateUpdate(object: LeaseCandidate, old: LeaseCandidate): FieldError[] {
  return [
    ...validateLeaseCandidate(object),
    ...immutableField(object.spec?.leaseName ?? "", old.spec?.leaseName ?? "", "spec.leaseName"),
  ];
}
