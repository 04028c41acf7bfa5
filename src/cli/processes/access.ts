/** The flags of `kube-apiserver` for authentication and authorization. Upstream: pkg/kubeapiserver/options/{authentication,authorization}.go */
import { dirname } from "node:path";
import type { AuthenticationConfiguration } from "../../apiserver/authn/configuration.ts";
import { type Algorithm, ALGORITHM_NAMES, isAlgorithm, quoted } from "../../apiserver/authn/jwt.ts";
import { aggregate } from "../../apiserver/authz/authorizer.ts";
import type { AuthorizationConfiguration } from "../../apiserver/authz/configuration.ts";
import { checkNames, validateAuthorization, withDefaults } from "../../apiserver/authz/configuration.ts";
import { expressionCompiler } from "../../apiserver/expressions.ts";
import type { ApiServerOptions, AuthorizationOptions } from "../../apiserver/options.ts";
import type { ReviewTarget } from "../../apiserver/review-client.ts";
import { parseKubeconfig, connectionOf } from "../../client/kubeconfig.ts";
import { decodeConfiguration, versionAndKind } from "../../machinery/codec/configuration.ts";
import { DecodeError } from "../../machinery/codec/decode.ts";
import { parseGoUrl } from "../../machinery/validation/go-url.ts";
import type { Fs } from "../../world/fs.ts";
import { CommandError } from "../command.ts";
import type { Values } from "../flags.ts";
import type { kubeApiserverFlags } from "../flags/kube-apiserver.ts";
import { ACCESS_SCHEMAS } from "./access-schema.ts";
import { checkBundle } from "./credential-files.ts";
import { readOptional, readText } from "./files.ts";

