/** Attribute-based access control: a file with one policy a line. Upstream: pkg/auth/authorizer/abac. */
import type { UserInfo } from "../authn/user.ts";
import type { Attributes, Authorizer } from "./authorizer.ts";
import { ALLOW } from "./authorizer.ts";
import type { PolicyRule } from "./rbac.ts";

interface Policy {
  readonly user: string;
  readonly group: string;
  readonly readonly: boolean;
  readonly apiGroup: string;
  readonly resource: string;
  readonly namespace: string;
  readonly nonResourcePath: string;
}

const READS = ["get", "list", "watch"];
const AUTHENTICATED = "system:authenticated";

/** Throws where a line is no policy. */
export function parsePolicies(text: string, path: string): readonly Policy[] {
  const policies: Policy[] = [];
  text.split(/\r?\n/).forEach((line, i) => {
    const trimmed = line.trim();
    if (trimmed === "" || trimmed.startsWith("#")) return;
    const wrong = (why: string) => new Error(`error reading policy file ${path}, line ${i}: ${trimmed}: ${why}`);
    let value: any;
    try {
      value = JSON.parse(trimmed);
    } catch (error) {
      throw wrong(error instanceof Error ? error.message : String(error));
    }
    const { apiVersion, kind } = value;
    if (apiVersion === undefined && kind === undefined) policies.push(fromOldest(value));
    else if (kind !== "Policy" || !/^abac\.authorization\.kubernetes\.io\/v(0|1beta1)$/.test(apiVersion))
      throw wrong(`no kind "${kind}" is registered for version "${apiVersion}"`);
    else policies.push(apiVersion.endsWith("/v0") ? fromOldest(value) : policyOf(value.spec ?? {}));
  });
  return policies;
}

function policyOf(spec: any): Policy {
  const word = (key: string): string => (typeof spec[key] === "string" ? spec[key] : "");
  return {
    user: word("user"),
    group: word("group"),
    readonly: spec.readonly === true,
    apiGroup: word("apiGroup"),
    resource: word("resource"),
    namespace: word("namespace"),
    nonResourcePath: word("nonResourcePath"),
  };
}

/** In the first version of the format, an omitted property matches anything, and a user or group `*` matches every authenticated user. */
function fromOldest(value: any): Policy {
  const said = policyOf(value);
  const everybody = said.user === "*" || said.group === "*" || (said.user === "" && said.group === "");
  return {
    ...said,
    ...(everybody && { user: "", group: AUTHENTICATED }),
    apiGroup: "*",
    namespace: said.namespace || "*",
    resource: said.resource || "*",
    nonResourcePath: said.namespace === "" && said.resource === "" ? "*" : "",
  };
}

export function abacAuthorizer(policies: readonly Policy[]): Authorizer {
  return {
    authorize: (attributes) =>
      policies.some((policy) => allows(policy, attributes))
        ? ALLOW
        : { decision: "no opinion", reason: "No policy matched." },
    rulesFor: (user, namespace) => ({
      rules: policies.filter((policy) => isFor(policy, user)).flatMap((policy) => rulesOf(policy, namespace)),
      incomplete: false,
    }),
  };
}

function allows(policy: Policy, attributes: Attributes): boolean {
  if (!isFor(policy, attributes.user) || (policy.readonly && !READS.includes(attributes.verb))) return false;
  if (!attributes.resourceRequest) {
    const { nonResourcePath: path } = policy;
    return (
      path === "*" ||
      path === attributes.path ||
      (path.endsWith("*") && attributes.path.startsWith(path.replace(/\*+$/, "")))
    );
  }
  return (
    isAny(policy.namespace, attributes.namespace) &&
    isAny(policy.resource, attributes.resource) &&
    isAny(policy.apiGroup, attributes.group)
  );
}

const isAny = (said: string, value: string): boolean => said === "*" || said === value;

function isFor({ user, group }: Policy, { name, groups }: UserInfo): boolean {
  if (user === "" && group === "") return false;
  if (user !== "" && !isAny(user, name)) return false;
  return group === "" || group === "*" || groups.includes(group);
}

function rulesOf(policy: Policy, namespace: string): readonly PolicyRule[] {
  const verbs = policy.readonly ? READS : ["*"];
  const rules: PolicyRule[] = [];
  if (policy.resource !== "" && isAny(policy.namespace, namespace))
    rules.push({ verbs, apiGroups: [policy.apiGroup], resources: [policy.resource] });
  if (policy.nonResourcePath !== "") rules.push({ verbs, nonResourceURLs: [policy.nonResourcePath] });
  return rules;
}
