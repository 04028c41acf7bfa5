/** Which flow schema a request matches. Upstream: pkg/util/flowcontrol/rule.go */
import type { FlowSchema } from "../../api/generated/flowcontrol.v1.ts";
import type { UserInfo } from "../authn/user.ts";
import { splitServiceAccountUser } from "../authn/user.ts";
import type { RequestInfo } from "../request-info.ts";

export type Matcher = (info: RequestInfo, user: UserInfo) => boolean;

type Rule = NonNullable<NonNullable<FlowSchema["spec"]>["rules"]>[number];

/** Compiled once, asked for each request. */
export function matcherOf(schema: FlowSchema): Matcher {
  const rules = (schema.spec?.rules ?? []).map(ruleMatcher);
  return (info, user) => rules.some((matches) => matches(info, user));
}

function ruleMatcher(rule: Rule): Matcher {
  const subjects = (rule.subjects ?? []).map(subjectMatcher);
  const resources = (rule.resourceRules ?? []).map((one) => {
    const verbs = wordMatcher(one.verbs);
    const groups = wordMatcher(one.apiGroups);
    const names = wordMatcher(one.resources);
    const namespaces = wordMatcher(one.namespaces);
    const clusterScope = one.clusterScope === true;
    return (info: RequestInfo) =>
      verbs(info.verb) &&
      groups(info.apiGroup) &&
      names(info.subresource === "" ? info.resource : `${info.resource}/${info.subresource}`) &&
      (info.namespace === "" ? clusterScope : namespaces(info.namespace));
  });
  const paths = (rule.nonResourceRules ?? []).map((one) => {
    const verbs = wordMatcher(one.verbs);
    const urls = (one.nonResourceURLs ?? []).map(urlMatcher);
    return (info: RequestInfo) => verbs(info.verb) && urls.some((matches) => matches(info.path));
  });
  return (info, user) =>
    subjects.some((matches) => matches(user)) &&
    (info.isResourceRequest ? resources : paths).some((matches) => matches(info));
}

function subjectMatcher({ kind, user, group, serviceAccount }: Rule["subjects"][number]): (user: UserInfo) => boolean {
  switch (kind) {
    case "User":
      return ({ name }) => user?.name === "*" || user?.name === name;
    case "Group":
      return ({ groups }) => group?.name === "*" || groups.includes(group?.name ?? "");
    case "ServiceAccount":
      return ({ name }) => {
        const account = splitServiceAccountUser(name);
        if (account === undefined || account.namespace !== serviceAccount?.namespace) return false;
        return serviceAccount.name === "*" || serviceAccount.name === account.name;
      };
    default:
      return () => false;
  }
}

function wordMatcher(words: readonly string[] | undefined): (word: string) => boolean {
  if (words === undefined || words.length === 0) return () => false;
  if (words.length === 1) {
    const [only] = words;
    return only === "*" ? () => true : (word) => word === only;
  }
  const all = new Set(words);
  return (word) => all.has(word);
}

function urlMatcher(rule: string): (path: string) => boolean {
  if (rule === "*") return () => true;
  const prefix = rule.endsWith("*") ? rule.slice(0, -1) : rule;
  const folder = prefix.endsWith("/") ? prefix : `${prefix}/`;
  return (path) => path === rule || path.startsWith(folder);
}
