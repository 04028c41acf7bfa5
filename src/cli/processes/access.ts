/** The flags of `kube-apiserver` for authentication and authorization. Upstream: pkg/kubeapiserver/options/{authentication,authorization}.go */
import { dirname } from "node:path";
import { parse } from "yaml";
import type { AuthenticationConfiguration } from "../../apiserver/authn/configuration.ts";
import { type Algorithm, ALGORITHM_NAMES, isAlgorithm } from "../../apiserver/authn/jwt.ts";
import type { AuthorizationConfiguration } from "../../apiserver/authz/configuration.ts";
import type { ApiServerOptions, AuthorizationOptions } from "../../apiserver/options.ts";
import type { ReviewTarget } from "../../apiserver/review-client.ts";
import { parseKubeconfig, connectionOf } from "../../client/kubeconfig.ts";
import type { Fs } from "../../world/fs.ts";
import { CommandError } from "../command.ts";
import type { Values } from "../flags.ts";
import type { kubeApiserverFlags } from "../flags/kube-apiserver.ts";
import { readText } from "./files.ts";

type Options = Values<typeof kubeApiserverFlags>;
type Files = Pick<Fs, "readFile">;

const MODES: readonly string[] = ["ABAC", "AlwaysAllow", "AlwaysDeny", "Node", "RBAC", "Webhook"];
const WEBHOOK_FLAGS = [
  "authorization-webhook-config-file",
  "authorization-webhook-version",
  "authorization-webhook-cache-authorized-ttl",
  "authorization-webhook-cache-unauthorized-ttl",
];
const OIDC_FLAGS = [
  "oidc-issuer-url",
  "oidc-client-id",
  "oidc-ca-file",
  "oidc-username-claim",
  "oidc-username-prefix",
  "oidc-groups-claim",
  "oidc-groups-prefix",
  "oidc-required-claim",
  "oidc-signing-algs",
];

/** All that is wrong with these flags, in upstream's words. */
export function checkAccess(values: Options, set: ReadonlySet<string>): readonly string[] {
  const errors: string[] = [];
  const modes = values["authorization-mode"];
  if (values["authorization-config"] !== "") {
    if (set.has("authorization-mode") || WEBHOOK_FLAGS.some((flag) => set.has(flag)))
      errors.push(
        "--authorization-config can not be specified when --authorization-mode or --authorization-webhook-* flags are defined",
      );
  } else {
    for (const mode of modes)
      if (!MODES.includes(mode)) errors.push(`authorization-mode ${JSON.stringify(mode)} is not a valid mode`);
      else if (mode === "ABAC" && values["authorization-policy-file"] === "")
        errors.push("authorization-mode ABAC's authorization policy file not passed");
      else if (mode === "Webhook" && values["authorization-webhook-config-file"] === "")
        errors.push("authorization-mode Webhook's authorization config file not passed");
    if (values["authorization-policy-file"] !== "" && !modes.includes("ABAC"))
      errors.push("cannot specify --authorization-policy-file without mode ABAC");
    if (values["authorization-webhook-config-file"] !== "" && !modes.includes("Webhook"))
      errors.push("cannot specify --authorization-webhook-config-file without mode Webhook");
    if (new Set(modes).size < modes.length)
      errors.push(`authorization-mode ${JSON.stringify(modes)} has mode specified more than once`);
  }
  if (values["authentication-config"] !== "" && OIDC_FLAGS.some((flag) => set.has(flag)))
    errors.push("authentication-config file and oidc-* flags are mutually exclusive");
  if (
    OIDC_FLAGS.some((flag) => set.has(flag)) &&
    !(values["oidc-issuer-url"] !== "" && values["oidc-client-id"] !== "")
  )
    errors.push("oidc-issuer-url and oidc-client-id must be specified together when any oidc-* flags are set");
  for (const algorithm of values["oidc-signing-algs"])
    if (!isAlgorithm(algorithm)) errors.push(`oidc: unsupported signing alg: ${JSON.stringify(algorithm)}`);
  for (const flag of ["authentication-token-webhook-version", "authorization-webhook-version"] as const)
    if (!["v1", "v1beta1"].includes(values[flag]))
      errors.push(`unsupported ${flag} ${JSON.stringify(values[flag])}, supported versions are "v1", "v1beta1"`);
  if (values["service-account-jwks-uri"] !== "" && !values["service-account-jwks-uri"].startsWith("https://"))
    errors.push(`service-account-jwks-uri requires https scheme, parsed as: ${values["service-account-jwks-uri"]}`);
  const maxTokenMs = values["service-account-max-token-expiration"];
  if (maxTokenMs !== 0 && (maxTokenMs < 3_600_000 || maxTokenMs > 2 ** 32 * 1000))
    errors.push("the service-account-max-token-expiration must be between 1 hour and 2^32 seconds");
  return errors;
}

