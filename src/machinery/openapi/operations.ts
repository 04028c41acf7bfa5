/** The operations on a resource as paths and methods, from which both versions of OpenAPI are written. */
import { isBuiltinGroup } from "../discovery/groups.ts";
import { apiVersionOf, type Resource } from "../resource.ts";
import { META } from "./schemas.ts";

export interface Operation {
  readonly path: string;
  readonly method: "get" | "put" | "post" | "patch" | "delete" | "head" | "options";
  readonly id: string;
  readonly action: string;
  readonly description: string;
  readonly kind: { readonly group: string; readonly version: string; readonly kind: string };
  readonly parameters: readonly string[];
  /** The type of the body. */
  readonly body?: string;
  /** The type of the answer; absent where a stream is (`connect`). */
  readonly returns?: string;
  /** In which forms the answer is, where they aren't those of objects. */
  readonly types?: readonly string[];
  /** Answers come in the forms of a watch, too: lists' do, whether or not there is a watch. */
  readonly watchable?: boolean;
}

type ParameterType = "string" | "integer" | "boolean";

/** Parameters whose values aren't strings. */
const PARAMETER_TYPES: Readonly<Record<string, ParameterType>> = {
  allowWatchBookmarks: "boolean",
  follow: "boolean",
  force: "boolean",
  gracePeriodSeconds: "integer",
  ignoreStoreReadErrorWithClusterBreakingPotential: "boolean",
  insecureSkipTLSVerifyBackend: "boolean",
  limit: "integer",
  limitBytes: "integer",
  orphanDependents: "boolean",
  ports: "integer",
  previous: "boolean",
  sendInitialEvents: "boolean",
  sinceSeconds: "integer",
  stderr: "boolean",
  stdin: "boolean",
  stdout: "boolean",
  tailLines: "integer",
  timeoutSeconds: "integer",
  timestamps: "boolean",
  tty: "boolean",
  watch: "boolean",
};
export function parameterType(name: string): ParameterType {
  return PARAMETER_TYPES[name] ?? "string";
}

const LIST = [
  "allowWatchBookmarks",
  "continue",
  "fieldSelector",
  "labelSelector",
  "limit",
  "resourceVersion",
  "resourceVersionMatch",
  "sendInitialEvents",
  "shardSelector",
  "timeoutSeconds",
  "watch",
];
const WRITE = ["dryRun", "fieldManager", "fieldValidation"];
const DELETE = [
  "dryRun",
  "gracePeriodSeconds",
  "ignoreStoreReadErrorWithClusterBreakingPotential",
  "orphanDependents",
  "propagationPolicy",
];
const DELETE_COLLECTION = [
  "continue",
  "dryRun",
  "fieldSelector",
  "gracePeriodSeconds",
  "ignoreStoreReadErrorWithClusterBreakingPotential",
  "labelSelector",
  "limit",
  "orphanDependents",
  "propagationPolicy",
  "resourceVersion",
  "resourceVersionMatch",
  "sendInitialEvents",
  "shardSelector",
  "timeoutSeconds",
];

/** Subresources that carry a connection, with their parameters. */
const CONNECT: Readonly<Record<string, readonly string[]>> = {
  attach: ["container", "stderr", "stdin", "stdout", "tty"],
  exec: ["command", "container", "stderr", "stdin", "stdout", "tty"],
  portforward: ["ports"],
  proxy: ["path"],
};
const LOG = [
  "container",
  "follow",
  "insecureSkipTLSVerifyBackend",
  "limitBytes",
  "previous",
  "sinceSeconds",
  "stream",
  "tailLines",
  "timestamps",
];
const PROXY_METHODS = ["delete", "get", "head", "options", "patch", "post", "put"] as const;

/** `apps` -> `Apps`, `rbac.authorization.k8s.io` -> `RbacAuthorization`, the core group -> `Core`. */
export function groupWord(group: string): string {
  if (group === "") return "Core";
  return group
    .replace(/\.k8s\.io$/, "")
    .split(/[.-]/)
    .map(capitalized)
    .join("");
}

export function capitalized(word: string): string {
  return word === "" ? "" : word[0]!.toUpperCase() + word.slice(1);
}

