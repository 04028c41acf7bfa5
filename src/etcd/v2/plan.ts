/**
 * Plans a request: from the present tree to the operations of one v3 transaction and the event that reports it. Pure; a plan is valid while the
 * tree's index is unchanged.
 * Upstream: server/etcdserver/api/v2store/store.go, server/etcdserver/apply_v2.go
 */
import { V2Error } from "./errors.ts";
import type { Change, Planned, StoredEvent, Tree } from "./layout.ts";
import {
  indexes,
  isDir,
  isHidden,
  READ_ONLY,
  view,
  type Action,
  type Event,
  type Node,
  type NodeView,
} from "./node.ts";
import type { Write } from "./request.ts";
import type { Counted } from "./stats.ts";

export interface Plan extends Planned {
  readonly event: StoredEvent;
}

/** Times before it are taken for none: they come from clients that wrote a zero. */
const EARLIEST = Date.UTC(2000, 0, 1);

export function planWrite(tree: Tree, request: Write, now: number): Plan {
  const { method, prevExist, prevIndex, prevValue } = request;
  const compares = prevIndex > 0n || prevValue !== "";
  switch (method) {
    case "POST":
      return create(tree, inOrder(tree, request), "create", now);
    case "DELETE":
      return compares ? compareAndDelete(tree, request, now) : remove(tree, request, now);
    case "PUT":
      if (prevExist === false) return create(tree, request, "create", now);
      if (compares) return compareAndSwap(tree, request, now);
      return prevExist === true ? update(tree, request, now) : set(tree, request, now);
  }
}

/**
 * What `/v2/stats/store` counts a request as. Some failures count as successes: upstream's counters look at a variable that those paths
 * never set.
 */
export function countsAs(request: Write, error?: V2Error): readonly Counted[] {
  const { method, prevExist, prevIndex, prevValue } = request;
  const compares = prevIndex > 0n || prevValue !== "";
  const creates = method === "POST" || (method === "PUT" && prevExist === false);
  const isSet = method === "PUT" && !creates && !compares && prevExist === undefined;
  if (error === undefined || !creates) {
    const lookedUp = error?.kind === "keyNotFound" || error?.kind === "notDir";
    const fails = error !== undefined && (isSet || lookedUp);
    if (method === "DELETE") {
      if (compares) return [fails ? "compareAndDeleteFail" : "compareAndDeleteSuccess"];
      const refused = error?.kind === "dirNotEmpty" || error?.kind === "notFile";
      return [fails || refused ? "deleteFail" : "deleteSuccess"];
    }
    if (creates) return ["createSuccess"];
    if (compares) {
      const refused = error?.kind === "testFailed" || error?.kind === "notFile";
      return [fails || refused ? "compareAndSwapFail" : "compareAndSwapSuccess"];
    }
    if (!isSet) return [fails ? "updateFail" : "updateSuccess"];
    return [fails ? "setsFail" : "setsSuccess"];
  }
  // A path that leads through a leaf is counted as a failed set beside.
  return error.kind === "notDir" ? ["setsFail", "createFail"] : ["createFail"];
}

export function planGet(tree: Tree, path: string, recursive: boolean, now: number): Event {
  const node = find(tree, path);
  return { action: "get", node: view(path, node, now, isDir(node) ? list(tree, path, recursive, now) : undefined) };
}

function list(tree: Tree, path: string, recursive: boolean, now: number): NodeView[] {
  const nodes: NodeView[] = [];
  for (const [child, node] of tree.children(path)) {
    if (isHidden(child)) continue;
    nodes.push(view(child, node, now, recursive && isDir(node) ? list(tree, child, true, now) : undefined));
  }
  return nodes;
}

/** Undefined where the reminder is all that is left. */
export function planExpiry(
  tree: Tree,
  { expires, path }: { readonly expires: number; readonly path: string },
  now: number,
): Planned {
  const node = tree.get(path);
  // Times before 1970 share a reminder.
  if (node === undefined || node.expires === undefined || Math.max(0, node.expires) !== expires)
    return { changes: [{ kind: "forget", expires, path }] };
  return removal(tree, "expire", path, node, now);
}

/** The node, or what is wrong with the way to it. */
function find(tree: Tree, path: string): Node {
  let node = tree.get("/")!;
  let at = "";
  for (const name of path.split("/")) {
    if (name === "") continue;
    if (!isDir(node)) throw new V2Error("notDir", at, tree.index);
    at += `/${name}`;
    const next = tree.get(at);
    if (next === undefined) throw new V2Error("keyNotFound", at, tree.index);
    node = next;
  }
  return node;
}

function refuseReadOnly(tree: Tree, path: string): void {
  if (READ_ONLY.has(path)) throw new V2Error("rootReadOnly", "/", tree.index);
}

function inOrder(tree: Tree, request: Write): Write {
  return { ...request, path: `${request.path}/${String(tree.index + 1).padStart(20, "0")}` };
}

