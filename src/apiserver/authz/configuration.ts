/** AuthorizationConfiguration: decoding, validation, and compilation of its match conditions. Upstream: pkg/apis/apiserver/validation */
import { parseDuration } from "../../machinery/meta/time.ts";
import type { FieldError } from "../../machinery/validation/field-error.ts";
import { duplicate, invalid, notSupported, required, tooMany } from "../../machinery/validation/field-error.ts";
import { isDns1123Subdomain } from "../../machinery/validation/names.ts";
import type { ExpressionCompiler } from "../expressions.ts";
import { aggregate } from "./authorizer.ts";
import type { ReviewSpec } from "./review-spec.ts";

export interface AuthorizationConfiguration {
  readonly authorizers?: readonly AuthorizerConfiguration[];
}

export interface AuthorizerConfiguration {
  readonly type: string;
  readonly name: string;
  readonly webhook?: WebhookConfiguration;
}

export interface WebhookConfiguration {
  readonly timeout?: string;
  readonly authorizedTTL?: string;
  readonly unauthorizedTTL?: string;
  readonly cacheAuthorizedRequests?: boolean;
  readonly cacheUnauthorizedRequests?: boolean;
  readonly subjectAccessReviewVersion?: string;
  readonly matchConditionSubjectAccessReviewVersion?: string;
  readonly failurePolicy?: string;
  readonly connectionInfo?: { readonly type?: string; readonly kubeConfigFile?: string };
  readonly matchConditions?: readonly { readonly expression?: string }[];
}

const KNOWN = ["ABAC", "AlwaysAllow", "AlwaysDeny", "Node", "RBAC", "Webhook"];
const CONDITIONS_MAX = 64;

/** With what upstream takes for what isn't said. */
export function withDefaults({ authorizers = [] }: AuthorizationConfiguration): AuthorizationConfiguration {
  return {
    authorizers: authorizers.map((one) =>
      one.webhook === undefined
        ? one
        : {
            ...one,
            webhook: {
              ...one.webhook,
              authorizedTTL: orElse(one.webhook.authorizedTTL, "5m0s"),
              unauthorizedTTL: orElse(one.webhook.unauthorizedTTL, "30s"),
            },
          },
    ),
  };
}

const orElse = (text: string | undefined, instead: string): string | undefined =>
  durationMs(text) === 0 ? instead : text;

/** What is wrong with the file of this name; undefined where it is a good one, or nobody looks. */
export type FileCheck = (path: string) => string | undefined;

export function validateAuthorization(
  { authorizers = [] }: AuthorizationConfiguration,
  compiler: ExpressionCompiler,
  fileError: FileCheck = () => undefined,
): readonly FieldError[] {
  const errors: FieldError[] = [];
  if (authorizers.length === 0) errors.push(required("authorizers", "at least one authorization mode must be defined"));
  const types = new Set<string>();
  const names = new Set<string>();
  authorizers.forEach(({ type = "", name = "", webhook }, i) => {
    const path = `authorizers[${i}]`;
    if (type === "") return void errors.push(required(`${path}.type`));
    if (!KNOWN.includes(type)) return void errors.push(notSupported(`${path}.type`, type, KNOWN));
    if (types.has(type) && type !== "Webhook") return void errors.push(duplicate(`${path}.type`, type));
    types.add(type);
    const wrong = isDns1123Subdomain(name);
    if (name === "") errors.push(required(`${path}.name`));
    else if (names.has(name)) errors.push(duplicate(`${path}.name`, name));
    else if (wrong.length > 0)
      errors.push(invalid(`${path}.name`, name, `authorizer name is invalid: ${wrong.join(", ")}`));
    names.add(name);
    if (type === "Webhook") {
      if (webhook === undefined) errors.push(required(`${path}.webhook`, "required when type=Webhook"));
      else checkWebhook(webhook, path, compiler, fileError, errors);
    } else if (webhook !== undefined)
      errors.push(invalid(`${path}.webhook`, "non-null", "may only be specified when type=Webhook"));
    return undefined;
  });
  return errors;
}

/** Authorizers other than webhooks are called as their type is. */
export function checkNames({ authorizers = [] }: AuthorizationConfiguration): readonly string[] {
  return authorizers
    .filter(({ type, name }) => type !== "Webhook" && name !== type.toLowerCase())
    .map(({ type, name }) => `expected name ${type.toLowerCase()} for authorizer ${type} instead of ${name}`);
}

