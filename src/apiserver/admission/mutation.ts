/** Takes over an object that a webhook or a policy has changed: decoded by the kind's schema, with its defaults. */
import { readObject } from "../../machinery/codec/custom.ts";
import type { Resource } from "../../machinery/resource.ts";
import type { AdmissionContext, AdmissionRequest, AnyObject } from "./framework.ts";

export function resourceOfRequest({ resource }: AdmissionRequest, context: AdmissionContext): Resource | undefined {
  return context.served(resource);
}

export function takeObject(request: AdmissionRequest, object: unknown, context: AdmissionContext): void {
  const resource = resourceOfRequest(request, context);
  if (resource === undefined || request.subresource !== "") {
    request.object = structuredClone(object);
    return;
  }
  const draft: AnyObject = readObject(object, resource.schema, resource.schema.name === undefined);
  resource.behaviour.defaults?.(draft);
  request.object = draft;
}
