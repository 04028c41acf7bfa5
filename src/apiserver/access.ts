/**
 * Authentication and authorization of API requests, built from the options. The parts that come from files are rebuilt when those files change.
 * Upstream: pkg/kubeapiserver/{authenticator,authorizer}, pkg/controlplane/apiserver/options.
 */
import type { Logger } from "../observe/log.ts";
import type { Metrics } from "../observe/metrics.ts";
import type { Net } from "../world/net.ts";
import { pause } from "../world/time.ts";
import type { Clock, Random } from "../world/world.ts";
import type { AccessMetrics } from "./authn/metrics.ts";
import type { ClusterView } from "./admission/framework.ts";
import type { Authenticator, RequestAuthenticator, TokenAuthenticator } from "./authn/authenticator.ts";
import { createAuthenticator, forAudiences, tokenUnion } from "./authn/authenticator.ts";
import { bootstrapTokens } from "./authn/bootstrap-token.ts";
import { certificateUsers } from "./authn/certificates.ts";
import { readBundle } from "./authn/chain.ts";
import type { AuthenticationConfiguration } from "./authn/configuration.ts";
import { usableAuthentication } from "./authn/configuration.ts";
import { ALGORITHM_NAMES } from "./authn/jwt.ts";
import type { OidcAuthenticator } from "./authn/oidc.ts";
import { oidcAuthenticator } from "./authn/oidc.ts";
import { requestHeaderUsers } from "./authn/request-header.ts";
import type { ServiceAccountTokens } from "./authn/service-account.ts";
import { cachedTokens, tokenWebhook } from "./authn/webhook.ts";
import { abacAuthorizer, parsePolicies } from "./authz/abac.ts";
import type { Authorizer } from "./authz/authorizer.ts";
import { DecisionCounts, aggregate, alwaysAllow, alwaysDeny, systemMasters, union } from "./authz/authorizer.ts";
import type { AuthorizerConfiguration } from "./authz/configuration.ts";
import { compileConditions, durationMs, validateAuthorization, withDefaults } from "./authz/configuration.ts";
import { nodeAuthorizer } from "./authz/node.ts";
import { rbacAuthorizer } from "./authz/rbac.ts";
import { webhookAuthorizer } from "./authz/webhook.ts";
import type { ExpressionCompiler } from "./expressions.ts";
import type { ApiServerOptions, AuthorizationOptions } from "./options.ts";
import { reviewClient } from "./review-client.ts";
import type { FieldError } from "../machinery/validation/field-error.ts";

export interface AccessDeps {
  readonly cluster: ClusterView;
  readonly clock: Clock;
  readonly random: Random;
  readonly net: Net;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly accessMetrics: AccessMetrics;
  readonly accounts: ServiceAccountTokens;
  readonly expressions: ExpressionCompiler;
}

/** The authorities that sign for clients and for front proxies. */
export interface ClientAuthorities {
  readonly clientCa?: string;
  readonly requestHeaderClientCa?: string;
}

export interface Access {
  readonly authenticator: Authenticator;
  readonly tokens: TokenAuthenticator;
  readonly authorizer: Authorizer;
  reloadAuthorities(authorities: ClientAuthorities): void;
  /** Takes over once every issuer answers; rejects, and leaves all as it was, where the file is wrong or one doesn't answer. */
  reloadAuthentication(configuration: AuthenticationConfiguration): Promise<void>;
  /** False where it says the same as before. Throws, and leaves all as it was, where the file is wrong. */
  reloadAuthorization(options: AuthorizationOptions): boolean;
  close(): void;
}

/** How long new issuers have to answer. */
const HEALTHY_WITHIN_MS = 60_000;
const LOOK_EVERY_MS = 100;
const TOKEN_CACHE_MS = 10_000;

