/**
 * Admission: plugins in upstream's order, first every mutating half, then (after defaulting and validation) every validating half.
 * Upstream: pkg/admission, pkg/kubeapiserver/options/plugins.go.
 */
import type { Resource, ResourceName } from "../../machinery/resource.ts";
import type { StatusDetails } from "../../machinery/status.ts";
import { forbidden, qualified, StatusError } from "../../machinery/status.ts";
import type { Logger } from "../../observe/log.ts";
import type { Distribution } from "../../observe/metrics.ts";
import type { ClientTls, Net } from "../../world/net.ts";
import type { Clock, Random } from "../../world/world.ts";
import type { UserInfo } from "../authn/user.ts";
import type { Authorizer } from "../authz/authorizer.ts";
import type { ReviewTarget } from "../review-client.ts";
import type { WebhookClients } from "../webhook-clients.ts";
import type { CompiledPolicies, MatchConditions } from "./expressions.ts";
import type { AdmissionMetrics } from "./metrics.ts";
import { Rounds } from "./reinvocation.ts";

export type Operation = "CREATE" | "UPDATE" | "DELETE" | "CONNECT";

/** Untyped on purpose: a plugin meets every kind and looks into those it handles. */
export type AnyObject = any;

export interface AdmissionRequest {
  readonly operation: Operation;
  readonly resource: ResourceName;
  /** Where this is the request as somebody sees it who asked for another version: what it is really for. */
  readonly original?: ResourceName;
  /** Empty for the resource itself. */
  readonly subresource: string;
  readonly namespace: string;
  /** Empty for a create with generateName. */
  readonly name: string;
  /** The draft: `admit` may change it, `validate` may not. Undefined for DELETE. */
  object: AnyObject;
  readonly oldObject: AnyObject;
  readonly user: UserInfo;
  readonly dryRun: boolean;
  /** CreateOptions, UpdateOptions or DeleteOptions as a webhook sees them. */
  readonly options: Readonly<Record<string, unknown>>;
  readonly signal: AbortSignal;
  /** While the mutating halves run. */
  rounds?: Rounds;
  warn(text: string): void;
  /** Notes something in the audit event, of this level and above (Metadata); the first value of a key stays. */
  annotate?(key: string, value: string, level?: "Request"): void;
}

/** What plugins know of the cluster: the watch caches of this server, and etcd where a stale answer would be a wrong one. */
export interface ClusterView {
  get(resource: string, namespace: string, name: string): AnyObject | undefined;
  list(resource: string, namespace?: string): readonly AnyObject[];
  /** From an index. */
  podsOn(node: string): readonly AnyObject[];
  live(resource: string, namespace: string, name: string): Promise<AnyObject | undefined>;
  /** As the resource's version has them: all of a namespace, or the one with a name. */
  inVersion(resource: Resource, namespace: string, name?: string): Promise<readonly AnyObject[]>;
  /** A write of the server's own, through no filter: `change` gets the object there is. */
  update(
    resource: string,
    namespace: string,
    name: string,
    change: (current: AnyObject) => AnyObject | undefined,
    subresource?: string,
  ): Promise<AnyObject | undefined>;
}

export interface AdmissionContext {
  readonly cluster: ClusterView;
  readonly authorizer: Authorizer;
  readonly clock: Clock;
  readonly random: Random;
  readonly net: Net;
  readonly webhooks: WebhookClients;
  readonly log: Logger;
  readonly matchConditions: MatchConditions;
  readonly policies: CompiledPolicies;
  readonly metrics: AdmissionMetrics;
  /** As the server's own, through no filter; fine where it is there already. */
  createNamespace(name: string): Promise<void>;
  /** Whether a feature is on; `otherwise` is what it is when nobody says. */
  gate(name: string, otherwise: boolean): boolean;
  /** As it is declared, in the very version. */
  served(resource: ResourceName): Resource | undefined;
  /** Under which other groups and versions the same objects are served. */
  equivalents(resource: ResourceName): readonly Resource[];
  carryOver(object: AnyObject, from: ResourceName, to: ResourceName): Promise<AnyObject>;
  findKind(group: string, version: string, kind: string): Resource | undefined;
}

