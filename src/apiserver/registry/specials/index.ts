/** Resources and subresources with behaviour of their own, by name. */
import type { Resource } from "../../../machinery/resource.ts";
import { qualified, StatusError } from "../../../machinery/status.ts";
import type { ApiRequest, ApiResponse } from "../../request.ts";
import type { Services } from "../context.ts";
import { binding, bindings } from "./binding.ts";
import { componentStatuses } from "./component-statuses.ts";
import { eviction } from "./eviction.ts";
import { nodeProxy, podProxy, serviceProxy } from "../../streaming/proxy.ts";
import { podLog, podStream } from "../../streaming/pods.ts";
import {
  localSubjectAccessReviews,
  selfSubjectAccessReviews,
  selfSubjectReviews,
  selfSubjectRulesReviews,
  subjectAccessReviews,
  tokenReviews,
} from "./reviews.ts";
import { scale } from "./scale.ts";
import { token } from "./token.ts";

export interface SpecialSubresource {
  readonly verbs: readonly string[];
  /** To somewhere else: what that one answers is passed on. */
  readonly connects?: boolean;
  handle(services: Services, request: ApiRequest, resource: Resource, namespace: string): Promise<ApiResponse>;
}

export type VirtualResource = (services: Services, request: ApiRequest, resource: Resource) => Promise<ApiResponse>;

const SUBRESOURCES: Readonly<Record<string, SpecialSubresource>> = {
  "nodes/proxy": nodeProxy,
  "pods/attach": podStream("attach"),
  "pods/binding": binding,
  "pods/eviction": eviction,
  "pods/exec": podStream("exec"),
  "pods/log": podLog,
  "pods/portforward": podStream("portforward"),
  "pods/proxy": podProxy,
  "serviceaccounts/token": token,
  "services/proxy": serviceProxy,
};

const VIRTUAL: Readonly<Record<string, VirtualResource>> = {
  bindings,
  componentstatuses: componentStatuses,
  "localsubjectaccessreviews.authorization.k8s.io": localSubjectAccessReviews,
  "selfsubjectaccessreviews.authorization.k8s.io": selfSubjectAccessReviews,
  "selfsubjectreviews.authentication.k8s.io": selfSubjectReviews,
  "selfsubjectrulesreviews.authorization.k8s.io": selfSubjectRulesReviews,
  "subjectaccessreviews.authorization.k8s.io": subjectAccessReviews,
  "tokenreviews.authentication.k8s.io": tokenReviews,
};

export function specialSubresource(resource: Resource, subresource: string): SpecialSubresource | undefined {
  if (subresource === "scale" && resource.subresources["scale"] !== undefined) return scale;
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
