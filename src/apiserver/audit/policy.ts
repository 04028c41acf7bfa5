/** Which requests are audited, how much of them and at which stages. Upstream: pkg/audit/policy, pkg/apis/audit/validation */
import type { Schema } from "../../machinery/schema/schema.ts";
import { invalid, notSupported, required } from "../../machinery/validation/field-error.ts";
import type { FieldError } from "../../machinery/validation/field-error.ts";
import { isDns1123Subdomain } from "../../machinery/validation/names.ts";
import type { UserInfo } from "../authn/user.ts";
import { decodeConfiguration, flag, listOf, objectSchema, text } from "../configuration-file.ts";
import type { RequestInfo } from "../request-info.ts";

export const LEVELS = ["None", "Metadata", "Request", "RequestResponse"] as const;
const STAGES = ["RequestReceived", "ResponseStarted", "ResponseComplete", "Panic"] as const;
export type Level = (typeof LEVELS)[number];
export type Stage = (typeof STAGES)[number];

export interface PolicyRule {
  readonly level: Level;
  readonly users?: readonly string[];
  readonly userGroups?: readonly string[];
  readonly verbs?: readonly string[];
  readonly resources?: readonly {
    readonly group?: string;
    readonly resources?: readonly string[];
    readonly resourceNames?: readonly string[];
  }[];
  readonly namespaces?: readonly string[];
  readonly nonResourceURLs?: readonly string[];
  readonly omitStages?: readonly Stage[];
  readonly omitManagedFields?: boolean;
}

export interface Policy {
  readonly rules: readonly PolicyRule[];
  readonly omitStages?: readonly Stage[];
  readonly omitManagedFields?: boolean;
}

/** What is done with one request. */
export interface Verdict {
  readonly level: Level;
  readonly omitStages: ReadonlySet<Stage>;
  readonly omitManagedFields: boolean;
}

/** Throws with upstream's words, to which the caller adds the file. `warn` is told of fields that nobody knows, which stop nothing. */
export function parsePolicy(text: string, warn: (what: string) => void = () => {}): Policy {
  const policy = decodePolicy(text, warn);
  const errors = checkPolicy(policy);
  if (errors.length > 0) {
    const words = errors.map(({ field, message }) => `${field}: ${message}`);
    throw new Error(words.length === 1 ? words[0]! : `[${words.join(", ")}]`);
  }
  if ((policy.rules ?? []).length === 0) throw new Error("loaded illegal policy with 0 rules");
  return policy;
}

function decodePolicy(text: string, warn: (what: string) => void): Policy {
  const schemaOf = (apiVersion: string, kind: string) =>
    apiVersion !== VERSION ? undefined : kind === "Policy" ? SCHEMA : EVENTS.includes(kind) ? EVENT : undefined;
  let decoded;
  try {
    decoded = decodeConfiguration<Policy>(text, schemaOf, {
      defaults: { apiVersion: VERSION, kind: "Policy" },
      lenient: true,
    });
  } catch (error) {
    throw new Error(`failed decoding: ${(error as Error).message}`, { cause: error });
  }
  const { object, apiVersion, kind, warnings } = decoded;
  if (kind !== "Policy")
    throw new Error(`failed decoding: converting (v1.${kind}) to (audit.Policy): unknown conversion`);
  if (apiVersion === "") throw new Error("unknown group version field audit.k8s.io/__internal, Kind=Policy in policy");
  if (warnings.length > 0)
    warn(
      `Audit policy contains errors, falling back to lenient decoding: strict decoding error: ${warnings.join(", ")}`,
    );
  return { ...object, rules: object.rules ?? [] };
}

const VERSION = "audit.k8s.io/v1";
/** What else its group has. */
const EVENTS: readonly string[] = ["Event", "EventList", "PolicyList"];
const EVENT: Schema = { type: "object", preserveUnknownFields: true };
const named = (name: string) => `io.k8s.apiserver.pkg.apis.audit.v1.${name}`;
const pointerFlag: Schema = { ...flag, pointer: true };
const stages = listOf({ ...text, goType: "v1.Stage" });
const SCHEMA: Schema = objectSchema(named("Policy"), [
  ["apiVersion", text],
  ["kind", text],
  ["metadata", { type: "object", omitEmpty: true, preserveUnknownFields: true }],
  [
    "rules",
    listOf(
      objectSchema(named("PolicyRule"), [
        ["level", { type: "string", goType: "v1.Level" }],
        ["users", listOf(text)],
        ["userGroups", listOf(text)],
        ["verbs", listOf(text)],
        [
          "resources",
          listOf(
            objectSchema(named("GroupResources"), [
              ["group", text],
              ["resources", listOf(text)],
              ["resourceNames", listOf(text)],
            ]),
          ),
        ],
        ["namespaces", listOf(text)],
        ["nonResourceURLs", listOf(text)],
        ["omitStages", stages],
        ["omitManagedFields", pointerFlag],
      ]),
    ),
  ],
  ["omitStages", stages],
  ["omitManagedFields", flag],
]);

