/**
 * The graph of owners and dependents over all resources. It is fed with watch events, and each call returns the objects that need attention. An
 * owner that has not been observed is a virtual node until somebody has looked it up. Pure.
 * Upstream: pkg/controller/garbagecollector/graph_builder.go
 */
import type { KubeObject } from "../../machinery/meta/object.ts";
import type { OwnerReference } from "../../machinery/meta/types.ts";

export const FOREGROUND = "foregroundDeletion";
export const ORPHAN = "orphan";

export interface Identity {
  readonly apiVersion: string;
  readonly kind: string;
  /** Empty for cluster-scoped objects. */
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
}

export interface Node {
  identity: Identity;
  owners: readonly OwnerReference[];
  readonly dependents: Set<Node>;
  /** Its deletionTimestamp is set. */
  beingDeleted: boolean;
  /** It waits for its dependents to be gone. */
  deletingDependents: boolean;
  /** Known only from a reference to it. */
  virtual: boolean;
}

/** What to look at after a change. */
export interface Looks {
  readonly delete: readonly Node[];
  readonly orphan: readonly Node[];
  /** Dependents whose owner lives in another namespace. */
  readonly misplaced: readonly { readonly node: Node; readonly owner: OwnerReference }[];
}

const NOTHING: Looks = { delete: [], orphan: [], misplaced: [] };

export class Graph {
  readonly #nodes = new Map<string, Node>();
  readonly #absent = new AbsentOwners(500);
  readonly #isNamespaced: (reference: OwnerReference) => boolean | undefined;

  constructor(isNamespaced: (reference: OwnerReference) => boolean | undefined) {
    this.#isNamespaced = isNamespaced;
  }

  get size(): number {
    return this.#nodes.size;
  }

  node(uid: string): Node | undefined {
    return this.#nodes.get(uid);
  }

  knownAbsent(reference: OwnerReference, namespace: string): boolean {
    return this.#absent.has(identityOf(reference, "")) || this.#absent.has(identityOf(reference, namespace));
  }

  noteAbsent(identity: Identity): void {
    this.#absent.add(identity);
  }

  /** An object was seen, new or changed. */
  observe(object: KubeObject): Looks {
    const identity = identityOfObject(object);
    const owners = object.metadata.ownerReferences ?? [];
    const finalizers = object.metadata.finalizers ?? [];
    const beingDeleted = object.metadata.deletionTimestamp !== undefined;
    const looks = collector();
    let node = this.#nodes.get(identity.uid);
    const before = node !== undefined && !node.virtual ? { ...node } : undefined;

    if (node === undefined) {
      node = {
        identity,
        owners: [],
        dependents: new Set(),
        beingDeleted: false,
        deletingDependents: false,
        virtual: false,
      };
      this.#nodes.set(identity.uid, node);
    } else if (node.virtual) {
      // The owner exists after all. Those who named it otherwise are looked at: their reference is to something else.
      if (!sameIdentity(node.identity, identity))
        for (const dependent of node.dependents) if (!pointsAt(dependent, identity)) looks.delete.add(dependent);
      node.identity = identity;
      node.virtual = false;
    }
    this.#relink(node, owners, looks);
    node.beingDeleted = beingDeleted;

    const wasOrphaning = before?.beingDeleted === true;
    if (beingDeleted && !wasOrphaning && finalizers.includes(ORPHAN)) looks.orphan.add(node);
    if (beingDeleted && finalizers.includes(FOREGROUND)) {
      if (!node.deletingDependents) {
        node.deletingDependents = true;
        for (const dependent of node.dependents) looks.delete.add(dependent);
        looks.delete.add(node);
      }
    }
    return looks.result();
  }

  /** An object is gone. */
  forget(object: KubeObject): Looks {
    return this.#remove(identityOfObject(object), false);
  }

  /** The server was asked for an owner that was never seen, and has none. */
  forgetVirtual(identity: Identity): Looks {
    return this.#remove(identity, true);
  }

