/** May this user do this? Authorizers are asked in order; the first that has an opinion decides. */
import type { UserInfo } from "../authn/user.ts";
import type { RequestInfo } from "../request-info.ts";

export interface Attributes {
  readonly user: UserInfo;
  readonly verb: string;
  readonly resourceRequest: boolean;
  readonly namespace: string;
  readonly group: string;
  readonly version: string;
  readonly resource: string;
  readonly subresource: string;
  readonly name: string;
  readonly path: string;
  readonly fieldSelector?: string;
  readonly labelSelector?: string;
}

export type Decision =
  | { readonly decision: "allow"; readonly reason: string }
  | { readonly decision: "deny"; readonly reason: string }
  | { readonly decision: "no opinion"; readonly reason: string; readonly evaluationError?: string };

export interface Authorizer {
  authorize(attributes: Attributes): Decision;
}

export function attributesOf(user: UserInfo, info: RequestInfo): Attributes {
  return {
    user,
    verb: info.verb,
    resourceRequest: info.isResourceRequest,
    namespace: info.namespace,
    group: info.apiGroup,
    version: info.apiVersion,
    resource: info.resource,
    subresource: info.subresource,
    name: info.name,
    path: info.path,
    fieldSelector: info.fieldSelector,
    labelSelector: info.labelSelector,
  };
}

/** Asks each in turn; the reasons of those without opinion are joined. */
export function union(authorizers: readonly Authorizer[]): Authorizer {
  return {
    authorize(attributes) {
      const reasons: string[] = [];
      for (const authorizer of authorizers) {
        const answer = authorizer.authorize(attributes);
        if (answer.decision !== "no opinion") return answer;
        if (answer.reason !== "") reasons.push(answer.reason);
      }
      return { decision: "no opinion", reason: reasons.join("\n") };
    },
  };
}

export const systemMasters: Authorizer = {
  authorize: ({ user }) =>
    user.groups.includes("system:masters") ? { decision: "allow", reason: "" } : { decision: "no opinion", reason: "" },
};

export const alwaysAllow: Authorizer = { authorize: () => ({ decision: "allow", reason: "" }) };
export const alwaysDeny: Authorizer = {
  authorize: () => ({ decision: "no opinion", reason: "Everything is forbidden." }),
};

/** Probes work before any policy is loaded. */
export const alwaysAllowedPaths: Authorizer = {
  authorize: ({ resourceRequest, path }) =>
    !resourceRequest && ["/healthz", "/readyz", "/livez"].includes(path)
      ? { decision: "allow", reason: "" }
      : { decision: "no opinion", reason: "" },
};

/** The words of a refusal, without what it is about. */
export function refusal(attributes: Attributes): string {
  const user = JSON.stringify(attributes.user.name);
  if (!attributes.resourceRequest)
    return escapeHtml(`User ${user} cannot ${attributes.verb} path ${JSON.stringify(attributes.path)}`);
  const resource =
    attributes.subresource === "" ? attributes.resource : `${attributes.resource}/${attributes.subresource}`;
  const scope =
    attributes.namespace === "" ? "at the cluster scope" : `in the namespace ${JSON.stringify(attributes.namespace)}`;
  return escapeHtml(
    `User ${user} cannot ${attributes.verb} resource ${JSON.stringify(resource)} in API group ${JSON.stringify(attributes.group)} ${scope}`,
  );
}

const escapeHtml = (words: string): string =>
  words.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
