/** What the files of authentication and authorization may hold, with Go's names: what is wrong with a file is told in them. */
import type { Schema } from "../../machinery/schema/schema.ts";

const text: Schema = { type: "string", omitEmpty: true };
const pointer: Schema = { type: "string", omitEmpty: true, pointer: true };
const flag: Schema = { type: "boolean", omitEmpty: true, pointer: true };
const duration: Schema = { type: "string", format: "duration", goType: "v1.Duration", omitEmpty: true };
const named = (goType: string): Schema => ({ ...text, goType });
const list = (items: Schema): Schema => ({ type: "array", items, omitEmpty: true });
/** A struct; names in Go have the version of the file before them. */
const struct = (version: string, name: string, fields: Readonly<Record<string, Schema>>): Schema => ({
  type: "object",
  name: `${version}.${name}`,
  properties: new Map(Object.entries(fields)),
});

const HEAD = { kind: text, apiVersion: text };

function authentication(version: string): Schema {
  const claim = struct(version, "PrefixedClaimOrExpression", { claim: text, prefix: pointer, expression: text });
  const issuer = struct(version, "Issuer", {
    url: text,
    discoveryURL: text,
    certificateAuthority: text,
    audiences: list({ type: "string" }),
    audienceMatchPolicy: named(`${version}.AudienceMatchPolicyType`),
    egressSelectorType: named(`${version}.EgressSelectorType`),
  });
  const mappings = struct(version, "ClaimMappings", {
    username: claim,
    groups: claim,
    uid: struct(version, "ClaimOrExpression", { claim: text, expression: text }),
    extra: list(struct(version, "ExtraMapping", { key: text, valueExpression: text })),
  });
  const jwt = struct(version, "JWTAuthenticator", {
    issuer,
    claimValidationRules: list(
      struct(version, "ClaimValidationRule", { claim: text, requiredValue: text, expression: text, message: text }),
    ),
    claimMappings: mappings,
    userValidationRules: list(struct(version, "UserValidationRule", { expression: text, message: text })),
  });
  const anonymous = struct(version, "AnonymousAuthConfig", {
    enabled: { type: "boolean" },
    conditions: list(struct(version, "AnonymousAuthCondition", { path: text })),
  });
  return struct(version, "AuthenticationConfiguration", { ...HEAD, jwt: list(jwt), anonymous });
}

function authorization(version: string): Schema {
  const webhook = struct(version, "WebhookConfiguration", {
    timeout: duration,
    authorizedTTL: duration,
    cacheAuthorizedRequests: flag,
    unauthorizedTTL: duration,
    cacheUnauthorizedRequests: flag,
    subjectAccessReviewVersion: text,
    matchConditionSubjectAccessReviewVersion: text,
    failurePolicy: text,
    connectionInfo: struct(version, "WebhookConnectionInfo", { type: text, kubeConfigFile: pointer }),
    matchConditions: list(struct(version, "WebhookMatchCondition", { expression: text })),
  });
  const authorizer = struct(version, "AuthorizerConfiguration", { type: text, name: text, webhook });
  return struct(version, "AuthorizationConfiguration", { ...HEAD, authorizers: list(authorizer) });
}

/** The kinds that are read here. */
export const ACCESS_SCHEMAS: Readonly<Record<string, (version: string) => Schema>> = {
  AuthenticationConfiguration: authentication,
  AuthorizationConfiguration: authorization,
};
