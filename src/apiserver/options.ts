/** The options of an API server, named after upstream's flags. */
import type { Resource } from "../machinery/resource.ts";
import type { ClientTls, TlsBounds } from "../world/net.ts";
import type { BrowserOptions } from "./filters/browsers.ts";
import type { AdmissionConfiguration } from "./admission/configuration.ts";
import type { AuthenticationConfiguration } from "./authn/configuration.ts";
import type { Algorithm } from "./authn/jwt.ts";
import type { RequestHeaderOptions } from "./authn/request-header.ts";
import type { UserInfo } from "./authn/user.ts";
import type { AuthorizationConfiguration } from "./authz/configuration.ts";
import type { AuditOptions } from "./audit/auditor.ts";
import type { EncryptionOptions } from "./encryption/at-rest.ts";
import type { ShutdownOptions } from "./lifecycle.ts";
import type { TracingConfiguration } from "./tracing/tracing.ts";
import type { ReviewTarget } from "./review-client.ts";

export const RECONCILER_TYPES = ["master-count", "lease", "none"] as const;
export type ReconcilerType = (typeof RECONCILER_TYPES)[number];

export type AuthorizationMode = "AlwaysAllow" | "AlwaysDeny" | "RBAC" | "Node";

/** `--authorization-config`, or what the older flags amount to. */
export interface AuthorizationOptions {
  readonly configuration: AuthorizationConfiguration;
  /** Where the webhooks are, by the authorizers' names. */
  readonly targets?: ReadonlyMap<string, ReviewTarget>;
  /** `--authorization-policy-file` */
  readonly policy?: { readonly path: string; readonly text: string };
}

