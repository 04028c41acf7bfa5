/**
 * Ways to ask a container something, or to tell it: a command, a request, a connection. Only the first one given is looked into.
 * Upstream: pkg/apis/core/validation/validation.go (validateHandler)
 */
import { checkPortNumber, checkPortOrName, checkText } from "../../../../../machinery/validation/checks.ts";
import {
  type FieldError,
  fieldForbidden,
  invalid,
  notSupported,
  required,
} from "../../../../../machinery/validation/field-error.ts";
import { isHttpHeaderName } from "../../../../../machinery/validation/names.ts";
import type { HTTPGetAction, LifecycleHandler, Probe } from "../../../../generated/core.v1.ts";

type Handler = LifecycleHandler & Pick<Probe, "grpc">;

/** `grace`: how long a pod has to end, which bounds how long a hook may sleep. */
export function validateHandler(handler: Handler, path: string, grace?: number): FieldError[] {
  const { exec, httpGet, tcpSocket, grpc, sleep } = handler;
  const [first, ...others] = Object.entries({ exec, httpGet, tcpSocket, grpc, sleep })
    .filter(([, value]) => value !== undefined)
    .map(([name]) => name as keyof Handler);
  if (first === undefined) return [required(path, "must specify a handler type")];
  return [
    ...validateOne(first, handler, `${path}.${first}`, grace),
    ...others.map((name) => fieldForbidden(`${path}.${name}`, "may not specify more than 1 handler type")),
  ];
}

function validateOne(name: keyof Handler, handler: Handler, path: string, grace: number | undefined): FieldError[] {
  switch (name) {
    case "exec":
      return (handler.exec!.command ?? []).length === 0 ? [required(`${path}.command`)] : [];
    case "httpGet":
      return validateHttpGet(handler.httpGet!, path);
    case "tcpSocket":
      return checkPortOrName(handler.tcpSocket!.port, `${path}.port`);
    case "grpc":
      return checkPortNumber(handler.grpc!.port, `${path}.port`);
    case "sleep": {
      const seconds = handler.sleep!.seconds ?? 0;
      if (grace === undefined || (seconds >= 0 && seconds <= grace)) return [];
      const words = `must be non-negative and less than terminationGracePeriodSeconds (${grace})`;
      return [invalid(path, seconds, words)];
    }
  }
}

function validateHttpGet({ path: page, port, scheme, httpHeaders = [] }: HTTPGetAction, path: string): FieldError[] {
  return [
    ...(page ? [] : [required(`${path}.path`)]),
    ...checkPortOrName(port, `${path}.port`),
    ...(scheme === "HTTP" || scheme === "HTTPS"
      ? []
      : [notSupported(`${path}.scheme`, scheme ?? "", ["HTTP", "HTTPS"])]),
    ...httpHeaders.flatMap(({ name }) => checkText(name ?? "", `${path}.httpHeaders`, isHttpHeaderName)),
  ];
}
