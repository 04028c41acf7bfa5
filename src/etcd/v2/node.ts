/** Leaves and directories as they are kept, and as clients see them. Upstream: server/etcdserver/api/v2store/{node,node_extern,event}.go */

export interface Node {
  /** A leaf's. Directories have none. */
  readonly value?: string;
  readonly created: number;
  readonly modified: number;
  /** Wall time in ms. */
  readonly expires?: number;
}

/** In upstream's order of fields, so that it can be written as it is. */
export interface NodeView {
  readonly key?: string;
  readonly value?: string;
  readonly dir?: true;
  readonly expiration?: string;
  readonly ttl?: number;
  readonly nodes?: readonly NodeView[];
  readonly modifiedIndex?: number;
  readonly createdIndex?: number;
}

export type Action = "get" | "create" | "set" | "update" | "delete" | "compareAndSwap" | "compareAndDelete" | "expire";

export interface Event {
  readonly action: Action;
  readonly node: NodeView;
  readonly prevNode?: NodeView;
}

/** The store's own root and that of all keys: there from the beginning, and not to be changed. */
export const ROOT: Node = { created: 0, modified: 0 };
export const READ_ONLY: ReadonlySet<string> = new Set(["/", "/0", "/1"]);

export function isDir(node: Node): boolean {
  return node.value === undefined;
}

/** Names that begin with `_` are left out of lists and of what is told to watchers above them. */
export function isHidden(path: string): boolean {
  return path[path.lastIndexOf("/") + 1] === "_";
}

export function view(path: string, node: Node, now: number, nodes?: readonly NodeView[]): NodeView {
  return {
    key: path,
    ...(node.value === undefined ? { dir: true } : { value: node.value }),
    ...expiration(node.expires, now),
    ...(nodes !== undefined && nodes.length > 0 && { nodes }),
    ...indexes(node.modified, node.created),
  };
}

/** Zero is left out. */
export function indexes(modified: number, created: number): Pick<NodeView, "modifiedIndex" | "createdIndex"> {
  return { ...(modified !== 0 && { modifiedIndex: modified }), ...(created !== 0 && { createdIndex: created }) };
}

function expiration(expires: number | undefined, now: number): Pick<NodeView, "expiration" | "ttl"> {
  if (expires === undefined) return {};
  const ttl = Math.ceil((expires - now) / 1000);
  return { expiration: goTime(expires), ...(ttl !== 0 && { ttl }) };
}

/** RFC 3339 with as many digits as there are. */
export function goTime(ms: number): string {
  const text = new Date(Math.max(-62_135_596_800_000, Math.min(ms, 253_402_300_799_999))).toISOString();
  return text.replace(/\.?0*Z$/, "Z");
}

/** Without the part of the paths that is inside only. */
function trimView({ key, nodes, ...rest }: NodeView, prefix: string): NodeView {
  const trimmed = key?.startsWith(prefix) ? key.slice(prefix.length) : key;
  const { modifiedIndex, createdIndex, ...first } = rest;
  return {
    ...(trimmed && { key: trimmed }),
    ...first,
    ...(nodes !== undefined && { nodes: nodes.map((node) => trimView(node, prefix)) }),
    ...indexes(modifiedIndex ?? 0, createdIndex ?? 0),
  };
}

export function trimEvent({ action, node, prevNode }: Event, prefix: string): Event {
  return {
    action,
    node: trimView(node, prefix),
    ...(prevNode !== undefined && { prevNode: trimView(prevNode, prefix) }),
  };
}

/** JSON as Go's encoder writes it: safe in HTML. */
export function goJson(value: unknown): string {
  return JSON.stringify(value).replace(/\\\\|\\[bf]|[<>&\u2028\u2029]/g, (found) => {
    if (found === "\\\\") return found;
    const code = found === "\\b" ? 8 : found === "\\f" ? 12 : found.charCodeAt(0);
    return `\\u${code.toString(16).padStart(4, "0")}`;
  });
}
