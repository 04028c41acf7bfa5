/** What a URL asks for: resource, verb, object. Filters use this and never look at the path again. Upstream: pkg/endpoints/request/requestinfo.go. */
export interface RequestInfo {
  readonly isResourceRequest: boolean;
  readonly path: string;
  /** For a resource `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`; else the method in lower case. */
  readonly verb: string;
  readonly apiPrefix: string;
  readonly apiGroup: string;
  readonly apiVersion: string;
  /** Empty for a cluster-scoped request. */
  readonly namespace: string;
  readonly resource: string;
  readonly subresource: string;
  readonly name: string;
  /** The path behind the group and version, and behind the namespace: `["pods", "a", "proxy", "x"]`. */
  readonly parts: readonly string[];
  readonly fieldSelector: string;
  readonly labelSelector: string;
  /** In the old form, `/api/v1/watch/pods`. */
  readonly watched: boolean;
}

const SLASH = 47;
const VERBS: Readonly<Record<string, string>> = {
  GET: "get",
  HEAD: "get",
  POST: "create",
  PUT: "update",
  PATCH: "patch",
  DELETE: "delete",
};
/** Subresources of a namespace, where the third part would otherwise be a resource in it. */
const NAMESPACE_SUBRESOURCES = new Set(["status", "finalize"]);

export function requestInfo(method: string, path: string, query: URLSearchParams | undefined): RequestInfo {
  // As Go has it: a slash that was written `%2f` is one as well, for whoever reads the path.
  const decoded = decodedPath(path);
  const split = withoutSlashesAround(decoded).split("/");
  const grouped = split[0] === "apis";
  if (split.length < 3 || (split[0] !== "api" && !grouped)) return noResource(method, decoded);
  if (grouped && split.length < 4) return noResource(method, decoded);
  const apiPrefix = split[0]!;
  const apiGroup = grouped ? split[1]! : "";
  const apiVersion = grouped ? split[2]! : split[1]!;
  let rest = split.slice(grouped ? 3 : 2);
  let verb = VERBS[method] ?? "";
  const watched = rest[0] === "watch";
  if (rest[0] === "watch" || rest[0] === "proxy") {
    if (rest.length < 2) return { ...noResource(method, decoded), apiPrefix, apiGroup, apiVersion };
    verb = rest[0];
    rest = rest.slice(1);
  }
  let namespace = "";
  if (rest[0] === "namespaces" && rest.length > 1) {
    namespace = rest[1]!;
    if (rest.length > 2 && !NAMESPACE_SUBRESOURCES.has(rest[2]!)) rest = rest.slice(2);
  }
  const resource = rest[0] ?? "";
  let name = rest[1] ?? "";
  const subresource = rest.length > 2 && verb !== "proxy" ? rest[2]! : "";
  const fieldSelector = query?.get("fieldSelector") ?? "";
  const watches = query !== undefined && isTrue(query.get("watch"));
  if (name === "" && verb === "get") {
    verb = watches ? "watch" : "list";
    name = nameSelected(fieldSelector);
  } else if (name === "" && verb === "watch") {
    name = nameSelected(fieldSelector);
  } else if (name === "" && verb === "delete") {
    verb = "deletecollection";
    name = nameSelected(fieldSelector);
  }
  return {
    isResourceRequest: true,
    path,
    verb,
    apiPrefix,
    apiGroup,
    apiVersion,
    namespace,
    resource,
    subresource,
    name,
    parts: rest,
    fieldSelector,
    labelSelector: query?.get("labelSelector") ?? "",
    watched,
  };
}

function noResource(method: string, path: string): RequestInfo {
  return {
    isResourceRequest: false,
    path,
    verb: method.toLowerCase(),
    apiPrefix: "",
    apiGroup: "",
    apiVersion: "",
    namespace: "",
    resource: "",
    subresource: "",
    name: "",
    parts: [],
    fieldSelector: "",
    labelSelector: "",
    watched: false,
  };
}

function withoutSlashesAround(path: string): string {
  let start = 0;
  let end = path.length;
  while (path.charCodeAt(start) === SLASH) start++;
  while (end > start && path.charCodeAt(end - 1) === SLASH) end--;
  return path.slice(start, end);
}

/** Go's idea of a true query value: present and neither false nor 0. */
export function isTrue(value: string | null): boolean {
  return value !== null && value !== "0" && value.toLowerCase() !== "false";
}

function nameSelected(fieldSelector: string): string {
  if (fieldSelector === "") return "";
  return /^(?:.*,)?metadata\.name={1,2}([^,]+)(?:,.*)?$/.exec(fieldSelector)?.[1] ?? "";
}

/** Broken UTF-8 stays as it is written. */
export function decodedPath(path: string): string {
  if (!path.includes("%")) return path;
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

const LONG_RUNNING_SUBRESOURCES = new Set(["attach", "exec", "proxy", "log", "portforward"]);

/** No deadline, no place in a queue: watches and streams. */
export function isLongRunning(info: RequestInfo): boolean {
  return info.verb === "watch" || info.verb === "proxy" || LONG_RUNNING_SUBRESOURCES.has(info.subresource);
}