export async function accessOptions(
  fs: Files,
  values: Options,
  set: ReadonlySet<string>,
): Promise<
  Pick<
    ApiServerOptions,
    "authentication" | "oidcSigningAlgorithms" | "tokenWebhook" | "requestHeader" | "authorization"
  >
> {
  const authentication = await readAuthentication(fs, values);
  if (authentication?.anonymous !== undefined && set.has("anonymous-auth"))
    throw new CommandError(
      "--anonymous-auth flag cannot be set when anonymous field is configured in authentication configuration file",
    );
  const tokenHook = values["authentication-token-webhook-config-file"];
  const proxyCa = values["requestheader-client-ca-file"];
  return {
    ...(authentication !== undefined && { authentication }),
    oidcSigningAlgorithms:
      values["authentication-config"] === "" ? (values["oidc-signing-algs"] as readonly Algorithm[]) : ALGORITHM_NAMES,
    ...(tokenHook !== "" && {
      tokenWebhook: {
        target: await targetOf(fs, tokenHook),
        version: values["authentication-token-webhook-version"] as "v1" | "v1beta1",
        cacheTtlMs: values["authentication-token-webhook-cache-ttl"],
      },
    }),
    ...(proxyCa !== "" && {
      requestHeader: {
        clientCa: await readText(fs, proxyCa),
        allowedNames: values["requestheader-allowed-names"],
        usernameHeaders: values["requestheader-username-headers"],
        uidHeaders: values["requestheader-uid-headers"],
        groupHeaders: values["requestheader-group-headers"],
        extraHeadersPrefixes: values["requestheader-extra-headers-prefix"],
      },
    }),
    authorization: await readAuthorization(fs, values),
  };
}

/** From the file, or what the older flags amount to; undefined where neither says anything. */
export async function readAuthentication(fs: Files, values: Options): Promise<AuthenticationConfiguration | undefined> {
  const path = values["authentication-config"];
  if (path !== "")
    return (await readConfiguration(fs, path, "AuthenticationConfiguration", AUTHENTICATION_FIELDS)) as never;
  const issuer = values["oidc-issuer-url"];
  if (issuer === "") return undefined;
  const claim = values["oidc-username-claim"];
  const prefix = values["oidc-username-prefix"];
  const groups = values["oidc-groups-claim"];
  const ca = values["oidc-ca-file"];
  return {
    jwt: [
      {
        issuer: {
          url: issuer,
          audiences: [values["oidc-client-id"]],
          ...(ca !== "" && { certificateAuthority: await readText(fs, ca) }),
        },
        claimValidationRules: Object.entries(values["oidc-required-claim"]).map(([name, requiredValue]) => ({
          claim: name,
          requiredValue,
        })),
        claimMappings: {
          username: { claim, prefix: prefix === "-" ? "" : prefix || (claim === "email" ? "" : `${issuer}#`) },
          ...(groups !== "" && { groups: { claim: groups, prefix: values["oidc-groups-prefix"] } }),
        },
      },
    ],
  };
}

export async function readAuthorization(fs: Files, values: Options): Promise<AuthorizationOptions> {
  const path = values["authorization-config"];
  if (path === "") return await authorizationOfFlags(fs, values);
  const configuration = (await readConfiguration(
    fs,
    path,
    "AuthorizationConfiguration",
    AUTHORIZATION_FIELDS,
  )) as AuthorizationConfiguration;
  const targets = new Map<string, ReviewTarget>();
  for (const { name, webhook } of configuration.authorizers ?? []) {
    const file = webhook?.connectionInfo?.kubeConfigFile ?? "";
    if (file !== "") targets.set(name, await targetOf(fs, file));
  }
  return { configuration, targets };
}

