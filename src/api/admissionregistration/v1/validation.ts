/** Upstream: pkg/apis/admissionregistration/validation/validation.go */
import {
  checkOptionalWord,
  checkRequiredText,
  checkText,
  validateLabelSelector,
} from "../../../machinery/validation/checks.ts";
import {
  type FieldError,
  duplicate,
  invalid,
  notSupported,
  required,
} from "../../../machinery/validation/field-error.ts";
import { isDns1035Label, isDns1123Subdomain, isPortNumber } from "../../../machinery/validation/names.ts";
import { semanticEqual } from "../../semantic-equal.ts";
import { validateMatchConditions } from "../match-conditions.ts";
import type {
  MatchCondition,
  MutatingWebhook,
  RuleWithOperations,
  ServiceReference,
  ValidatingWebhook,
  WebhookClientConfig,
} from "../../generated/admissionregistration.v1.ts";
import { parseGoUrl } from "../../../machinery/validation/go-url.ts";

type Webhook = ValidatingWebhook & Pick<MutatingWebhook, "reinvocationPolicy">;

interface Webhooks {
  readonly webhooks?: readonly Webhook[];
}

export function validateWebhooks({ webhooks }: Webhooks): FieldError[] {
  return validateAll(webhooks, NO_LENIENCY, (conditions, path) =>
    validateMatchConditions(conditions, path, { authorizer: true }, new Set()),
  );
}

/** Conditions are looked at where one of them has changed; those that were there may use what is too new for others. */
export function validateWebhooksUpdate({ webhooks }: Webhooks, old: Webhooks): FieldError[] {
  const of = (all: readonly Webhook[] | undefined) => (all ?? []).map(({ matchConditions }) => matchConditions ?? []);
  const leniency = leniencyFor(old.webhooks);
  if (semanticEqual(of(webhooks), of(old.webhooks))) return validateAll(webhooks, leniency, () => []);
  const stored = new Set(of(old.webhooks).flatMap((conditions) => conditions.map(({ expression }) => expression)));
  return validateAll(webhooks, leniency, (conditions, path) =>
    validateMatchConditions(conditions, path, { authorizer: true }, stored),
  );
}

/** What an object that breaks a rule already may go on breaking. */
interface Leniency {
  readonly sideEffects: boolean;
  readonly reviewVersions: boolean;
  readonly names: boolean;
  readonly selectors: boolean;
}

const NO_LENIENCY: Leniency = { sideEffects: false, reviewVersions: false, names: false, selectors: false };

function leniencyFor(old: readonly Webhook[] = []): Leniency {
  const selectors = old.flatMap(({ namespaceSelector, objectSelector }) => [namespaceSelector, objectSelector]);
  return {
    sideEffects: old.some(({ sideEffects }) => sideEffects !== "None" && sideEffects !== "NoneOnDryRun"),
    reviewVersions: old.some(
      ({ admissionReviewVersions: versions = [] }) => versions.length > 0 && !versions.some(isKnownVersion),
    ),
    names: new Set(old.map(({ name }) => name)).size !== old.length,
    selectors: selectors.some((selector) => {
      const strict = validateLabelSelector(selector, "").length;
      return strict > validateLabelSelector(selector, "", { allowInvalidValues: true }).length;
    }),
  };
}

const isKnownVersion = (version: string): boolean => version === "v1" || version === "v1beta1";

function validateAll(
  webhooks: readonly Webhook[] | undefined,
  leniency: Leniency,
  conditions: (conditions: readonly MatchCondition[], path: string) => readonly FieldError[],
): FieldError[] {
  const names = new Set<string>();
  return (webhooks ?? []).flatMap((webhook, i) => {
    const path = `webhooks[${i}]`;
    const errors = validateWebhook(webhook, path, leniency);
    errors.push(...conditions(webhook.matchConditions ?? [], `${path}.matchConditions`));
    const versions = webhook.admissionReviewVersions ?? [];
    errors.push(...validateReviewVersions(versions, `${path}.admissionReviewVersions`, leniency.reviewVersions));
    // Without a name it has been told already.
    if (!leniency.names && webhook.name && names.has(webhook.name))
      errors.push(duplicate(`${path}.name`, webhook.name));
    names.add(webhook.name);
    return errors;
  });
}