function checkPolicy({ omitStages = [], rules = [] }: Policy): FieldError[] {
  return [...checkStages(omitStages, "omitStages"), ...rules.flatMap((rule, i) => checkRule(rule, `rules[${i}]`))];
}

function checkRule(rule: PolicyRule, path: string): FieldError[] {
  const { level, nonResourceURLs = [], resources = [], namespaces = [], omitStages = [] } = rule;
  const errors: FieldError[] = [];
  if (((level as string | undefined) ?? "") === "") errors.push(required(`${path}.level`, ""));
  else if (!LEVELS.includes(level)) errors.push(notSupported(`${path}.level`, level, LEVELS));
  nonResourceURLs.forEach((url, i) => {
    const at = `${path}.nonResourceURLs[${i}]`;
    if (url === "*") return;
    if (!url.startsWith("/")) errors.push(invalid(at, url, "non-resource URL rules must begin with a '/' character"));
    if (url.slice(0, -1).includes("*"))
      errors.push(invalid(at, url, "non-resource URL wildcards '*' must be the final character of the rule"));
  });
  for (const { group = "", resources: names = [], resourceNames = [] } of resources) {
    if (group !== "" && group !== "*") {
      const wrong = isDns1123Subdomain(group);
      if (wrong.length > 0) errors.push(invalid(`${path}.resources.group`, group, wrong.join(",")));
    }
    if (resourceNames.length > 0 && names.length === 0)
      errors.push(
        invalid(`${path}.resources.resourceNames`, resourceNames, "using resourceNames requires at least one resource"),
      );
  }
  errors.push(...checkStages(omitStages, `${path}.omitStages`));
  if (nonResourceURLs.length > 0 && (resources.length > 0 || namespaces.length > 0))
    errors.push(
      invalid(
        `${path}.nonResourceURLs`,
        nonResourceURLs,
        "rules cannot apply to both regular resources and non-resource URLs",
      ),
    );
  return errors;
}

const checkStages = (stages: readonly Stage[], path: string): FieldError[] =>
  stages.flatMap((stage, i) =>
    STAGES.includes(stage) ? [] : [invalid(`${path}[${i}]`, stage, `allowed stages are ${STAGES.join(",")}`)],
  );

/** The first rule that matches decides; none means no audit. */
export function evaluator(policy: Policy): (info: RequestInfo, user: UserInfo | undefined) => Verdict {
  const verdicts = policy.rules.map((rule) => ({
    rule,
    verdict: {
      level: rule.level,
      omitStages: new Set([...(policy.omitStages ?? []), ...(rule.omitStages ?? [])]),
      omitManagedFields: rule.omitManagedFields ?? policy.omitManagedFields ?? false,
    },
  }));
  const none: Verdict = {
    level: "None",
    omitStages: new Set(policy.omitStages),
    omitManagedFields: policy.omitManagedFields ?? false,
  };
  return (info, user) => verdicts.find(({ rule }) => matches(rule, info, user))?.verdict ?? none;
}

function matches(rule: PolicyRule, info: RequestInfo, user: UserInfo | undefined): boolean {
  const { users = [], userGroups = [], verbs = [], namespaces = [], resources = [], nonResourceURLs = [] } = rule;
  if (users.length > 0 && (user === undefined || !users.includes(user.name))) return false;
  if (userGroups.length > 0 && !(user?.groups ?? []).some((group) => userGroups.includes(group))) return false;
  if (verbs.length > 0 && !verbs.includes(info.verb)) return false;
  if (namespaces.length > 0 || resources.length > 0) return matchesResource(rule, info);
  if (nonResourceURLs.length === 0) return true;
  return !info.isResourceRequest && nonResourceURLs.some((url) => matchesPath(info.path, url));
}

function matchesPath(path: string, url: string): boolean {
  if (url === "*" || url === path) return true;
  return url.endsWith("*") && path.startsWith(url.replace(/\*+$/, ""));
}

function matchesResource({ namespaces = [], resources = [] }: PolicyRule, info: RequestInfo): boolean {
  if (!info.isResourceRequest) return false;
  if (namespaces.length > 0 && !namespaces.includes(info.namespace)) return false;
  if (resources.length === 0) return true;
  const { resource, subresource } = info;
  const whole = subresource === "" ? resource : `${resource}/${subresource}`;
  return resources.some(({ group = "", resources: names = [], resourceNames = [] }) => {
    if (group !== "*" && group !== info.apiGroup) return false;
    if (names.length === 0) return true;
    if (resourceNames.length > 0 && !resourceNames.includes(info.name)) return false;
    return names.some(
      (name) =>
        name === whole ||
        name === "*" ||
        (subresource !== "" && name === `*/${subresource}`) ||
        name === `${resource}/*`,
    );
  });
}