  #remove(identity: Identity, asked: boolean): Looks {
    const node = this.#nodes.get(identity.uid);
    if (node === undefined) {
      if (asked) this.#absent.add(identity);
      return NOTHING;
    }
    const looks = collector();
    if (asked) {
      this.#absent.add(identity);
      const others: Node[] = [];
      for (const dependent of node.dependents)
        if (pointsAt(dependent, identity)) looks.delete.add(dependent);
        else others.push(dependent);
      // Some know the same uid under another name: that one is asked for next.
      const next = nextIdentity(node, others);
      if (next !== undefined && node.virtual) {
        node.identity = next;
        looks.delete.add(node);
        return looks.result();
      }
      if (others.length > 0 && !node.virtual) return looks.result();
    }
    this.#nodes.delete(identity.uid);
    for (const { uid } of node.owners) {
      const owner = this.#nodes.get(uid);
      owner?.dependents.delete(node);
      if (owner?.deletingDependents) looks.delete.add(owner);
      if (owner?.virtual && owner.dependents.size === 0) this.#nodes.delete(uid);
    }
    if (node.dependents.size > 0) this.#absent.add(identity);
    for (const dependent of node.dependents) looks.delete.add(dependent);
    return looks.result();
  }

  #relink(node: Node, owners: readonly OwnerReference[], looks: ReturnType<typeof collector>): void {
    const old = node.owners;
    node.owners = owners;
    for (const reference of old) {
      const kept = owners.find(({ uid }) => uid === reference.uid);
      const owner = this.#nodes.get(reference.uid);
      if (owner === undefined) continue;
      // An owner that waits for its dependents has one less to wait for.
      if (reference.blockOwnerDeletion && !kept?.blockOwnerDeletion && owner.deletingDependents)
        looks.delete.add(owner);
      if (kept !== undefined) continue;
      owner.dependents.delete(node);
      if (owner.virtual && owner.dependents.size === 0) this.#nodes.delete(reference.uid);
    }
    for (const reference of owners) {
      if (old.some(({ uid }) => uid === reference.uid)) continue;
      const { namespace } = node.identity;
      let owner = this.#nodes.get(reference.uid);
      if (owner === undefined) {
        owner = {
          identity: identityOf(reference, this.#isNamespaced(reference) === false ? "" : namespace),
          owners: [],
          dependents: new Set(),
          beingDeleted: false,
          deletingDependents: false,
          virtual: true,
        };
        this.#nodes.set(reference.uid, owner);
        looks.delete.add(owner);
      } else if (!pointsAt(node, owner.identity)) {
        looks.delete.add(node);
        const elsewhere = owner.identity.namespace !== "" && owner.identity.namespace !== namespace;
        if (!owner.virtual && elsewhere) looks.misplaced.push({ node, owner: reference });
      }
      owner.dependents.add(node);
      // The dependent came late to an owner that is on its way out.
      if (owner.deletingDependents) looks.delete.add(node);
    }
  }
}

/** Dependents that hold up their owner's end. */
export function blockers(node: Node): readonly Node[] {
  return [...node.dependents].filter((dependent) =>
    dependent.owners.some(({ uid, blockOwnerDeletion }) => uid === node.identity.uid && blockOwnerDeletion === true),
  );
}

export function identityOfObject({ apiVersion, kind, metadata }: KubeObject): Identity {
  return { apiVersion, kind, namespace: metadata.namespace ?? "", name: metadata.name, uid: metadata.uid };
}

function identityOf({ apiVersion, kind, name, uid }: OwnerReference, namespace: string): Identity {
  return { apiVersion, kind, name, uid, namespace };
}

/** Whether the node's reference to that uid means that very object. A cluster-scoped owner may be named from anywhere. */
function pointsAt(node: Node, { apiVersion, kind, name, uid, namespace }: Identity): boolean {
  const reference = node.owners.find((each) => each.uid === uid);
  if (reference === undefined) return false;
  if (reference.name !== name || reference.kind !== kind || groupOf(reference.apiVersion) !== groupOf(apiVersion))
    return false;
  return namespace === "" || namespace === node.identity.namespace;
}

function sameIdentity(a: Identity, b: Identity): boolean {
  return (
    a.kind === b.kind &&
    groupOf(a.apiVersion) === groupOf(b.apiVersion) &&
    a.name === b.name &&
    a.namespace === b.namespace
  );
}

const groupOf = (apiVersion: string) => (apiVersion.includes("/") ? apiVersion.slice(0, apiVersion.indexOf("/")) : "");

/** The next of the names under which a uid is known, so that each gets its turn. */
function nextIdentity(node: Node, others: readonly Node[]): Identity | undefined {
  const candidates = new Map<string, Identity>();
  for (const { owners, identity } of others) {
    const reference = owners.find(({ uid }) => uid === node.identity.uid);
    if (reference === undefined) continue;
    const candidate = identityOf(reference, identity.namespace);
    candidates.set(textOf(candidate), candidate);
  }
  const current = textOf(node.identity);
  const sorted = [...candidates.keys()].sort();
  const next = sorted.find((text) => text > current) ?? sorted[0];
  return next === undefined ? undefined : candidates.get(next);
}

const textOf = ({ kind, apiVersion, namespace, name, uid }: Identity) =>
  [kind, apiVersion, namespace, name, uid].join("\0");

function collector() {
  const found = {
    delete: new Set<Node>(),
    orphan: new Set<Node>(),
    misplaced: [] as { node: Node; owner: OwnerReference }[],
  };
  return {
    ...found,
    result: (): Looks => ({ delete: [...found.delete], orphan: [...found.orphan], misplaced: found.misplaced }),
  };
}

class AbsentOwners {
  readonly #max: number;
  readonly #known = new Set<string>();

  constructor(max: number) {
    this.#max = max;
  }

  has(identity: Identity): boolean {
    return this.#known.has(textOf(identity));
  }

  add(identity: Identity): void {
    const text = textOf(identity);
    this.#known.delete(text);
    this.#known.add(text);
    if (this.#known.size > this.#max) this.#known.delete(this.#known.values().next().value!);
  }
}