async function authorizationOfFlags(fs: Files, values: Options): Promise<AuthorizationOptions> {
  const modes = values["authorization-mode"].length === 0 ? ["AlwaysAllow"] : values["authorization-mode"];
  const hook = values["authorization-webhook-config-file"];
  const policy = values["authorization-policy-file"];
  const ttl = (flag: "authorized" | "unauthorized") => values[`authorization-webhook-cache-${flag}-ttl`];
  const webhook = {
    timeout: "30s",
    authorizedTTL: `${ttl("authorized") || 1}ms`,
    unauthorizedTTL: `${ttl("unauthorized") || 1}ms`,
    cacheAuthorizedRequests: ttl("authorized") > 0,
    cacheUnauthorizedRequests: ttl("unauthorized") > 0,
    subjectAccessReviewVersion: values["authorization-webhook-version"],
    failurePolicy: "NoOpinion",
    connectionInfo: { type: "KubeConfigFile", kubeConfigFile: hook.startsWith("/") ? hook : `/${hook}` },
  };
  return {
    configuration: {
      authorizers: modes.map((type) =>
        type === "Webhook" ? { type, name: "default", webhook } : { type, name: type.toLowerCase() },
      ),
    },
    ...(hook !== "" && { targets: new Map([["default", await targetOf(fs, hook)]]) }),
    ...(policy !== "" && { policy: { path: policy, text: await readText(fs, policy) } }),
  };
}

/** Where a webhook is, and what is shown to it. */
export async function targetOf(fs: Files, path: string): Promise<ReviewTarget> {
  const config = parseKubeconfig(await readText(fs, path));
  const { server, ca, cert, key, serverName, insecureSkipVerify, token } = await connectionOf(config, fs, {
    folder: dirname(path),
  });
  return {
    server,
    tls: {
      ...(ca !== undefined && { ca }),
      ...(cert !== undefined && { cert }),
      ...(key !== undefined && { key }),
      ...(serverName !== undefined && { serverName }),
      ...(insecureSkipVerify === true && { insecureSkipVerify }),
    },
    ...(token !== undefined && { token }),
  };
}

/** Fields that a file may have: `true` for a value, a table for what is below, in lists as well. */
interface Fields {
  readonly [name: string]: true | Fields;
}

const CLAIM: Fields = { claim: true, prefix: true, expression: true };
const AUTHENTICATION_FIELDS: Fields = {
  jwt: {
    issuer: {
      url: true,
      discoveryURL: true,
      certificateAuthority: true,
      audiences: true,
      audienceMatchPolicy: true,
      egressSelectorType: true,
    },
    claimValidationRules: { claim: true, requiredValue: true, expression: true, message: true },
    claimMappings: {
      username: CLAIM,
      groups: CLAIM,
      uid: { claim: true, expression: true },
      extra: { key: true, valueExpression: true },
    },
    userValidationRules: { expression: true, message: true },
  },
  anonymous: { enabled: true, conditions: { path: true } },
};
const AUTHORIZATION_FIELDS: Fields = {
  authorizers: {
    type: true,
    name: true,
    webhook: {
      timeout: true,
      authorizedTTL: true,
      unauthorizedTTL: true,
      cacheAuthorizedRequests: true,
      cacheUnauthorizedRequests: true,
      subjectAccessReviewVersion: true,
      matchConditionSubjectAccessReviewVersion: true,
      failurePolicy: true,
      connectionInfo: { type: true, kubeConfigFile: true },
      matchConditions: { expression: true },
    },
  },
};

/** A configuration of the group apiserver.config.k8s.io, read strictly. */
async function readConfiguration(fs: Files, path: string, kind: string, fields: Fields): Promise<unknown> {
  const document: unknown = parse(await readText(fs, path));
  const { apiVersion, kind: saidKind, ...rest } = (document ?? {}) as Record<string, unknown>;
  if (saidKind !== kind || !/^apiserver\.config\.k8s\.io\/v1(alpha1|beta1)?$/.test(String(apiVersion)))
    throw new CommandError(
      `${path}: no kind ${JSON.stringify(saidKind ?? "")} is registered for version ${JSON.stringify(apiVersion ?? "")}`,
    );
  const unknown = unknownFields(rest, fields, "");
  if (unknown.length > 0)
    throw new CommandError(
      `${path}: strict decoding error: ${unknown.map((field) => `unknown field ${JSON.stringify(field)}`).join(", ")}`,
    );
  return rest;
}

function unknownFields(value: unknown, fields: true | Fields, path: string): readonly string[] {
  if (fields === true || typeof value !== "object" || value === null) return [];
  if (Array.isArray(value)) return value.flatMap((one, i) => unknownFields(one, fields, `${path}[${i}]`));
  return Object.entries(value).flatMap(([name, inner]) => {
    const at = path === "" ? name : `${path}.${name}`;
    return Object.hasOwn(fields, name) ? unknownFields(inner, fields[name]!, at) : [at];
  });
}