export function rootOf({ group, version }: { readonly group: string; readonly version: string }): string {
  return `/${group === "" ? "api" : "apis"}/${apiVersionOf({ group, version })}`;
}

/** `typeOf` gives the OpenAPI name of a kind. */
export function operationsOf(
  resource: Resource,
  typeOf: (kind: { readonly group: string; readonly version: string; readonly kind: string }) => string,
): readonly Operation[] {
  const { group, version, kind, plural, listKind } = resource;
  const namespaced = resource.scope === "Namespaced";
  const custom = !isBuiltinGroup(group);
  const root = rootOf(resource);
  const place = namespaced ? `${root}/namespaces/{namespace}/${plural}` : `${root}/${plural}`;
  const named = `${place}/{name}`;
  const word = `${groupWord(group)}${capitalized(version)}`;
  const scoped = `${namespaced ? "Namespaced" : ""}${kind}`;
  const at = namespaced ? ["namespace", "pretty"] : ["pretty"];
  const atName = ["name", ...at];
  const type = typeOf(resource);
  const list = typeOf({ group, version, kind: listKind });
  const status = `${META}Status`;
  const options = `${META}DeleteOptions`;
  const has = (verb: string) => (resource.verbs as readonly string[]).includes(verb);
  const out: Operation[] = [];
  const add = (operation: Omit<Operation, "kind"> & { readonly kind?: Operation["kind"] }) =>
    out.push({ kind: { group, version, kind }, ...operation });

  const listing = `list ${custom || !has("watch") ? "" : "or watch "}objects of kind ${kind}`;
  if (has("list")) {
    if (namespaced)
      add({
        path: `${root}/${plural}`,
        method: "get",
        action: "list",
        id: `list${word}${kind}ForAllNamespaces`,
        description: listing,
        parameters: ["pretty", ...LIST],
        returns: list,
        watchable: true,
      });
    add({
      path: place,
      method: "get",
      action: "list",
      id: `list${word}${scoped}`,
      description: listing,
      parameters: [...at, ...LIST],
      returns: list,
      watchable: true,
    });
  }
  if (has("create"))
    add({
      path: place,
      method: "post",
      action: "post",
      id: `create${word}${scoped}`,
      description: `create ${article(kind)}`,
      parameters: [...at, ...WRITE],
      body: type,
      returns: type,
    });
  if (has("deletecollection"))
    add({
      path: place,
      method: "delete",
      action: "deletecollection",
      id: `delete${word}Collection${scoped}`,
      description: `delete collection of ${kind}`,
      parameters: [...at, ...(custom ? LIST : DELETE_COLLECTION)],
      ...(!custom && { body: options }),
      returns: status,
    });
  if (has("get"))
    add({
      path: named,
      method: "get",
      action: "get",
      id: `read${word}${scoped}`,
      description: `read the specified ${kind}`,
      parameters: custom ? [...atName, "resourceVersion"] : atName,
      returns: type,
    });
  if (has("update"))
    add({
      path: named,
      method: "put",
      action: "put",
      id: `replace${word}${scoped}`,
      description: `replace the specified ${kind}`,
      parameters: [...atName, ...WRITE],
      body: type,
      returns: type,
    });
  if (has("patch"))
    add({
      path: named,
      method: "patch",
      action: "patch",
      id: `patch${word}${scoped}`,
      description: `partially update the specified ${kind}`,
      parameters: [...atName, ...WRITE, "force"],
      body: `${META}Patch`,
      returns: type,
    });
  if (has("delete"))
    add({
      path: named,
      method: "delete",
      action: "delete",
      id: `delete${word}${scoped}`,
      description: `delete ${article(kind)}`,
      parameters: [...atName, ...DELETE],
      body: options,
      returns: DELETED_OBJECT.has(`${group}/${plural}`) ? type : status,
    });

  for (const [name, subresource] of Object.entries(resource.subresources).sort(([a], [b]) => (a < b ? -1 : 1))) {
    const path = `${named}/${name}`;
    const sub = capitalized(name);
    // A custom kind's Scale goes by the kind itself here.
    const of = custom ? { group, version, kind } : (subresource.kind ?? { group, version, kind });
    const connect = CONNECT[name];
    if (connect !== undefined) {
      const methods = name === "proxy" ? PROXY_METHODS : (["get", "post"] as const);
      const parameters = atName.filter((parameter) => parameter !== "pretty");
      for (const method of methods) {
        const words = `connect ${method.toUpperCase()} requests to ${name} of ${kind}`;
        add({
          path,
          method,
          action: "connect",
          kind: of,
          id: `connect${word}${capitalized(method)}${scoped}${sub}`,
          description: words,
          parameters: [...parameters, ...connect],
        });
        if (name === "proxy")
          add({
            path: `${path}/{path}`,
            method,
            action: "connect",
            kind: of,
            id: `connect${word}${capitalized(method)}${scoped}ProxyWithPath`,
            description: words,
            parameters: [...parameters, "path"],
          });
      }
      continue;
    }
    const subType = typeOf(subresource.kind ?? of);
    const what = `${name} of the specified ${kind}`;
    const can = (verb: string) => subresource.verbs.includes(verb);
    if (can("create"))
      add({
        path,
        method: "post",
        action: "post",
        kind: of,
        id: `create${word}${scoped}${sub}`,
        description: `create ${name} of ${article(kind)}`,
        parameters: [...atName, ...WRITE],
        body: subType,
        returns: subType,
      });
    if (can("get"))
      add({
        path,
        method: "get",
        action: "get",
        kind: of,
        id: `read${word}${scoped}${sub}`,
        description: `read ${what}`,
        parameters: name === "log" ? [...atName, ...LOG] : custom ? [...atName, "resourceVersion"] : atName,
        returns: name === "log" ? "string" : subType,
      });
    if (can("update"))
      add({
        path,
        method: "put",
        action: "put",
        kind: of,
        id: `replace${word}${scoped}${sub}`,
        description: `replace ${what}`,
        parameters: [...atName, ...WRITE],
        body: subType,
        returns: subType,
      });
    if (can("patch"))
      add({
        path,
        method: "patch",
        action: "patch",
        kind: of,
        id: `patch${word}${scoped}${sub}`,
        description: `partially update ${what}`,
        parameters: [...atName, ...WRITE, "force"],
        body: `${META}Patch`,
        returns: subType,
      });
  }
  if (has("watch")) {
    const watch = { method: "get", returns: `${META}WatchEvent`, watchable: true } as const;
    const all = `${root}/watch/${plural}`;
    const inside = namespaced ? `${root}/watch/namespaces/{namespace}/${plural}` : all;
    const words = `watch individual changes to a list of ${kind}`;
    if (namespaced)
      add({
        ...watch,
        path: all,
        action: "watchlist",
        id: `watch${word}${kind}ListForAllNamespaces`,
        description: words,
        parameters: ["pretty", ...LIST],
      });
    add({
      ...watch,
      path: inside,
      action: "watchlist",
      id: `watch${word}${scoped}List`,
      description: words,
      parameters: [...at, ...LIST],
    });
    add({
      ...watch,
      path: `${inside}/{name}`,
      action: "watch",
      id: `watch${word}${scoped}`,
      description: `watch changes to an object of kind ${kind}`,
      parameters: [...atName, ...LIST],
    });
  }
  return out;
}

/** Deleting one of these answers with the object, also when it is gone at once. */
const DELETED_OBJECT: ReadonlySet<string> = new Set([
  "/persistentvolumeclaims",
  "/persistentvolumes",
  "/pods",
  "/podtemplates",
  "/resourcequotas",
  "/serviceaccounts",
  "/services",
  "storage.k8s.io/csidrivers",
  "storage.k8s.io/csinodes",
  "storage.k8s.io/storageclasses",
  "storage.k8s.io/volumeattachments",
  "storage.k8s.io/volumeattributesclasses",
  "resource.k8s.io/deviceclasses",
  "resource.k8s.io/devicetaintrules",
  "resource.k8s.io/resourceclaims",
  "resource.k8s.io/resourceclaimtemplates",
  "resource.k8s.io/resourceslices",
  "resource.k8s.io/resourcepoolstatusrequests",
]);

function article(kind: string): string {
  return `${/^[AEIOU]/.test(kind) ? "an" : "a"} ${kind}`;
}