export interface ApiServerOptions {
  /** The HTTPS port; without it the server answers in this process only. */
  readonly secure?: {
    readonly bindAddress?: string;
    /** 0 takes any free port. */
    readonly port: number;
    readonly cert: string;
    readonly key: string;
    /** Client certificates of this CA are users: CN the name, O the groups. */
    readonly clientCa?: string;
    readonly byName?: ReadonlyMap<string, { readonly cert: string; readonly key: string }>;
    readonly bounds?: TlsBounds;
    /** `--disable-http2-serving` */
    readonly http1Only?: boolean;
    /** `--http2-max-streams-per-connection` */
    readonly maxStreams?: number;
  };
  /** The address other parts of the cluster reach this server at: it stands in the endpoints of `kubernetes`. */
  readonly advertiseAddress?: string;
  /** The machine's name: the server's identity is made of it. */
  readonly hostname?: string;
  /** `--external-hostname`: what documents call this server; default the address above. */
  readonly externalHost?: string;
  /** How each flag stands, for `/flagz`. */
  readonly flags?: () => Readonly<Record<string, string>>;
  /** Components that run in this process, and have no ports of their own that their health could be asked at. */
  readonly partsHere?: readonly ("controller-manager" | "scheduler")[];
  readonly serviceAccount: {
    readonly issuer: string;
    /** Issuers of the past: tokens of theirs are good too. */
    readonly otherIssuers?: readonly string[];
    /** Where others are told that the keys are; default this server. */
    readonly jwksUri?: string;
    /** Default true: tokens in secrets are good as long as the secret is there. */
    readonly lookup?: boolean;
    /** PEM, EC P-256 or RSA: signs tokens. */
    readonly signingKey: string;
    /** PEM: public keys, private keys or certificates that tokens may be signed with; default the signing key's. */
    readonly verifyingKeys?: readonly string[];
    /** Default: the issuer. */
    readonly apiAudiences?: readonly string[];
    readonly maxExpirationSeconds?: number;
    /** Default true: one hour tokens of pods really last a year. */
    readonly extendExpiration?: boolean;
  };
  /** In place of `authorizationModes`. */
  readonly authorization?: AuthorizationOptions;
  /** Issuers whose tokens count, and who may be anonymous. */
  readonly authentication?: AuthenticationConfiguration;
  /** `--oidc-signing-algs`; default all. */
  readonly oidcSigningAlgorithms?: readonly Algorithm[];
  /** `--authentication-token-webhook-*` */
  readonly tokenWebhook?: {
    readonly target: ReviewTarget;
    readonly version: "v1" | "v1beta1";
    readonly cacheTtlMs: number;
  };
  /** A proxy in front that says who asks: `--requestheader-*`. */
  readonly requestHeader?: RequestHeaderOptions;
  /** Default Node and RBAC. */
  readonly authorizationModes?: readonly AuthorizationMode[];
  /** `--anonymous-auth`, default true. */
  readonly anonymousAuth?: boolean;
  /** `--token-auth-file`, parsed. */
  readonly staticTokens?: ReadonlyMap<string, UserInfo>;
  /** `--enable-bootstrap-token-auth`, default true here. */
  readonly bootstrapTokens?: boolean;
  /** `--endpoint-reconciler-type`, default lease: the endpoints of `kubernetes` are all servers that are there. */
  readonly endpointReconciler?: ReconcilerType;
  /** `--apiserver-count`: with `master-count`, how many servers the endpoints are. */
  readonly apiserverCount?: number;
  /** `--service-cluster-ip-range` */
  readonly serviceClusterIpRange?: string;
  /** `--service-node-port-range` */
  readonly serviceNodePortRange?: string;
  readonly enableAdmissionPlugins?: readonly string[];
  readonly disableAdmissionPlugins?: readonly string[];
  /** `--admission-control-config-file`, and flags that are a plugin's. */
  readonly admission?: AdmissionConfiguration;
  /** `--storage-media-type`, default JSON: how values are written; both forms are always read. */
  readonly storageMediaType?: "application/json" | "application/vnd.kubernetes.protobuf";
  readonly featureGates?: ReadonlyMap<string, boolean>;
  /** `--allow-privileged`: whether containers may be privileged, or processes of a Windows host. */
  readonly allowPrivileged?: boolean;
  /** How the kubelets are spoken to: the client certificate and their CA. */
  readonly kubelet?: { readonly tls: ClientTls; readonly addressTypes?: readonly string[] };
  /** `--etcd-compaction-interval`, default five minutes. */
  readonly etcdCompactionIntervalMs?: number;
  /** `--proxy-client-cert-file` and `-key-file`: what this server shows to extension servers, that they may believe what it says of its users. */
  readonly proxyClient?: { readonly cert: string; readonly key: string };
  readonly requestTimeoutMs?: number;
  /** `--min-request-timeout`, default half an hour: watches without a timeout live so long, or up to twice. */
  readonly minRequestTimeoutMs?: number;
  /** `--event-ttl`, default an hour. */
  readonly eventTtlMs?: number;
  /** `--delete-collection-workers`, default 1: how many objects of a collection are deleted at the same time. */
  readonly deleteCollectionWorkers?: number;
  /** `--goaway-chance`, default 0. */
  readonly goawayChance?: number;
  readonly browsers?: BrowserOptions;
  /** `--kubernetes-service-node-port`; 0 for none. */
  readonly kubernetesServiceNodePort?: number;
  /** `--livez-grace-period`: so long after its start a server is alive though its hooks aren't finished. */
  readonly livezGraceMs?: number;
  /** `--shutdown-*` */
  readonly shutdown?: Partial<Omit<ShutdownOptions, "requestTimeoutMs">>;
  /** `--encryption-provider-config` */
  readonly encryption?: EncryptionOptions;
  /** `--tracing-config-file` */
  readonly tracing?: TracingConfiguration;
  /** `--audit-*` */
  readonly audit?: AuditOptions;
  /** `--enable-priority-and-fairness`, default true. */
  readonly priorityAndFairness?: boolean;
  readonly maxRequestsInFlight?: number;
  readonly maxMutatingRequestsInFlight?: number;
  /** Prose for the published schemas, by a type's OpenAPI name and a field's: what `kubectl explain` prints. */
  readonly describe?: (name: string, field?: string) => string | undefined;
  /** Default: all built-in resources that are served by default. */
  readonly resources?: readonly Resource[];
}

/** Parses lines of `token,user,uid,"group1,group2"`. Throws where one has too few columns. */
export function parseStaticTokens(csv: string, path = ""): ReadonlyMap<string, UserInfo> {
  const users = new Map<string, UserInfo>();
  for (const line of csv.split(/\r?\n/)) {
    if (line === "") continue;
    const columns = [...line.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^,]*))/g)].map(
      ([, quoted, plain]) => quoted?.replaceAll('""', '"') ?? plain ?? "",
    );
    if (columns.length < 3)
      throw new Error(
        `token file '${path}' must have at least 3 columns (token, user name, user uid), found ${columns.length}`,
      );
    const [token, name, uid, groups] = columns as [string, string, string, string | undefined];
    if (token === "") continue;
    users.set(token, { name, ...(uid !== "" && { uid }), groups: groups === undefined ? [] : groups.split(",") });
  }
  return users;
}
