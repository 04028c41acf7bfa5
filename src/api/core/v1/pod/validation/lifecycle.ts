/** Upstream: pkg/apis/core/validation/validation.go (validateLifecycle) */
import { type FieldError, fieldForbidden, notSupported } from "../../../../../machinery/validation/field-error.ts";
import type { Lifecycle } from "../../../../generated/core.v1.ts";
import { validateHandler } from "./handlers.ts";

const WINDOWS_SIGNALS: readonly string[] = ["SIGKILL", "SIGTERM"];
const count = (from: number, to: number, name: string): readonly string[] =>
  Array.from({ length: to - from + 1 }, (_, i) => `${name}${from + i}`);
/** As an error lists them. */
const LINUX_SIGNALS: readonly string[] = [
  ..."ABRT ALRM BUS CHLD CLD CONT FPE HUP ILL INT IO IOT KILL PIPE POLL PROF PWR QUIT RTMAX RTMIN".split(" "),
  ..."SEGV STKFLT STOP SYS TERM TRAP TSTP TTIN TTOU URG USR1 USR2 VTALRM WINCH XCPU XFSZ".split(" "),
  ...count(1, 14, "RTMAX-"),
  ...count(1, 15, "RTMIN+"),
]
  .map((name) => `SIG${name}`)
  .sort();

export function validateLifecycle(
  lifecycle: Lifecycle | undefined,
  path: string,
  grace: number | undefined,
  os: string | undefined,
): FieldError[] {
  if (lifecycle === undefined) return [];
  const { postStart, preStop, stopSignal } = lifecycle;
  return [
    ...(postStart === undefined ? [] : validateHandler(postStart, `${path}.postStart`, grace)),
    ...(preStop === undefined ? [] : validateHandler(preStop, `${path}.preStop`, grace)),
    ...(stopSignal === undefined ? [] : validateStopSignal(stopSignal, `${path}.stopSignal`, os)),
  ];
}

function validateStopSignal(signal: string, path: string, os: string | undefined): FieldError[] {
  if (os === undefined) return [fieldForbidden(path, "may not be set for containers with empty `spec.os.name`")];
  if (os !== "windows" && os !== "linux") return [];
  const known = os === "windows" ? WINDOWS_SIGNALS : LINUX_SIGNALS;
  return known.includes(signal) ? [] : [notSupported(path, signal, known)];
}