type Options = Values<typeof kubeApiserverFlags>;
type Files = Pick<Fs, "readFile" | "stat">;

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
      errors.push(`authorization-mode ${quoted(modes)} has mode specified more than once`);
  }
  if (values["authentication-config"] !== "" && OIDC_FLAGS.some((flag) => set.has(flag)))
    errors.push("authentication-config file and oidc-* flags are mutually exclusive");
  if (
    OIDC_FLAGS.some((flag) => set.has(flag)) &&
    !(values["oidc-issuer-url"] !== "" && values["oidc-client-id"] !== "")
  )
    errors.push("oidc-issuer-url and oidc-client-id must be specified together when any oidc-* flags are set");
  const unsupported = values["oidc-signing-algs"].find((algorithm) => !isAlgorithm(algorithm));
  if (unsupported !== undefined) errors.push(`oidc: unsupported signing alg: ${JSON.stringify(unsupported)}`);
  const issuers = values["service-account-issuer"];
  issuers.forEach((issuer, i) => {
    const url = issuer.includes(":") ? parseGoUrl(issuer) : undefined;
    if (typeof url === "string")
      errors.push(`service-account-issuer ${JSON.stringify(issuer)} contained a ':' but was not a valid URL: ${url}`);
    else if (issuers.indexOf(issuer) < i)
      errors.push(`service-account-issuer ${JSON.stringify(issuer)} is already specified`);
  });
  for (const flag of [
    "requestheader-username-headers",
    "requestheader-group-headers",
    "requestheader-extra-headers-prefix",
  ] as const)
    if (values[flag].some((value) => value.trim() === "")) errors.push(`empty value in ${JSON.stringify(flag)}`);
  const uidHeaders = values["requestheader-uid-headers"];
  if (uidHeaders.some((header) => header.trim() === "")) errors.push('empty value in "requestheader-uid-headers"');
  if (uidHeaders.length > 0 && !uidHeaders.some((header) => header.toLowerCase() === "x-remote-uid"))
    errors.push(
      "--requestheader-uid-headers is set without specifying the standard X-Remote-Uid header - API aggregation will not work",
    );
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
      "anonymous: Forbidden: --anonymous-auth flag cannot be set when anonymous field is configured in authentication configuration file",
    );
  const tokenHook = values["authentication-token-webhook-config-file"];
  const proxyCa = values["requestheader-client-ca-file"];
  const proxyAuthorities = await readOptional(fs, proxyCa);
  if (proxyAuthorities !== undefined) checkBundle("request-header", proxyCa, proxyAuthorities);
  return {
    ...(authentication !== undefined && { authentication }),
    oidcSigningAlgorithms:
      values["authentication-config"] === "" ? (values["oidc-signing-algs"] as readonly Algorithm[]) : ALGORITHM_NAMES,
    ...(tokenHook !== "" && {
      tokenWebhook: {
        target: await targetOf(fs, tokenHook),
        version: reviewVersion("authentication webhook", values["authentication-token-webhook-version"]),
        cacheTtlMs: values["authentication-token-webhook-cache-ttl"],
      },
    }),
    ...(proxyAuthorities !== undefined && {
      requestHeader: {
        clientCa: proxyAuthorities,
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
  if (path !== "") {
    try {
      const text = await readText(fs, path);
      if (text === "") throw new DecodeError("empty config data");
      return decodeConfiguration(text, "AuthenticationConfiguration", ACCESS_SCHEMAS) as AuthenticationConfiguration;
    } catch (error) {
      throw new CommandError(
        `failed to load authentication configuration from file ${JSON.stringify(path)}: ${(error as Error).message}`,
      );
    }
  }
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
  const text = await readText(fs, path);
  const configuration = withDefaults(authorizationOf(text));
  await checkAuthorization(fs, configuration);
  const targets = new Map<string, ReviewTarget>();
  for (const { name, webhook } of configuration.authorizers ?? []) {
    const file = webhook?.connectionInfo?.kubeConfigFile ?? "";
    if (file !== "") targets.set(name, await authorizationTarget(fs, file));
  }
  return { configuration, targets };
}

async function checkAuthorization(fs: Files, configuration: AuthorizationConfiguration): Promise<void> {
  const wrong = new Map<string, string>();
  for (const { webhook } of configuration.authorizers ?? []) {
    const path = webhook?.connectionInfo?.kubeConfigFile ?? "";
    if (path === "") continue;
    const found = await fs.stat(path);
    if (found === undefined) wrong.set(path, `error loading file: stat ${path}: no such file or directory`);
    else if (found.kind !== "file") wrong.set(path, "must be a regular file");
  }
  const errors = validateAuthorization(configuration, expressionCompiler(), (path) => wrong.get(path));
  const words =
    errors.length > 0 ? errors.map(({ field, message }) => `${field}: ${message}`) : checkNames(configuration);
  if (words.length > 0) throw new CommandError(aggregate(words));
}

/** Where an authorization webhook is. */
async function authorizationTarget(fs: Files, path: string): Promise<ReviewTarget> {
  try {
    return await targetOf(fs, path);
  } catch (error) {
    throw new CommandError(`invalid authorization config: ${(error as Error).message}`);
  }
}

/** Nothing at all is an object without fields. */
function authorizationOf(text: string): AuthorizationConfiguration {
  if (text === "") return {};
  try {
    return decodeConfiguration(text, "AuthorizationConfiguration", ACCESS_SCHEMAS) as AuthorizationConfiguration;
  } catch (error) {
    throw new CommandError(`failed to load AuthorizationConfiguration from file: ${(error as Error).message}`);
  }
}

async function authorizationOfFlags(fs: Files, values: Options): Promise<AuthorizationOptions> {
  const modes = values["authorization-mode"].length === 0 ? ["AlwaysAllow"] : values["authorization-mode"];
  const hook = values["authorization-webhook-config-file"];
  const policy = values["authorization-policy-file"];
  const target = hook === "" ? undefined : await authorizationTarget(fs, hook);
  const ttl = (flag: "authorized" | "unauthorized") => values[`authorization-webhook-cache-${flag}-ttl`];
  const webhook = {
    timeout: "30s",
    authorizedTTL: `${ttl("authorized") || 1}ms`,
    unauthorizedTTL: `${ttl("unauthorized") || 1}ms`,
    cacheAuthorizedRequests: ttl("authorized") > 0,
    cacheUnauthorizedRequests: ttl("unauthorized") > 0,
    subjectAccessReviewVersion:
      target &&
      reviewVersion("webhook authorizer", values["authorization-webhook-version"], "invalid authorization config: "),
    failurePolicy: "NoOpinion",
    connectionInfo: { type: "KubeConfigFile", kubeConfigFile: hook.startsWith("/") ? hook : `/${hook}` },
  };
  return {
    configuration: {
      authorizers: modes.map((type) =>
        type === "Webhook" ? { type, name: "default", webhook } : { type, name: type.toLowerCase() },
      ),
    },
    ...(target && { targets: new Map([["default", target]]) }),
    ...(policy !== "" && { policy: { path: policy, text: await readText(fs, policy) } }),
  };
}

/** Looked at only where there is a webhook. */
function reviewVersion(what: string, version: string, prefix = ""): "v1" | "v1beta1" {
  if (version === "v1" || version === "v1beta1") return version;
  throw new CommandError(
    `${prefix}unsupported ${what} version ${JSON.stringify(version)}, supported versions are "v1", "v1beta1"`,
  );
}

/** Where a webhook is, and what is shown to it. */
export async function targetOf(fs: Pick<Fs, "readFile">, path: string): Promise<ReviewTarget> {
  const text = await readText(fs, path).catch((error: Error) => {
    throw new CommandError(error.message.replace(/^open (.*no such file or directory)$/s, "stat $1"));
  });
  try {
    versionAndKind(text);
  } catch (error) {
    throw new CommandError(`error loading config file ${JSON.stringify(path)}: ${(error as Error).message}`);
  }
  const config = parseKubeconfig(text);
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