function validateWebhook(webhook: Webhook, path: string, leniency: Leniency): FieldError[] {
  const errors = validateFullyQualifiedName(webhook.name, `${path}.name`);
  for (const [i, rule] of (webhook.rules ?? []).entries()) errors.push(...validateRule(rule, `${path}.rules[${i}]`));
  errors.push(
    ...checkOptionalWord(webhook.failurePolicy, `${path}.failurePolicy`, ["Fail", "Ignore"]),
    ...checkOptionalWord(webhook.matchPolicy, `${path}.matchPolicy`, ["Equivalent", "Exact"]),
  );
  const sideEffects = leniency.sideEffects ? ["None", "NoneOnDryRun", "Some", "Unknown"] : ["None", "NoneOnDryRun"];
  if (webhook.sideEffects === undefined)
    errors.push(required(`${path}.sideEffects`, `must specify one of ${sideEffects.join(", ")}`));
  else if (!sideEffects.includes(webhook.sideEffects))
    errors.push(notSupported(`${path}.sideEffects`, webhook.sideEffects, sideEffects));
  const timeout = webhook.timeoutSeconds;
  if (timeout !== undefined && (timeout < 1 || timeout > 30))
    errors.push(invalid(`${path}.timeoutSeconds`, timeout, "the timeout value must be between 1 and 30 seconds"));
  const values = { allowInvalidValues: leniency.selectors };
  errors.push(
    ...validateLabelSelector(webhook.namespaceSelector, `${path}.namespaceSelector`, values),
    ...validateLabelSelector(webhook.objectSelector, `${path}.objectSelector`, values),
    ...checkOptionalWord(webhook.reinvocationPolicy, `${path}.reinvocationPolicy`, ["IfNeeded", "Never"]),
    ...validateClientConfig(webhook.clientConfig, `${path}.clientConfig`),
  );
  return errors;
}

function validateFullyQualifiedName(name: string, path: string): FieldError[] {
  const errors = checkRequiredText(name, path, isDns1123Subdomain);
  if (errors.length > 0) return errors;
  return name.split(".").length < 3
    ? [invalid(path, name, "should be a domain with at least three segments separated by dots")]
    : [];
}

function validateReviewVersions(versions: readonly string[], path: string, anyVersion: boolean): FieldError[] {
  if (versions.length === 0) return [required(path, "must specify one of v1, v1beta1")];
  const errors: FieldError[] = [];
  for (const [i, version] of versions.entries()) {
    if (versions.indexOf(version) < i) {
      errors.push(invalid(`${path}[${i}]`, version, "duplicate version"));
      continue;
    }
    errors.push(...checkText(version, `${path}[${i}]`, isDns1035Label));
  }
  if (!anyVersion && !versions.some(isKnownVersion))
    errors.push(invalid(path, versions, "must include at least one of v1, v1beta1"));
  return errors;
}

export function validateClientConfig(config: WebhookClientConfig | undefined, path: string): FieldError[] {
  const { url, service } = config ?? {};
  if ((url === undefined) === (service === undefined))
    return [required(path, "exactly one of url or service is required")];
  return url === undefined ? validateService(service!, `${path}.service`) : validateUrl(url, `${path}.url`);
}

const WANTED = "desired format: https://host[/path]";

function validateUrl(text: string, path: string): FieldError[] {
  const url = parseGoUrl(text);
  if (typeof url === "string") return [required(path, `url must be a valid URL: ${url}; ${WANTED}`)];
  const errors: FieldError[] = [];
  const { scheme, host, user, fragment, query } = url;
  if (scheme !== "https") errors.push(invalid(path, scheme, `'https' is the only allowed URL scheme; ${WANTED}`));
  if (host === "") errors.push(invalid(path, "", `host must be specified; ${WANTED}`));
  if (user !== undefined) errors.push(invalid(path, user, "user information is not permitted in the URL"));
  if (fragment !== "") errors.push(invalid(path, fragment, "fragments are not permitted in the URL"));
  if (query !== "") errors.push(invalid(path, query, "query parameters are not permitted in the URL"));
  return errors;
}

