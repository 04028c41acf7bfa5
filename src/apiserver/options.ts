/** What a server is told when it is made. Names follow upstream's flags. */
import type { Resource } from "../machinery/resource.ts";
import type { ClientTls } from "../world/net.ts";
import type { UserInfo } from "./authn/user.ts";

export type AuthorizationMode = "AlwaysAllow" | "AlwaysDeny" | "RBAC" | "Node";

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
  };
  /** The address other parts of the cluster reach this server at: it stands in the endpoints of `kubernetes`. */
  readonly advertiseAddress?: string;
  readonly serviceAccount: {
    readonly issuer: string;
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
  /** Default Node and RBAC. */
  readonly authorizationModes?: readonly AuthorizationMode[];
  /** `--anonymous-auth`, default true. */
  readonly anonymousAuth?: boolean;
  /** `--token-auth-file`, parsed. */
  readonly staticTokens?: ReadonlyMap<string, UserInfo>;
  /** `--enable-bootstrap-token-auth`, default true here. */
  readonly bootstrapTokens?: boolean;
  /** `--service-cluster-ip-range` */
  readonly serviceClusterIpRange?: string;
  /** `--service-node-port-range` */
  readonly serviceNodePortRange?: string;
  readonly enableAdmissionPlugins?: readonly string[];
  readonly disableAdmissionPlugins?: readonly string[];
  readonly featureGates?: ReadonlyMap<string, boolean>;
  /** How the kubelets are spoken to: the client certificate and their CA. */
  readonly kubelet?: { readonly tls: ClientTls };
  /** `--etcd-compaction-interval`, default five minutes. */
  readonly etcdCompactionIntervalMs?: number;
  /** `--proxy-client-cert-file` and `-key-file`: what this server shows to extension servers, that they may believe what it says of its users. */
  readonly proxyClient?: { readonly cert: string; readonly key: string };
  readonly requestTimeoutMs?: number;
  /** `--enable-priority-and-fairness`, default true. */
  readonly priorityAndFairness?: boolean;
  readonly maxRequestsInFlight?: number;
  readonly maxMutatingRequestsInFlight?: number;
  /** Prose for the published schemas, by a type's OpenAPI name and a field's: what `kubectl explain` prints. */
  readonly describe?: (name: string, field?: string) => string | undefined;
  /** Default: all built-in resources that are served by default. */
  readonly resources?: readonly Resource[];
}

/** Parses `token,user,uid,"group1,group2"` lines. */
export function parseStaticTokens(csv: string): ReadonlyMap<string, UserInfo> {
  const users = new Map<string, UserInfo>();
  for (const line of csv.split(/\r?\n/)) {
    if (line.trim() === "") continue;
    const [token, name, uid, groups] = [...line.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^,]*))/g)].map(
      ([, quoted, plain]) => (quoted?.replaceAll('""', '"') ?? plain ?? "").trim(),
    );
    if (!token || !name) continue;
    users.set(token, {
      name,
      ...(uid && { uid }),
      groups: (groups ?? "")
        .split(",")
        .map((group) => group.trim())
        .filter((group) => group !== ""),
    });
  }
  return users;
}