export function createAccess(options: ApiServerOptions, given: AccessDeps): Access {
  const deps = { ...given, featureGates: options.featureGates };
  const { clock } = deps;
  const { audiences } = deps.accounts;
  let clientRoots = rootsOf(options.secure?.clientCa);
  let proxyRoots = rootsOf(options.requestHeader?.clientCa);
  const requests: RequestAuthenticator[] = [];
  if (options.requestHeader !== undefined)
    requests.push(requestHeaderUsers(options.requestHeader, () => proxyRoots, clock));
  if (options.secure?.clientCa !== undefined)
    requests.push(
      certificateUsers(
        () => clientRoots,
        clock,
        (inMs) => deps.accessMetrics.certificateEnds(inMs),
      ),
    );

  let issuers = startIssuers(options, options.authentication ?? {}, deps);
  const { staticTokens, tokenWebhook: webhook } = options;
  const before: readonly TokenAuthenticator[] = [
    ...(staticTokens === undefined
      ? []
      : [forAudiences(audiences, { authenticateToken: (token) => known(staticTokens.get(token)) })]),
    deps.accounts.authenticator,
    ...(options.bootstrapTokens === false
      ? []
      : [forAudiences(audiences, bootstrapTokens(deps.cluster, clock, deps.log))]),
  ];
  const after =
    webhook === undefined
      ? []
      : [
          cachedTokens(tokenWebhook({ ...webhook, client: reviewClient(webhook.target, deps), audiences }), clock, {
            successMs: webhook.cacheTtlMs,
            failureMs: webhook.cacheTtlMs,
          }),
        ];
  const tokens = tokenUnion(() => [...before, ...issuers.tokens, ...after]);

  const anonymous = options.authentication?.anonymous;
  const policy = {
    enabled: anonymous?.enabled ?? options.anonymousAuth ?? true,
    paths: (anonymous?.conditions ?? []).map(({ path }) => path),
  };
  const counts = new DecisionCounts(deps.metrics);
  const initial = authorizationOf(options);
  const initialTypes = new Set(initial.configuration.authorizers?.map(({ type }) => type));
  let authorization = contentOf(initial);
  let authorizer = createAuthorizer(initial, deps, counts);

  return {
    authenticator: createAuthenticator({ requests, tokens, anonymous: () => policy }),
    tokens,
    authorizer: {
      authorize: (attributes) => authorizer.authorize(attributes),
      rulesFor: (user, namespace) => authorizer.rulesFor!(user, namespace),
    },
    reloadAuthorities(next) {
      const [clients, proxies] = [next.clientCa, next.requestHeaderClientCa].map(rootsOf);
      // A file that is just being written names nobody: those of before stay.
      if (next.clientCa !== undefined && clients!.length > 0) clientRoots = clients!;
      if (next.requestHeaderClientCa !== undefined && proxies!.length > 0) proxyRoots = proxies!;
    },
    async reloadAuthentication(configuration) {
      if (JSON.stringify(configuration.anonymous) !== JSON.stringify(anonymous))
        throw new Error("anonymous: Forbidden: changed from initial configuration file");
      const next = startIssuers(options, configuration, deps);
      const deadlineMs = clock.monotonic() + HEALTHY_WITHIN_MS;
      for (;;) {
        const sick = next.all.flatMap((issuer) => issuer.health() ?? []);
        if (sick.length === 0) break;
        if (clock.monotonic() > deadlineMs || !(await pause(clock, LOOK_EVERY_MS, next.stop.signal))) {
          next.stop.abort();
          throw new Error(aggregate(sick));
        }
      }
      issuers.stop.abort();
      issuers = next;
    },
    reloadAuthorization(next) {
      const content = contentOf(next);
      if (content === authorization) return false;
      authorization = content;
      for (const { type } of next.configuration.authorizers ?? [])
        if (ONCE.has(type) && !initialTypes.has(type))
          throw new Error(`authorizer type ${type} is not allowed if it was not enabled at initial server startup`);
      authorizer = createAuthorizer(next, deps, counts);
      return true;
    },
    close: () => issuers.stop.abort(),
  };
}

const known = <U>(user: U | undefined) => (user === undefined ? "unknown" : { user });

const rootsOf = (pem: string | undefined) => (pem === undefined ? [] : readBundle(pem));

interface Issuers {
  readonly all: readonly OidcAuthenticator[];
  readonly tokens: readonly TokenAuthenticator[];
  readonly stop: AbortController;
}

