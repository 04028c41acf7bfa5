/**
 * Review resources, which are answered and never stored: TokenReview, the access reviews and SelfSubjectReview.
 * Upstream: pkg/registry/{authentication,authorization}.
 */
import type { Resource } from "../../../machinery/resource.ts";
import { parseFieldSelector } from "../../../machinery/selector/fields.ts";
import { parseLabelSelector, SelectorError } from "../../../machinery/selector/labels.ts";
import { formatTime } from "../../../machinery/meta/time.ts";
import { finished } from "../../../machinery/patch/apply/unfinished.ts";
import { badRequest } from "../../../machinery/status.ts";
import { INVALID, withAuthenticatedGroup } from "../../authn/authenticator.ts";
import type { UserInfo } from "../../authn/user.ts";
import type { Attributes } from "../../authz/authorizer.ts";
import { aggregate } from "../../authz/authorizer.ts";
import { writeContext } from "../../handlers/options.ts";
import type { ApiRequest, ApiResponse } from "../../request.ts";
import { object } from "../../request.ts";
import type { Services } from "../context.ts";
import { admissionRequest, placeIn } from "../create.ts";
import { decodeBody, expectedOf } from "../decode.ts";
import { recordUpdate } from "../managed-fields.ts";
import { hookContext } from "../context.ts";
import { invalidObject } from "../../../machinery/validation/field-error.ts";
import type { VirtualResource } from "./index.ts";

/** What is asked, after those who mutate and before those who validate: they are asked by `judge`, once the kind's own checks are over. */
interface Review {
  readonly asked: any;
  judge(): Promise<void>;
}

async function review(services: Services, request: ApiRequest, resource: Resource): Promise<Review> {
  const context = writeContext(services, request, "CreateOptions");
  const draft = decodeBody(await request.body(), expectedOf(resource), context.fieldValidation, context.warn);
  request.audit?.requestObject({ ...draft, status: emptyStatus(resource) });
  placeIn(resource, request.info.namespace, draft);
  const recorded = await finished(() => recordUpdate(context, resource, "", undefined, draft));
  const { namespace } = request.info;
  const name: string = recorded.metadata.name ?? "";
  const shown = { ...recorded, status: emptyStatus(resource) };
  const admission = admissionRequest(context, resource, "", "CREATE", namespace, name, shown, undefined);
  await services.admission.admit(admission);
  const errors = resource.behaviour.validate?.(admission.object, hookContext(context)) ?? [];
  // Upstream has lost the kind by then.
  if (errors.length > 0) throw invalidObject(resource.group, "", "", errors);
  return { asked: admission.object, judge: () => services.admission.validate(admission) };
}

/** As Go writes what isn't known yet. */
function emptyStatus({ kind }: Resource): object {
  if (kind === "TokenReview") return { user: {} };
  if (kind === "SelfSubjectReview") return { userInfo: {} };
  return kind === "SelfSubjectRulesReview"
    ? { resourceRules: null, nonResourceRules: null, incomplete: false }
    : { allowed: false };
}

const created = (review: any, status: object): ApiResponse => object(201, { ...review, status });

export const tokenReviews: VirtualResource = async (services, request, resource) => {
  const { asked, judge } = await review(services, request, resource);
  const { token, audiences = [] } = asked.spec ?? {};
  if (!token) throw badRequest("token is required for TokenReview in authentication");
  await judge();
  const result = await services.tokens.authenticateToken(token, audiences);
  if (result === "unknown") return created(asked, { user: {}, error: INVALID });
  if ("invalid" in result) return created(asked, { user: {}, error: aggregate([INVALID, result.invalid]) });
  const { name, uid, groups, extra } = withAuthenticatedGroup(result.user);
  return created(asked, {
    authenticated: true,
    user: { ...(name && { username: name }), ...(uid && { uid }), groups, ...(extra && { extra }) },
    ...(result.audiences !== undefined && { audiences: result.audiences }),
  });
};

export const selfSubjectReviews: VirtualResource = async (services, request, resource) => {
  const { asked, judge } = await review(services, request, resource);
  await judge();
  const { name, uid, groups, extra } = request.user!;
  const metadata = { ...asked.metadata, creationTimestamp: formatTime(services.clock.now()) };
  return created(
    { ...asked, metadata },
    { userInfo: { ...(name && { username: name }), ...(uid && { uid }), groups, ...(extra && { extra }) } },
  );
};

export const subjectAccessReviews: VirtualResource = async (services, request, resource) => {
  const { asked, judge } = await review(services, request, resource);
  await judge();
  return created(asked, await answer(services, asked.spec, userOf(asked.spec)));
};

export const localSubjectAccessReviews: VirtualResource = async (services, request, resource) => {
  const { asked, judge } = await review(services, request, resource);
  const { namespace } = request.info;
  if (asked.spec?.resourceAttributes?.namespace !== namespace)
    throw badRequest(`spec.resourceAttributes.namespace must match namespace: ${namespace}`);
  await judge();
  return created(asked, await answer(services, asked.spec, userOf(asked.spec)));
};

