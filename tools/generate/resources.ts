/** Writes `src/api/generated/resources.json`: what is served where, and the parts of each kind's life cycle that are plain facts. */
import { readFileSync, writeFileSync } from "node:fs";

interface GroupVersionKind {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
}
interface Operation {
  readonly path: string;
  readonly method: string;
  readonly action?: string;
  readonly gvk?: GroupVersionKind;
}
interface Strategy {
  readonly group: string;
  readonly versions: readonly string[];
  readonly plural: string;
  readonly kind: string;
  readonly servedByDefault: Readonly<Record<string, boolean>>;
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly prepareForCreate: readonly string[];
  readonly prepareForUpdate: readonly string[];
  readonly statusStrategy: readonly string[] | null;
  readonly allowCreateOnUpdate: boolean | null;
  readonly allowUnconditionalUpdate: boolean | null;
  /** By endpoint and then by apiVersion. */
  readonly resetFields: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> | null;
  readonly storageKey: string | null;
  readonly storageVersion: string | null;
}
interface Subresource {
  verbs: string[];
  kind?: GroupVersionKind;
}
interface Row {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  readonly plural: string;
  readonly singular: string;
  scope: "Namespaced" | "Cluster";
  readonly schema: string;
  readonly verbs: string[];
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly subresources: Record<string, Subresource>;
  readonly servedByDefault: boolean;
  readonly createOnUpdate: boolean;
  readonly unconditionalUpdate: boolean;
  readonly storage: { readonly prefix: string; readonly group: string; readonly version: string } | null;
  readonly strategy: readonly string[];
  readonly resetFields: Readonly<Record<string, readonly string[]>>;
}

/** The order of discovery: by group priority, newest stable version first. */
const GROUPS: readonly string[] = [
  "",
  "apiregistration.k8s.io",
  "apps",
  "events.k8s.io",
  "authentication.k8s.io",
  "authorization.k8s.io",
  "autoscaling",
  "batch",
  "certificates.k8s.io",
  "networking.k8s.io",
  "policy",
  "rbac.authorization.k8s.io",
  "storage.k8s.io",
  "admissionregistration.k8s.io",
  "apiextensions.k8s.io",
  "scheduling.k8s.io",
  "coordination.k8s.io",
  "node.k8s.io",
  "discovery.k8s.io",
  "resource.k8s.io",
  "flowcontrol.apiserver.k8s.io",
  "internal.apiserver.k8s.io",
  "storagemigration.k8s.io",
];
const VERSIONS: readonly string[] = ["v2", "v1", "v1beta2", "v1beta1", "v1alpha3", "v1alpha2", "v1alpha1"];

const VERBS: Readonly<Record<string, string>> = {
  get: "get",
  list: "list",
  watchlist: "watch",
  put: "update",
  patch: "patch",
  post: "create",
  delete: "delete",
  deletecollection: "deletecollection",
};
const CONNECT_VERBS: Readonly<Record<string, string>> = {
  get: "get",
  post: "create",
  put: "update",
  patch: "patch",
  delete: "delete",
};

/** `/apis/apps/v1/namespaces/{namespace}/deployments/{name}/scale` in its parts; undefined for paths that aren't of a resource. */
export function parsePath(path: string) {
  const match =
    /^\/(?:api|apis\/([^/]+))\/(v[^/]+)\/(?:watch\/)?(namespaces\/\{namespace\}\/)?([a-z]+)(?:\/\{name\})?(?:\/([a-z]+)(?:\/\{path\})?)?$/.exec(
      path,
    );
  if (match === null) return undefined;
  const [, group = "", version, namespace, plural, subresource] = match;
  return { group, version: version!, plural: plural!, namespaced: namespace !== undefined, subresource };
}