function startIssuers(
  { serviceAccount, oidcSigningAlgorithms = ALGORITHM_NAMES }: ApiServerOptions,
  configuration: AuthenticationConfiguration,
  deps: AccessDeps,
): Issuers {
  const own = [serviceAccount.issuer, ...(serviceAccount.otherIssuers ?? [])];
  const rules = usableAuthentication(configuration, deps.expressions, own);
  for (const { issuer } of configuration.jwt ?? [])
    if (issuer.egressSelectorType)
      throw new Error(
        `oidc: egress lookup required with egress selector type ${JSON.stringify(issuer.egressSelectorType)}`,
      );
  const stop = new AbortController();
  const all = (configuration.jwt ?? []).map((config, i) =>
    oidcAuthenticator(
      { config, rules: rules[i]!, algorithms: oidcSigningAlgorithms },
      { ...deps, signal: stop.signal },
    ),
  );
  const { audiences } = deps.accounts;
  return {
    all,
    tokens: all.map((one) =>
      cachedTokens(forAudiences(audiences, one), deps.clock, { successMs: TOKEN_CACHE_MS, failureMs: 0 }),
    ),
    stop,
  };
}

function throwIfAny(errors: readonly FieldError[]): void {
  if (errors.length > 0) throw new Error(aggregate(errors.map(({ field, message }) => `${field}: ${message}`)));
}

function authorizationOf(options: ApiServerOptions): AuthorizationOptions {
  if (options.authorization !== undefined) return options.authorization;
  const modes = options.authorizationModes ?? ["Node", "RBAC"];
  return { configuration: { authorizers: modes.map((type) => ({ type, name: type.toLowerCase() })) } };
}

/** Whether roles say who may do what. */
export function usesRoles(options: ApiServerOptions): boolean {
  return (authorizationOf(options).configuration.authorizers ?? []).some(({ type }) => type === "RBAC");
}

/** These look at much of the cluster: they are made when the server starts, or never. */
const ONCE: ReadonlySet<string> = new Set(["ABAC", "Node", "RBAC"]);

const contentOf = ({ configuration }: AuthorizationOptions): string => JSON.stringify(withDefaults(configuration));

function createAuthorizer(options: AuthorizationOptions, deps: AuthorizerDeps, counts: DecisionCounts): Authorizer {
  const configuration = withDefaults(options.configuration);
  throwIfAny(validateAuthorization(configuration, deps.expressions));
  const all = configuration.authorizers!.map((one) => counts.of(one.type, one.name, authorizerOf(one, options, deps)));
  return union([systemMasters, ...all]);
}

type AuthorizerDeps = AccessDeps & Pick<ApiServerOptions, "featureGates">;

function authorizerOf(one: AuthorizerConfiguration, options: AuthorizationOptions, deps: AuthorizerDeps): Authorizer {
  switch (one.type) {
    case "AlwaysAllow":
      return alwaysAllow;
    case "AlwaysDeny":
      return alwaysDeny;
    case "Node":
      return nodeAuthorizer(deps.cluster, deps.featureGates);
    case "RBAC":
      return rbacAuthorizer(deps.cluster);
    case "ABAC":
      return abacAuthorizer(parsePolicies(options.policy?.text ?? "", options.policy?.path ?? ""));
    default:
      return webhookOf(one, options, deps);
  }
}

function webhookOf(
  { name, webhook }: AuthorizerConfiguration,
  options: AuthorizationOptions,
  deps: AccessDeps,
): Authorizer {
  const target = options.targets?.get(name);
  if (target === undefined) throw new Error(`authorizer ${JSON.stringify(name)} has no kubeconfig`);
  const { cacheAuthorizedRequests, cacheUnauthorizedRequests, ...said } = webhook!;
  const matches = compileConditions(said, "", deps.expressions, []);
  return webhookAuthorizer({
    name,
    client: reviewClient(target, deps, durationMs(said.timeout)),
    version: said.subjectAccessReviewVersion as "v1" | "v1beta1",
    authorizedTtlMs: cacheAuthorizedRequests === false ? 0 : durationMs(said.authorizedTTL),
    unauthorizedTtlMs: cacheUnauthorizedRequests === false ? 0 : durationMs(said.unauthorizedTTL),
    failurePolicy: said.failurePolicy as "NoOpinion" | "Deny",
    ...(matches && { matches }),
    clock: deps.clock,
    metrics: deps.metrics,
  });
}