export const selfSubjectAccessReviews: VirtualResource = async (services, request, resource) => {
  const { asked, judge } = await review(services, request, resource);
  await judge();
  return created(asked, await answer(services, asked.spec, request.user!));
};

function userOf({ user, groups, uid, extra }: any): UserInfo {
  return { name: user ?? "", groups: groups ?? [], ...(uid && { uid }), ...(extra && { extra }) };
}

/** What a review asks, as the same question of a request would be put. Selectors that make no sense are left out: that asks for more, never less. */
function attributesOfReview(
  spec: any,
  user: UserInfo,
): { readonly asked: Attributes; readonly errors: readonly string[] } {
  const r = spec.resourceAttributes;
  const n = spec.nonResourceAttributes;
  const errors: string[] = [];
  const selector = (field: "fieldSelector" | "labelSelector"): string | undefined => {
    if (r?.[field] === undefined) return undefined;
    const { text, partly, failed } = selectorOfReview(r[field], field);
    if (failed) errors.push(`spec.resourceAttributes.${field} ${partly ? "partially " : ""}ignored due to parse error`);
    return text;
  };
  const fieldSelector = selector("fieldSelector");
  const labelSelector = selector("labelSelector");
  const asked = {
    user,
    verb: (r ?? n)?.verb ?? "",
    resourceRequest: r !== undefined,
    namespace: r?.namespace ?? "",
    group: r?.group ?? "",
    version: r?.version || "*",
    resource: r?.resource ?? "",
    subresource: r?.subresource ?? "",
    name: r?.name ?? "",
    path: n?.path ?? "",
    ...(fieldSelector !== undefined && { fieldSelector }),
    ...(labelSelector !== undefined && { labelSelector }),
  };
  return { asked, errors };
}

function selectorOfReview(
  { rawSelector, requirements }: { readonly rawSelector?: string; readonly requirements?: readonly any[] },
  kind: "fieldSelector" | "labelSelector",
): { readonly text?: string; readonly partly: boolean; readonly failed: boolean } {
  const parse = kind === "fieldSelector" ? parseFieldSelector : parseLabelSelector;
  const isGood = (text: string): boolean => {
    try {
      parse(text);
      return true;
    } catch (error) {
      if (error instanceof SelectorError) return false;
      throw error;
    }
  };
  if (rawSelector) return isGood(rawSelector) ? { text: rawSelector, partly: false, failed: false } : BAD_SELECTOR;
  const texts = (requirements ?? []).map((one) => (kind === "fieldSelector" ? fieldTerm(one) : labelTerm(one)));
  const good = texts.filter((text) => text !== undefined && isGood(text));
  const failed = good.length < texts.length;
  return { ...(good.length > 0 && { text: good.join(",") }), partly: good.length > 0, failed };
}
const BAD_SELECTOR = { partly: false, failed: true };

function fieldTerm({ key, operator, values = [] }: any): string | undefined {
  if (values.length !== 1 || (operator !== "In" && operator !== "NotIn")) return undefined;
  return `${key}${operator === "In" ? "=" : "!="}${String(values[0]).replaceAll(/[\\,=]/g, "\\$&")}`;
}

function labelTerm({ key, operator, values = [] }: any): string | undefined {
  switch (operator) {
    case "In":
    case "NotIn":
      return `${key} ${operator.toLowerCase()} (${values.join(",")})`;
    case "Exists":
      return key;
    case "DoesNotExist":
      return `!${key}`;
    default:
      return undefined;
  }
}

async function answer({ authorizer }: Services, spec: any, user: UserInfo): Promise<object> {
  const { asked, errors } = attributesOfReview(spec, user);
  const { decision, reason, error } = await authorizer.authorize(asked);
  const all = [...(error === undefined ? [] : [error]), ...errors];
  return {
    allowed: decision === "allow",
    ...(decision === "deny" && { denied: true }),
    ...(reason !== "" && { reason }),
    ...(all.length > 0 && { evaluationError: aggregate(all) }),
  };
}

export const selfSubjectRulesReviews: VirtualResource = async (services, request, resource) => {
  const { asked, judge } = await review(services, request, resource);
  const namespace: string = asked.spec?.namespace ?? "";
  if (namespace === "") throw badRequest("no namespace on request");
  await judge();
  const { rules, incomplete, error } = services.authorizer.rulesFor!(request.user!, namespace);
  return created(
    { ...asked, spec: {} },
    {
      resourceRules: rules.filter(({ resources }) => (resources ?? []).length > 0),
      nonResourceRules: rules
        .filter(({ nonResourceURLs }) => (nonResourceURLs ?? []).length > 0)
        .map(({ verbs, nonResourceURLs }) => ({ verbs, nonResourceURLs })),
      incomplete,
      ...(error !== undefined && { evaluationError: error }),
    },
  );
};
