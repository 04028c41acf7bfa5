/**
 * Half-open ranges of strings with values, asked "which hold this point". A treap in the order of (from, end), each node knowing the
 * greatest end below it, so that whole subtrees that end too early are skipped.
 */
interface Node<T> {
  readonly from: string;
  /** Undefined has no end. */
  readonly end: string | undefined;
  readonly values: Set<T>;
  readonly priority: number;
  left: Node<T> | undefined;
  right: Node<T> | undefined;
  /** The greatest end of this node and all below it. */
  maxEnd: string | undefined;
}

export class IntervalTree<T> {
  #root: Node<T> | undefined;
  /** Balance needs numbers without pattern, not chance: the same calls build the same tree. */
  #seed = 0x9e3779b9;

  add(from: string, end: string | undefined, value: T): void {
    const node = this.#find(from, end);
    if (node !== undefined) {
      node.values.add(value);
      return;
    }
    this.#seed ^= this.#seed << 13;
    this.#seed ^= this.#seed >>> 17;
    this.#seed ^= this.#seed << 5;
    const added: Node<T> = {
      from,
      end,
      values: new Set([value]),
      priority: this.#seed,
      left: undefined,
      right: undefined,
      maxEnd: end,
    };
    this.#root = insert(this.#root, added);
  }

  delete(from: string, end: string | undefined, value: T): boolean {
    const node = this.#find(from, end);
    if (node === undefined || !node.values.delete(value)) return false;
    if (node.values.size === 0) this.#root = remove(this.#root, node);
    return true;
  }

  /** Visits every value whose range holds `point`. */
  stab(point: string, visit: (value: T) => void): void {
    stabFrom(this.#root, point, visit);
  }

  #find(from: string, end: string | undefined): Node<T> | undefined {
    let node = this.#root;
    while (node !== undefined) {
      const order = compare(from, end, node);
      if (order === 0) return node;
      node = order < 0 ? node.left : node.right;
    }
    return undefined;
  }
}

function stabFrom<T>(node: Node<T> | undefined, point: string, visit: (value: T) => void): void {
  while (node !== undefined && (node.maxEnd === undefined || node.maxEnd > point)) {
    stabFrom(node.left, point, visit);
    if (node.from > point) return; // All to the right begin later still.
    if (node.end === undefined || node.end > point) for (const value of node.values) visit(value);
    node = node.right;
  }
}

function compare<T>(from: string, end: string | undefined, node: Node<T>): number {
  if (from !== node.from) return from < node.from ? -1 : 1;
  if (end === node.end) return 0;
  if (end === undefined) return 1;
  if (node.end === undefined) return -1;
  return end < node.end ? -1 : 1;
}

function insert<T>(root: Node<T> | undefined, added: Node<T>): Node<T> {
  if (root === undefined) return added;
  if (compare(added.from, added.end, root) < 0) {
    root.left = insert(root.left, added);
    if (root.left.priority > root.priority) return rotateRight(root);
  } else {
    root.right = insert(root.right, added);
    if (root.right.priority > root.priority) return rotateLeft(root);
  }
  return renew(root);
}

function remove<T>(root: Node<T> | undefined, gone: Node<T>): Node<T> | undefined {
  if (root === undefined) return undefined;
  if (root === gone) return join(root.left, root.right);
  if (compare(gone.from, gone.end, root) < 0) root.left = remove(root.left, gone);
  else root.right = remove(root.right, gone);
  return renew(root);
}

/** All of `left` comes before all of `right`. */
function join<T>(left: Node<T> | undefined, right: Node<T> | undefined): Node<T> | undefined {
  if (left === undefined) return right;
  if (right === undefined) return left;
  if (left.priority > right.priority) {
    left.right = join(left.right, right);
    return renew(left);
  }
  right.left = join(left, right.left);
  return renew(right);
}

function rotateRight<T>(root: Node<T>): Node<T> {
  const top = root.left!;
  root.left = top.right;
  top.right = renew(root);
  return renew(top);
}

function rotateLeft<T>(root: Node<T>): Node<T> {
  const top = root.right!;
  root.right = top.left;
  top.left = renew(root);
  return renew(top);
}

function renew<T>(node: Node<T>): Node<T> {
  let max = node.end;
  for (const child of [node.left, node.right]) {
    if (child === undefined || max === undefined) continue;
    if (child.maxEnd === undefined || child.maxEnd > max) max = child.maxEnd;
  }
  node.maxEnd = max;
  return node;
}