export interface AdmissionPlugin {
  readonly name: string;
  readonly onByDefault: boolean;
  readonly handles: {
    readonly operations: readonly Operation[];
    /** `pods`, `deployments.apps`; absent: all. A subresource is meant only where `subresources` is there. */
    readonly resources?: readonly string[];
    readonly subresources?: readonly string[];
  };
  /** What of the cluster it decides by: see `own-reads.ts`. */
  readonly reads?: readonly string[];
  admit?(request: AdmissionRequest, context: AdmissionContext): void | Promise<void>;
  validate?(request: AdmissionRequest, context: AdmissionContext): void | Promise<void>;
  /** For plugins that keep something or are told something: the halves of one server's plugin. Throws what is wrong with its configuration. */
  configure?(given: PluginConfiguration): AdmissionHalves;
}

export type AdmissionHalves = Pick<AdmissionPlugin, "admit" | "validate">;

/** What `--admission-control-config-file` says of a plugin, and what is in files that it names. */
export interface PluginConfiguration {
  /** The plugin's own configuration object; undefined where the file says nothing of it. */
  readonly configuration?: unknown;
  /** Where the plugin's own webhook is. */
  readonly target?: ReviewTarget;
  /** What is shown to a webhook at `host:port`. */
  readonly identify?: (target: string) => WebhookIdentity | undefined;
  readonly flags: AdmissionFlags;
}

export interface WebhookIdentity {
  readonly tls: Pick<ClientTls, "cert" | "key">;
  readonly token?: string;
}

/** Flags that are a plugin's. */
export interface AdmissionFlags {
  readonly notReadySeconds: number;
  readonly unreachableSeconds: number;
}

export function defineAdmission(plugin: AdmissionPlugin): AdmissionPlugin {
  return plugin;
}

/** The 403 of a plugin, in the common form. */
export function refuse(request: AdmissionRequest, text: string, details: StatusDetails = {}): StatusError {
  const { metadata } = request.object ?? request.oldObject ?? {};
  const name = request.name || metadata?.name || metadata?.generateName || "Unknown";
  const error = forbidden(request.resource, name, text);
  return new StatusError("Forbidden", error.message, { ...error.details, ...details });
}

/** An error of a plugin that upstream passes on as it is: it has no reason, and clients get a 500. */
export function unclassified(text: string): StatusError {
  return new StatusError("Unknown", text, {}, { code: 500 });
}

/** The parts of a pod that hold containers, with the path of each. */
export function containersOf(spec: AnyObject): readonly { readonly container: AnyObject; readonly path: string }[] {
  return (["initContainers", "containers", "ephemeralContainers"] as const).flatMap((list) =>
    ((spec?.[list] ?? []) as readonly AnyObject[]).map((container, i) => ({ container, path: `spec.${list}[${i}]` })),
  );
}

export interface Admission {
  admit(request: AdmissionRequest): Promise<void>;
  validate(request: AdmissionRequest): Promise<void>;
}

export function createAdmission(plugins: readonly AdmissionPlugin[], context: AdmissionContext): Admission {
  const { clock, metrics } = context;
  /** Where each plugin's time is counted, found once: every write passes here. */
  const times = plugins.map(() => ({ admit: new Map<Operation, Distribution>(), validate: new Map() }));
  const step = async (half: "admit" | "validate", request: AdmissionRequest): Promise<void> => {
    const { operation } = request;
    const started = clock.monotonic();
    let at = started;
    let running = "";
    let rejected = true;
    try {
      for (const [i, plugin] of plugins.entries()) {
        if (plugin[half] === undefined || !handles(plugin, request)) continue;
        running = plugin.name;
        // Awaited only where there is something to wait for: most plugins have nothing to do with most requests.
        const waiting = plugin[half](request, context);
        if (waiting !== undefined) await waiting;
        const now = clock.monotonic();
        let time: Distribution | undefined = times[i]![half].get(operation);
        if (time === undefined)
          times[i]![half].set(operation, (time = metrics.controller(running, half, operation, false)));
        time.observe((now - at) / 1000);
        at = now;
      }
      rejected = false;
    } finally {
      const now = clock.monotonic();
      if (rejected) metrics.controller(running, half, operation, true).observe((now - at) / 1000);
      metrics.step(half, operation, rejected, now - started);
    }
  };
  const admit = async (request: AdmissionRequest): Promise<void> => {
    const rounds = new Rounds();
    request.rounds = rounds;
    await step("admit", request);
    if (!rounds.isWanted) return;
    rounds.isAgain = true;
    await step("admit", request);
  };
  return { admit, validate: (request) => step("validate", request) };
}

function handles({ handles }: AdmissionPlugin, request: AdmissionRequest): boolean {
  if (!handles.operations.includes(request.operation)) return false;
  if (handles.resources === undefined) return true;
  if (!handles.resources.includes(qualified(request.resource))) return false;
  return request.subresource === "" || handles.subresources?.includes(request.subresource) === true;
}
