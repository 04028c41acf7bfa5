/** Attribute-based access control: a file with one policy a line. Upstream: pkg/auth/authorizer/abac. */
import { decodeText, notRegistered, versionAndKind } from "../../machinery/codec/configuration.ts";
import type { Schema } from "../../machinery/schema/schema.ts";
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

const text: Schema = { type: "string", omitEmpty: true };
const flag: Schema = { type: "boolean", omitEmpty: true };
const struct = (name: string, fields: Readonly<Record<string, Schema>>): Schema => ({
  type: "object",
  name,
  properties: new Map(Object.entries(fields)),
});
const HEAD = { kind: text, apiVersion: text };
const OLDEST = struct("v0.Policy", {
  ...HEAD,
  user: text,
  group: text,
  readonly: flag,
  resource: text,
  namespace: text,
});
const BETA = struct("v1beta1.Policy", {
  ...HEAD,
  spec: struct("v1beta1.PolicySpec", {
    user: text,
    group: text,
    readonly: flag,
    apiGroup: text,
    resource: text,
    namespace: text,
    nonResourcePath: text,
  }),
});
const GROUP = "abac.authorization.kubernetes.io";

/** Throws where a line is no policy. */
export function parsePolicies(file: string, path: string): readonly Policy[] {
  return file.split(/\r?\n/).flatMap((line, i) => {
    const trimmed = line.trim();
    if (trimmed === "" || trimmed.startsWith("#")) return [];
    try {
      return [parsePolicy(line)];
    } catch (error) {
      throw new Error(`error reading policy file ${path}, line ${i + 1}: ${line}: ${(error as Error).message}`, {
        cause: error,
      });
    }
  });
}

function parsePolicy(line: string): Policy {
  const head = versionAndKind(line);
  const { apiVersion, kind } = head;
  const isBeta = apiVersion === `${GROUP}/v1beta1`;
  if (kind === "Policy" && isBeta) return policyOf((decodeText(line, BETA, "Ignore") as any).spec ?? {});
  if (kind === "" && isBeta) throw new Error("converting (v1beta1.Policy) to (v0.Policy): unknown conversion");
  if ((kind === "" || kind === "Policy") && (apiVersion === "" || apiVersion === `${GROUP}/v0`))
    return fromOldest(decodeText(line.trim() === "null" ? "{}" : line, OLDEST, "Ignore"));
  throw notRegistered(head);
}

function policyOf(spec: any): Policy {
  return {
    user: "",
    group: "",
    readonly: false,
    apiGroup: "",
    resource: "",
    namespace: "",
    nonResourcePath: "",
    ...spec,
  };
}

/** In the first version of the format, an omitted property matches anything, and a user or group `*` matches every authenticated user. */
function fromOldest(value: any): Policy {
  const { apiVersion: _, kind: __, ...rest } = value;
  const said = policyOf(rest);
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