/** `previous` is what is replaced, where that is allowed. */
function create(tree: Tree, request: Write, action: Action, now: number): Plan {
  const { path, dir, value } = request;
  refuseReadOnly(tree, path);
  const index = tree.index + 1;
  const expires = request.expires !== undefined && request.expires >= EARLIEST ? request.expires : undefined;
  const node: Node = {
    ...(!dir && { value }),
    created: index,
    modified: index,
    ...(expires !== undefined && { expires }),
  };
  const changes: Change[] = [];
  const names = path.split("/").slice(1, -1);
  let at = "";
  for (const name of names) {
    at += `/${name}`;
    const parent = tree.get(at);
    if (parent === undefined) changes.push({ kind: "put", path: at, node: { created: index, modified: index } });
    else if (!isDir(parent)) throw new V2Error("notDir", at, tree.index);
  }
  const previous = tree.get(path);
  if (previous !== undefined) {
    if (action !== "set") throw new V2Error("nodeExist", path, tree.index);
    if (isDir(previous)) throw new V2Error("notFile", path, tree.index);
    if (previous.expires !== undefined) changes.push({ kind: "forget", expires: previous.expires, path });
  }
  changes.push({ kind: "put", path: path, node: node });
  if (expires !== undefined) changes.push({ kind: "remind", expires: expires, path });
  return {
    changes,
    event: {
      action,
      node: view(path, node, now),
      ...(previous !== undefined && { prevNode: view(path, previous, now) }),
    },
  };
}

function set(tree: Tree, request: Write, now: number): Plan {
  let { value } = request;
  try {
    const previous = find(tree, request.path);
    if (request.refresh) value = previous.value ?? "";
  } catch (error) {
    if (!(error instanceof V2Error) || error.kind !== "keyNotFound" || request.refresh) throw error;
  }
  return quiet(request, create(tree, { ...request, value }, "set", now));
}

function update(tree: Tree, request: Write, now: number): Plan {
  const { path, refresh } = request;
  refuseReadOnly(tree, path);
  const previous = find(tree, path);
  if (isDir(previous) && request.value !== "") throw new V2Error("notFile", path, tree.index);
  const value = refresh ? (previous.value ?? "") : request.value;
  return change(tree, request, "update", previous, value, now);
}

function compareAndSwap(tree: Tree, request: Write, now: number): Plan {
  const { path, refresh } = request;
  refuseReadOnly(tree, path);
  const previous = find(tree, path);
  if (isDir(previous)) throw new V2Error("notFile", path, tree.index);
  compare(tree, request, previous);
  return change(tree, request, "compareAndSwap", previous, refresh ? previous.value! : request.value, now);
}

/** The same node with another value and time. A directory that changes keeps its old index: only its event tells the new one. */
function change(tree: Tree, request: Write, action: Action, previous: Node, value: string, now: number): Plan {
  const { path, expires } = request;
  const index = tree.index + 1;
  const node: Node = {
    ...(!isDir(previous) && { value }),
    created: previous.created,
    modified: isDir(previous) ? previous.modified : index,
    ...(expires !== undefined && { expires }),
  };
  const changes: Change[] = [];
  if (previous.expires !== undefined && previous.expires !== expires)
    changes.push({ kind: "forget", expires: previous.expires, path });
  changes.push({ kind: "put", path: path, node: node });
  if (expires !== undefined) changes.push({ kind: "remind", expires: expires, path });
  const told = { ...node, modified: index };
  const event: StoredEvent = {
    action,
    node: view(path, told, now),
    prevNode: view(path, previous, now),
  };
  return quiet(request, { changes, event });
}

/** A refresh changes a time and nothing that watchers wait for. */
function quiet({ refresh }: Write, plan: Plan): Plan {
  return refresh ? { ...plan, event: { ...plan.event, refresh: true } } : plan;
}

function remove(tree: Tree, { path, dir, recursive }: Write, now: number): Plan {
  refuseReadOnly(tree, path);
  const node = find(tree, path);
  if (isDir(node)) {
    if (!dir && !recursive) throw new V2Error("notFile", path, tree.index);
    if (!recursive) for (const _ of tree.children(path)) throw new V2Error("dirNotEmpty", path, tree.index);
  }
  return removal(tree, "delete", path, node, now);
}

function compareAndDelete(tree: Tree, request: Write, now: number): Plan {
  const { path } = request;
  const node = find(tree, path);
  if (isDir(node)) throw new V2Error("notFile", path, tree.index);
  compare(tree, request, node);
  return removal(tree, "compareAndDelete", path, node, now);
}

function removal(tree: Tree, action: Action, path: string, node: Node, now: number): Plan {
  const index = tree.index + 1;
  const changes: Change[] = [{ kind: "remove", path, node }];
  if (node.expires !== undefined) changes.push({ kind: "forget", expires: node.expires, path });
  return {
    changes,
    event: {
      action,
      node: { key: path, ...(isDir(node) && { dir: true }), ...indexes(index, node.created) },
      prevNode: view(path, node, now),
    },
  };
}

/** Both where both are given. */
function compare(tree: Tree, { prevValue, prevIndex }: Write, node: Node): void {
  const valueHolds = prevValue === "" || node.value === prevValue;
  const indexHolds = prevIndex === 0n || BigInt(node.modified) === prevIndex;
  if (valueHolds && indexHolds) return;
  const failed = [
    ...(valueHolds ? [] : [`[${prevValue} != ${node.value}]`]),
    ...(indexHolds ? [] : [`[${prevIndex} != ${node.modified}]`]),
  ];
  throw new V2Error("testFailed", failed.join(" "), tree.index);
}
