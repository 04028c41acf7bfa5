/** Subresources and resources with a meaning of their own, by name. */
import type { Resource } from "../../../machinery/resource.ts";
import { qualified, StatusError } from "../../../machinery/status.ts";
import type { ApiRequest, ApiResponse } from "../../request.ts";
import type { Services } from "../context.ts";

export interface SpecialSubresource {
  readonly verbs: readonly string[];
  handle(services: Services, request: ApiRequest, resource: Resource, namespace: string): Promise<ApiResponse>;
}

export type VirtualResource = (services: Services, request: ApiRequest, resource: Resource) => Promise<ApiResponse>;

const SUBRESOURCES: Readonly<Record<string, SpecialSubresource>> = {};

const VIRTUAL: Readonly<Record<string, VirtualResource>> = {};

export function specialSubresource(resource: Resource, subresource: string): SpecialSubresource | undefined {
  return SUBRESOURCES[`${qualified(resource)}/${subresource}`];
}

export async function virtualResource(
  services: Services,
  request: ApiRequest,
  resource: Resource,
): Promise<ApiResponse> {
  const handle = VIRTUAL[qualified(resource)];
  if (handle === undefined) throw new StatusError("NotFound", "the server could not find the requested resource");
  return handle(services, request, resource);
}