export function resourceRows(facts: string): readonly Row[] {
  const openapi = JSON.parse(readFileSync(`${facts}/kubernetes-openapi-1.36.json`, "utf8")) as {
    readonly schemas: Readonly<
      Record<string, { readonly "x-kubernetes-group-version-kind"?: readonly GroupVersionKind[] }>
    >;
    readonly operations: readonly Operation[];
  };
  const strategies = JSON.parse(readFileSync(`${facts}/strategies.json`, "utf8")) as {
    readonly resources: readonly Strategy[];
  };
  const schemaOf = new Map<string, string>();
  for (const [name, schema] of Object.entries(openapi.schemas))
    for (const gvk of schema["x-kubernetes-group-version-kind"] ?? [])
      if (!name.startsWith("io.k8s.apimachinery")) schemaOf.set(`${gvk.group}/${gvk.version}/${gvk.kind}`, name);

  const rows = new Map<string, Row>();
  for (const operation of openapi.operations) {
    const at = parsePath(operation.path);
    const gvk = operation.gvk;
    if (at === undefined || gvk === undefined || operation.action === undefined) continue;
    const strategy = strategies.resources.find(
      (s) => s.group === at.group && s.plural === at.plural && s.versions.includes(at.version),
    );
    if (strategy === undefined) throw new Error(`no strategy for ${operation.path}`);
    const key = `${at.group}/${at.version}/${at.plural}`;
    let row = rows.get(key);
    if (row === undefined) {
      row = {
        group: at.group,
        version: at.version,
        kind: strategy.kind,
        plural: at.plural,
        singular: strategy.singular,
        scope: "Cluster",
        schema: schemaOf.get(`${at.group}/${at.version}/${strategy.kind}`)!,
        verbs: [],
        shortNames: strategy.shortNames,
        categories: strategy.categories,
        subresources: {},
        servedByDefault: strategy.servedByDefault[at.version] === true,
        createOnUpdate: strategy.allowCreateOnUpdate === true,
        unconditionalUpdate: strategy.allowUnconditionalUpdate === true,
        storage: storageOf(strategy),
        strategy: strategyFlags(strategy),
        resetFields: resetFieldsOf(strategy, at.group === "" ? at.version : `${at.group}/${at.version}`),
      };
      rows.set(key, row);
    }
    if (at.namespaced) row.scope = "Namespaced";
    if (at.subresource === undefined) {
      add(row.verbs, VERBS[operation.action]);
      continue;
    }
    const subresource = (row.subresources[at.subresource] ??= { verbs: [] });
    add(subresource.verbs, operation.action === "connect" ? CONNECT_VERBS[operation.method] : VERBS[operation.action]);
    if (gvk.kind !== row.kind) subresource.kind = gvk;
  }
  const rank = (row: Row) => GROUPS.indexOf(row.group) * 100 + VERSIONS.indexOf(row.version);
  const sorted = [...rows.values()].sort((a, b) => rank(a) - rank(b) || (a.plural < b.plural ? -1 : 1));
  for (const row of sorted) {
    row.verbs.sort();
    for (const subresource of Object.values(row.subresources)) subresource.verbs.sort();
  }
  return sorted;
}

function add(verbs: string[], verb: string | undefined): void {
  if (verb !== undefined && !verbs.includes(verb)) verbs.push(verb);
}

function storageOf(strategy: Strategy): Row["storage"] {
  if (strategy.storageKey === null || strategy.storageVersion === null) return null;
  const prefix = strategy.storageKey.replace(/^\/registry\//, "").replace(/\/<.*$/, "");
  const [group, version] = strategy.storageVersion.includes("/")
    ? strategy.storageVersion.split("/")
    : ["", strategy.storageVersion];
  // Upstream writes CRDs in a version that it no longer serves, and reads this one as well.
  if (strategy.kind === "CustomResourceDefinition") return { prefix, group: group!, version: "v1" };
  return { prefix, group: group!, version: version! };
}

/** The rules that many kinds share; what is left is code beside the kind. */
function strategyFlags(strategy: Strategy): string[] {
  const create = strategy.prepareForCreate;
  const update = strategy.prepareForUpdate;
  const status = strategy.statusStrategy ?? [];
  const some = (list: readonly string[], start: string) => list.some((text) => text.startsWith(start));
  return [
    ...(some(create, "status cleared") || some(create, "status set to absent") ? ["clearStatusOnCreate"] : []),
    ...(some(create, "metadata.generation=1") ? ["generationFromOne"] : []),
    ...(some(update, "generation = old+1 when spec differs") || some(update, "generation +1 when spec differs")
      ? ["generationCountsSpec"]
      : []),
    ...(some(update, "status copied from old") ? ["keepStatusOnUpdate"] : []),
    ...(some(status, "metadata reset from old") ||
    some(status, "metadata copied from old") ||
    some(status, "labels, annotations, finalizers, ownerReferences copied")
      ? ["statusKeepsMetadata"]
      : []),
  ];
}

/** What nobody gains by a write there, by subresource ("" for the object itself). */
function resetFieldsOf({ resetFields }: Strategy, apiVersion: string): Row["resetFields"] {
  const found = Object.entries(resetFields ?? {}).flatMap(([endpoint, byVersion]) => {
    const fields = byVersion[apiVersion];
    return fields === undefined ? [] : [[endpoint === "main" ? "" : endpoint, fields] as const];
  });
  return Object.fromEntries(found);
}

export function writeResources(facts: string): void {
  const rows = resourceRows(facts).map((row) => `  ${JSON.stringify(row)}`);
  writeFileSync("src/api/generated/resources.json", `[\n${rows.join(",\n")}\n]\n`);
}

/** Every path that upstream serves and its methods, for the test that asks for each of them. */
export function writeOperations(facts: string): void {
  const { operations } = JSON.parse(readFileSync(`${facts}/kubernetes-openapi-1.36.json`, "utf8")) as {
    readonly operations: readonly Operation[];
  };
  const paths = new Map<string, string[]>();
  for (const { path, method } of operations) paths.set(path, [...(paths.get(path) ?? []), method]);
  const lines = [...paths].map(
    ([path, methods]) => `  ${JSON.stringify(path)}: ${JSON.stringify(methods.sort().join(" "))}`,
  );
  writeFileSync("src/apiserver/testing/operations.json", `{\n${lines.join(",\n")}\n}\n`);
}
