/** Questions that answer themselves: who am I, may I, may he, whose token is this. Upstream: pkg/registry/{authentication,authorization}. */
import type { Resource } from "../../../machinery/resource.ts";
import { badRequest } from "../../../machinery/status.ts";
import type { UserInfo } from "../../authn/user.ts";
import type { Attributes } from "../../authz/authorizer.ts";
import type { PolicyRule } from "../../authz/rbac.ts";
import { visitRules } from "../../authz/rbac.ts";
import { writeContext } from "../../handlers/options.ts";
import type { ApiRequest, ApiResponse } from "../../request.ts";
import { object } from "../../request.ts";
import type { Services } from "../context.ts";
import { placeIn } from "../create.ts";
import { decodeBody, expectedOf } from "../decode.ts";
import { hookContext } from "../context.ts";
import { invalidObject } from "../../../machinery/validation/field-error.ts";
import type { VirtualResource } from "./index.ts";

async function review(services: Services, request: ApiRequest, resource: Resource): Promise<any> {
  const context = writeContext(services, request, "CreateOptions");
  const draft = decodeBody(await request.body(), expectedOf(resource), context.fieldValidation, context.warn);
  placeIn(resource, request.info.namespace, draft);
  const errors = resource.behaviour.validate?.(draft, hookContext(context)) ?? [];
  if (errors.length > 0) throw invalidObject(resource.group, resource.kind, draft.metadata.name ?? "", errors);
  return draft;
}

const created = (review: any, status: object): ApiResponse => object(201, { ...review, status });

export const tokenReviews: VirtualResource = async (services, request, resource) => {
  const asked = await review(services, request, resource);
  const { token, audiences = [] } = asked.spec ?? {};
  if (!token) throw badRequest("token is required for TokenReview in authentication");
  const result = await services.tokens.authenticateToken(token, audiences);
  if (result === "unknown") return created(asked, { user: {} });
  if ("invalid" in result) return created(asked, { user: {}, error: `[invalid bearer token, ${result.invalid}]` });
  const { name, uid, groups, extra } = result.user;
  const all = groups.includes("system:authenticated") ? groups : [...groups, "system:authenticated"];
  return created(asked, {
    authenticated: true,
    user: { username: name, ...(uid && { uid }), groups: all, ...(extra && { extra }) },
    audiences: result.audiences ?? (audiences.length > 0 ? audiences : services.accounts.audiences),
  });
};

export const selfSubjectReviews: VirtualResource = async (services, request, resource) => {
  const asked = await review(services, request, resource);
  const { name, uid, groups, extra } = request.user!;
  return created(asked, { userInfo: { username: name, ...(uid && { uid }), groups, ...(extra && { extra }) } });
};

export const subjectAccessReviews: VirtualResource = async (services, request, resource) => {
  const asked = await review(services, request, resource);
  return created(asked, answer(services, attributes(asked.spec, userOf(asked.spec))));
};

export const localSubjectAccessReviews: VirtualResource = async (services, request, resource) => {
  const asked = await review(services, request, resource);
  const { namespace } = request.info;
  if (asked.spec?.resourceAttributes?.namespace !== namespace)
    throw badRequest(`spec.resourceAttributes.namespace must match namespace: ${namespace}`);
  return created(asked, answer(services, attributes(asked.spec, userOf(asked.spec))));
};

export const selfSubjectAccessReviews: VirtualResource = async (services, request, resource) => {
  const asked = await review(services, request, resource);
  return created(asked, answer(services, attributes(asked.spec, request.user!)));
};

function userOf({ user, groups, uid, extra }: any): UserInfo {
  return { name: user ?? "", groups: groups ?? [], ...(uid && { uid }), ...(extra && { extra }) };
}

function attributes(spec: any, user: UserInfo): Attributes {
  const r = spec.resourceAttributes;
  const n = spec.nonResourceAttributes;
  return {
    user,
    verb: (r ?? n)?.verb ?? "",
    resourceRequest: r !== undefined,
    namespace: r?.namespace ?? "",
    group: r?.group ?? "",
    version: r?.version ?? "*",
    resource: r?.resource ?? "",
    subresource: r?.subresource ?? "",
    name: r?.name ?? "",
    path: n?.path ?? "",
  };
}

function answer({ authorizer }: Services, asked: Attributes): object {
  const decision = authorizer.authorize(asked);
  return {
    allowed: decision.decision === "allow",
    ...(decision.decision === "deny" && { denied: true }),
    ...(decision.reason !== "" && { reason: decision.reason }),
  };
}

export const selfSubjectRulesReviews: VirtualResource = async (services, request, resource) => {
  const asked = await review(services, request, resource);
  const namespace: string = asked.spec?.namespace ?? "";
  if (namespace === "") throw badRequest("no namespace on request");
  const rules: PolicyRule[] = [];
  const errors: string[] = [];
  if (request.user!.groups.includes("system:masters"))
    rules.push({ verbs: ["*"], apiGroups: ["*"], resources: ["*"] }, { verbs: ["*"], nonResourceURLs: ["*"] });
  visitRules(services.cluster, request.user!, namespace, (rule, _because, error) => {
    if (rule !== undefined) rules.push(rule);
    if (error !== undefined) errors.push(error);
    return true;
  });
  return created(asked, {
    resourceRules: rules.filter(({ nonResourceURLs }) => (nonResourceURLs ?? []).length === 0),
    nonResourceRules: rules
      .filter(({ nonResourceURLs }) => (nonResourceURLs ?? []).length > 0)
      .map(({ verbs, nonResourceURLs }) => ({ verbs, nonResourceURLs })),
    incomplete: errors.length > 0,
    ...(errors.length > 0 && { evaluationError: errors.join(", ") }),
  });
};
