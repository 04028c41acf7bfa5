/** What the verbs know about a request, and the services that they use. */
import { formatTime } from "../../machinery/meta/time.ts";
import type { HookContext } from "../../machinery/resource.ts";
import type { Logger } from "../../observe/log.ts";
import type { Metrics } from "../../observe/metrics.ts";
import type { Clock, Random } from "../../world/world.ts";
import { uuid } from "../../world/world.ts";
import type { Net } from "../../world/net.ts";
import type { Admission, ClusterView } from "../admission/framework.ts";
import type { TokenAuthenticator } from "../authn/authenticator.ts";
import type { ServiceAccountTokens } from "../authn/service-account.ts";
import type { ApiServerOptions } from "../options.ts";
import type { UserInfo } from "../authn/user.ts";
import type { Authorizer } from "../authz/authorizer.ts";
import type { Conversions } from "./conversions.ts";
import type { WebhookClients } from "../webhook-clients.ts";
import type { Registry } from "./registry.ts";
import type { Allocators } from "./specials/allocators.ts";
import type { OwnQueues } from "../own-queues.ts";

import type { Resource } from "../../machinery/resource.ts";

/** The server's parts that verbs need. */
export interface Services {
  /** Told of each use of an API that goes. */
  readonly deprecated?: (resource: Resource, subresource: string) => void;
  readonly registry: Registry;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly net: Net;
  readonly webhooks: WebhookClients;
  readonly cluster: ClusterView;
  readonly accounts: ServiceAccountTokens;
  readonly tokens: TokenAuthenticator;
  readonly options: ApiServerOptions;
  readonly admission: Admission;
  readonly authorizer: Authorizer;
  readonly allocators: Allocators;
  readonly featureGates: ReadonlyMap<string, boolean>;
  readonly queues: OwnQueues;
  /** What is wrong with etcd; undefined when all is well. */
  etcdHealth(): Promise<string | undefined>;
  readonly metrics: Metrics;
}

export type FieldValidation = "Ignore" | "Warn" | "Strict";

export interface WriteContext {
  readonly services: Services;
  readonly user: UserInfo;
  readonly signal: AbortSignal;
  readonly dryRun: boolean;
  /** What the request does: `create`, `update`, `patch`. */
  readonly verb?: string;
  /** What the client says of these in so many words: who admits sees nothing else. */
  readonly said?: { readonly fieldManager?: string; readonly fieldValidation?: string };
  /** Who is written into managedFields. */
  readonly fieldManager: string;
  readonly fieldValidation: FieldValidation;
  warn(text: string): void;
  /** Notes something in the audit event, where there is one. */
  annotate?(key: string, value: string, level?: "Request"): void;
  /** What the request has had converted to other versions; without it ownership is worked out in the version at hand alone. */
  readonly conversions?: Conversions;
  /** The server's own writes: neither admitted nor validated. */
  readonly internal?: boolean;
}

export function hookContext({ services, user, warn }: WriteContext): HookContext {
  return {
    now: formatTime(services.clock.now()),
    user,
    featureGates: services.featureGates,
    allowPrivileged: services.options.allowPrivileged ?? true,
    uuid: () => uuid(services.random),
    namespaceLabels(namespace) {
      const found = services.cluster.get("namespaces", "", namespace);
      return found === undefined ? undefined : (found.metadata?.labels ?? {});
    },
    warn,
  };
}