/** Upstream's paths leave out `webhook`. */
function checkWebhook(
  webhook: WebhookConfiguration,
  path: string,
  compiler: ExpressionCompiler,
  fileError: FileCheck,
  errors: FieldError[],
) {
  checkDuration(webhook.timeout, `${path}.timeout`, "must be > 0s and <= 30s", 30_000, errors);
  checkDuration(webhook.authorizedTTL, `${path}.authorizedTTL`, "must be > 0s", Infinity, errors);
  checkDuration(webhook.unauthorizedTTL, `${path}.unauthorizedTTL`, "must be > 0s", Infinity, errors);
  checkWord(webhook.subjectAccessReviewVersion, `${path}.subjectAccessReviewVersion`, ["v1", "v1beta1"], errors);
  const { matchConditionSubjectAccessReviewVersion: version = "", matchConditions = [] } = webhook;
  const versionPath = `${path}.matchConditionSubjectAccessReviewVersion`;
  if (version === "") {
    if (matchConditions.length > 0) errors.push(required(versionPath, "required if match conditions are specified"));
  } else if (version !== "v1") errors.push(notSupported(versionPath, version, ["v1"]));
  checkWord(webhook.failurePolicy, `${path}.failurePolicy`, ["NoOpinion", "Deny"], errors);
  const { type = "", kubeConfigFile } = webhook.connectionInfo ?? {};
  const filePath = `${path}.connectionInfo.kubeConfigFile`;
  if (type === "") errors.push(required(`${path}.connectionInfo.type`));
  else if (type === "InClusterConfig") {
    if (kubeConfigFile !== undefined)
      errors.push(invalid(filePath, kubeConfigFile, "can only be set when type=KubeConfigFile"));
  } else if (type === "KubeConfigFile") {
    if (!kubeConfigFile) errors.push(required(filePath));
    else if (!kubeConfigFile.startsWith("/"))
      errors.push(invalid(filePath, kubeConfigFile, "must be an absolute path"));
    else {
      const wrong = fileError(kubeConfigFile);
      if (wrong !== undefined) errors.push(invalid(filePath, kubeConfigFile, wrong));
    }
  } else {
    const shown = { Type: type, KubeConfigFile: kubeConfigFile ?? null };
    errors.push(notSupported(`${path}.connectionInfo.type`, shown, ["InClusterConfig", "KubeConfigFile"]));
  }
  compileConditions(webhook, path, compiler, errors);
}

function checkDuration(text: string | undefined, path: string, words: string, maxMs: number, errors: FieldError[]) {
  const ms = durationMs(text);
  if (ms === 0) errors.push(required(path));
  else if (Number.isNaN(ms) || ms < 0 || ms > maxMs) errors.push(invalid(path, text, words));
}

/** 0 where nothing is said, NaN where it is no duration. */
export function durationMs(text: string | undefined): number {
  if (text === undefined || text === "") return 0;
  try {
    return parseDuration(text) / 1_000_000;
  } catch {
    return NaN;
  }
}

function checkWord(word: string | undefined, path: string, known: readonly string[], errors: FieldError[]): void {
  if (word === undefined || word === "") errors.push(required(path));
  else if (!known.includes(word)) errors.push(notSupported(path, word, known));
}

/** Whether a webhook is to be asked; undefined where it always is. An error counts only where no condition says no. */
export function compileConditions(
  { matchConditions = [] }: WebhookConfiguration,
  path: string,
  compiler: ExpressionCompiler,
  errors: FieldError[],
): ((spec: ReviewSpec) => boolean | { readonly error: string }) | undefined {
  if (matchConditions.length > CONDITIONS_MAX) {
    errors.push(tooMany(`${path}.matchConditions`, matchConditions.length, CONDITIONS_MAX));
    return undefined;
  }
  const seen = new Set<string>();
  const conditions = matchConditions.flatMap(({ expression = "" }, i) => {
    const at = `${path}.matchConditions[${i}].expression`;
    if (expression.trim() === "") errors.push(required(at));
    else if (seen.has(expression)) errors.push(duplicate(at, expression));
    else {
      seen.add(expression);
      const compiled = compiler.review(expression);
      if (!("error" in compiled)) return [{ expression, ...compiled }];
      errors.push(invalid(at, expression, compiled.error));
    }
    return [];
  });
  if (conditions.length === 0) return undefined;
  const fields = conditions.some(({ selects }) => selects("fieldSelector"));
  const labels = conditions.some(({ selects }) => selects("labelSelector"));
  return (spec) => {
    const request = asInput(spec, fields, labels);
    const failures: string[] = [];
    for (const { expression, evaluate } of conditions) {
      try {
        if (evaluate(request) !== true) return false;
      } catch (error) {
        const words = error instanceof Error ? error.message : String(error);
        failures.push(`cel evaluation error: expression '${expression}' resulted in error: ${words}`);
      }
    }
    return failures.length === 0 ? true : { error: aggregate(failures) };
  };
}

/** Every field is there, also those that are empty; selectors where an expression looks at them. */
function asInput(spec: ReviewSpec, withFields: boolean, withLabels: boolean): object {
  const { resourceAttributes: asked, nonResourceAttributes: path } = spec;
  return {
    user: spec.user ?? "",
    groups: spec.groups ?? [],
    uid: spec.uid ?? "",
    extra: spec.extra ?? {},
    ...(asked && {
      resourceAttributes: {
        namespace: asked.namespace ?? "",
        verb: asked.verb ?? "",
        group: asked.group ?? "",
        version: asked.version ?? "",
        resource: asked.resource ?? "",
        subresource: asked.subresource ?? "",
        name: asked.name ?? "",
        ...(withFields && asked.fieldSelector && { fieldSelector: asked.fieldSelector }),
        ...(withLabels && asked.labelSelector && { labelSelector: asked.labelSelector }),
      },
    }),
    ...(path && { nonResourceAttributes: { verb: path.verb ?? "", path: path.path ?? "" } }),
  };
}
