/** Runs one admission plugin on one request, against a cluster that is a list of objects. */
import { WebhookClients } from "../webhook-clients.ts";
import { isDeepStrictEqual } from "node:util";
import { StatusError } from "../../machinery/status.ts";
import { silent } from "../../observe/log.ts";
import type { World } from "../../world/world.ts";
import { configurePlugins } from "../admission/configuration.ts";
import { CompiledPolicies, MatchConditions } from "../admission/expressions.ts";
import type { AdmissionContext, AdmissionRequest, AnyObject, Operation } from "../admission/framework.ts";
import { createAdmission } from "../admission/framework.ts";
import { AdmissionMetrics } from "../admission/metrics.ts";
import { plugins } from "../admission/plugins/index.ts";
import type { UserInfo } from "../authn/user.ts";

export interface Decision {
  readonly plugin: string;
  /** What is asked, in words: `a pod whose class isn't there`. */
  readonly when: string;
  readonly operation?: Operation;
  /** `pods`, `certificatesigningrequests.certificates.k8s.io/approval`; default pods. */
  readonly resource?: string;
  readonly namespace?: string;
  readonly name?: string;
  readonly object?: AnyObject;
  readonly old?: AnyObject;
  readonly user?: UserInfo;
  readonly dryRun?: boolean;
  /** Objects there are, by resource. */
  readonly cluster?: Readonly<Record<string, readonly AnyObject[]>>;
  readonly configuration?: unknown;
  readonly gates?: Readonly<Record<string, boolean>>;
  /** What the user may, as `verb resource[/subresource] name`; everything where nothing is said. */
  readonly rights?: readonly string[];
  /** So often the same is asked; the last answer counts. */
  readonly times?: number;
  /** Upstream's words after `is forbidden: `, or with another code before them. Absent: it is let through. */
  readonly says?: string;
  /** What the object has then, as far as it is named here. */
  readonly becomes?: AnyObject;
  readonly warns?: readonly string[];
  /** Namespaces that came into being. */
  readonly makes?: readonly string[];
}

export interface Outcome {
  readonly says?: string;
  readonly object: AnyObject;
  readonly warns: readonly string[];
  readonly makes: readonly string[];
}

export async function decide(row: Decision, world: Pick<World, "clock" | "random" | "net">): Promise<Outcome> {
  const { operation = "CREATE", resource: path = "pods", namespace = "default", name = "", user } = row;
  const [full = "", subresource = ""] = path.split("/");
  const [plural = "", ...group] = full.split(".");
  const warns: string[] = [];
  const makes: string[] = [];
  const plugin = plugins.filter((one) => one.name === row.plugin);
  const objects = (resource: string): readonly AnyObject[] => row.cluster?.[resource] ?? [];
  const get = (resource: string, space: string, wanted: string) =>
    objects(resource).find(({ metadata }) => metadata.name === wanted && (metadata.namespace ?? "") === space);
  const context: AdmissionContext = {
    ...world,
    webhooks: new WebhookClients(world.net, world.clock),
    log: silent,
    cluster: {
      get,
      list: (resource, space = "") =>
        objects(resource).filter(({ metadata }) => space === "" || metadata.namespace === space),
      inVersion: async () => [],
      podsOn: (node) => objects("pods").filter(({ spec }) => spec.nodeName === node),
      live: async (resource, space, wanted) => get(resource, space, wanted),
      update: async (resource, space, wanted, change) => change(get(resource, space, wanted)),
    },
    authorizer: {
      authorize(asked) {
        const right = `${asked.verb} ${asked.resource}${asked.subresource === "" ? "" : `/${asked.subresource}`} ${asked.name}`;
        const may = row.rights === undefined || row.rights.includes(right);
        return { decision: may ? "allow" : "no opinion", reason: "" };
      },
      rulesFor: () => ({ rules: [], incomplete: false }),
    },
    matchConditions: new MatchConditions(),
    policies: new CompiledPolicies(),
    metrics: new AdmissionMetrics(),
    gate: (gate, otherwise) => row.gates?.[gate] ?? otherwise,
    createNamespace: async (made) => void makes.push(made),
    served: () => undefined,
    equivalents: () => [],
    carryOver: async (object) => object,
    findKind: (_, __, kind) => ({ plural: `${kind.toLowerCase()}s`, scope: "Namespaced" }) as never,
  };
  const request = (): AdmissionRequest => ({
    operation,
    resource: { group: group.join("."), version: "v1", kind: "", plural, scope: "Namespaced" },
    subresource,
    namespace: CLUSTER_WIDE.has(plural) ? "" : namespace,
    name: name || (operation === "CREATE" ? "" : ((row.object ?? row.old)?.metadata?.name ?? "")),
    object: structuredClone(row.object),
    oldObject: row.old,
    user: user ?? { name: "jane", groups: ["system:authenticated"] },
    dryRun: row.dryRun === true,
    options: {},
    signal: new AbortController().signal,
    warn: (text) => void warns.push(text),
  });
  let last = request();
  try {
    const configuration = new Map([[row.plugin, { configuration: row.configuration }]]);
    const admission = createAdmission(configurePlugins(plugin, { plugins: configuration }), context);
    for (let i = 0; i < (row.times ?? 1); i++) {
      last = request();
      await admission.admit(last);
      await admission.validate(last);
    }
  } catch (error) {
    return { says: wordsOf(error), object: last.object, warns, makes };
  }
  return { object: last.object, warns, makes };
}

const CLUSTER_WIDE = new Set([
  "namespaces",
  "nodes",
  "persistentvolumes",
  "certificatesigningrequests",
  "clustertrustbundles",
  "priorityclasses",
  "csinodes",
  "resourceslices",
  "volumeattributesclasses",
]);

function wordsOf(error: unknown): string {
  if (!(error instanceof StatusError)) return error instanceof Error ? error.message : String(error);
  if (error.reason === "Forbidden") return error.message.replace(/^.*? is forbidden: /, "");
  return `${error.code} ${error.message}`;
}

/** Whether all that `part` names is so in `whole`. */
export function contains(whole: AnyObject, part: AnyObject): boolean {
  if (typeof part !== "object" || part === null || Array.isArray(part))
    return isDeepStrictEqual(plain(whole), plain(part));
  return Object.entries(part).every(([key, value]) => contains(whole?.[key], value));
}

const plain = (value: unknown): unknown => (value === undefined ? undefined : JSON.parse(JSON.stringify(value)));