function validateService({ name, namespace, path: text, port }: ServiceReference, path: string): FieldError[] {
  const errors: FieldError[] = [];
  // The two paths are swapped upstream.
  if (!namespace) errors.push(required(`${path}.name`));
  if (!name) errors.push(required(`${path}.namespace`));
  for (const message of isPortNumber(port ?? 0))
    errors.push(invalid(`${path}.port`, port ?? 0, `port is not valid: ${message}`));
  if (text === undefined || text === "/" || text === "") return errors;
  if (text === "//") return [...errors, invalid(`${path}.path`, text, "segment[0] may not be empty")];
  if (!text.startsWith("/")) errors.push(invalid(`${path}.path`, text, "must start with a '/'"));
  // Go leaves out a byte.
  const segments = Buffer.from(text).subarray(1).toString().replace(/\/$/, "").split("/");
  for (const [i, segment] of segments.entries()) {
    if (segment === "") errors.push(invalid(`${path}.path`, text, `segment[${i}] may not be empty`));
    else
      for (const message of isDns1123Subdomain(segment))
        errors.push(invalid(`${path}.path`, text, `segment[${i}]: ${message}`));
  }
  return errors;
}

const OPERATIONS: readonly string[] = ["*", "CONNECT", "CREATE", "DELETE", "UPDATE"];

export function validateRule(rule: RuleWithOperations, path: string): FieldError[] {
  const { operations = [], apiGroups = [], apiVersions = [], resources = [], scope } = rule;
  const errors: FieldError[] = [];
  if (operations.length === 0) errors.push(required(`${path}.operations`));
  if (operations.length > 1 && operations.includes("*"))
    errors.push(invalid(`${path}.operations`, operations, "if '*' is present, must not specify other operations"));
  for (const [i, operation] of operations.entries())
    if (!OPERATIONS.includes(operation)) errors.push(notSupported(`${path}.operations[${i}]`, operation, OPERATIONS));
  if (apiGroups.length === 0) errors.push(required(`${path}.apiGroups`));
  if (apiGroups.length > 1 && apiGroups.includes("*"))
    errors.push(invalid(`${path}.apiGroups`, apiGroups, "if '*' is present, must not specify other API groups"));
  if (apiVersions.length === 0) errors.push(required(`${path}.apiVersions`));
  if (apiVersions.length > 1 && apiVersions.includes("*"))
    errors.push(invalid(`${path}.apiVersions`, apiVersions, "if '*' is present, must not specify other API versions"));
  for (const [i, version] of apiVersions.entries())
    if (version === "") errors.push(required(`${path}.apiVersions[${i}]`));
  errors.push(...validateResources(resources, `${path}.resources`));
  return [...errors, ...checkOptionalWord(scope, `${path}.scope`, ["*", "Cluster", "Namespaced"])];
}

function validateResources(resources: readonly string[], path: string): FieldError[] {
  if (resources.length === 0) return [required(path)];
  const errors: FieldError[] = [];
  const allSubresourcesOf = new Set<string>();
  const subresourceOfAll = new Set<string>();
  let plain = false;
  for (const [i, text] of resources.entries()) {
    if (text === "") {
      errors.push(required(`${path}[${i}]`));
      continue;
    }
    const [name = "", sub] = text.split("/");
    if (sub === undefined) {
      // The last one decides.
      plain = name !== "*";
      continue;
    }
    if (allSubresourcesOf.has(name))
      errors.push(invalid(`${path}[${i}]`, text, `if '${name}/*' is present, must not specify ${text}`));
    if (subresourceOfAll.has(sub))
      errors.push(invalid(`${path}[${i}]`, text, `if '*/${sub}' is present, must not specify ${text}`));
    if (sub === "*") allSubresourcesOf.add(name);
    if (name === "*") subresourceOfAll.add(sub);
  }
  if (resources.length > 1 && resources.includes("*/*"))
    errors.push(invalid(path, resources, "if '*/*' is present, must not specify other resources"));
  if (resources.includes("*") && plain)
    errors.push(invalid(path, resources, "if '*' is present, must not specify other resources without subresources"));
  return errors;
}
