/** The tree as it will be when pending plans are committed, so that the next request can be planned before they are. */
import type { Change, Tree } from "./layout.ts";
import type { Node } from "./node.ts";

export class Overlay implements Tree {
  readonly #base: Tree;
  #index: number;
  /** What was put, and undefined for what was removed. */
  readonly #changed = new Map<string, Node | undefined>();
  /** Directories of which nothing in the tree below is left. */
  readonly #emptied = new Set<string>();

  constructor(base: Tree) {
    this.#base = base;
    this.#index = base.index;
  }

  get index(): number {
    return this.#index;
  }

  apply(changes: readonly Change[], index: number): void {
    this.#index = index;
    for (const change of changes) {
      if (change.kind === "put") this.#changed.set(change.path, change.node);
      else if (change.kind === "remove") {
        for (const path of this.#changed.keys())
          if (path.startsWith(`${change.path}/`)) this.#changed.set(path, undefined);
        this.#changed.set(change.path, undefined);
        this.#emptied.add(change.path);
      }
    }
  }

  get(path: string): Node | undefined {
    if (this.#changed.has(path)) return this.#changed.get(path);
    return this.#isEmptied(path) ? undefined : this.#base.get(path);
  }

  *children(path: string): Iterable<readonly [path: string, node: Node]> {
    const base = path === "/" ? "/" : `${path}/`;
    const children = new Map<string, Node>();
    if (!this.#emptied.has(path) && !this.#isEmptied(path))
      for (const [child, node] of this.#base.children(path)) children.set(child, node);
    for (const [child, node] of this.#changed) {
      if (!child.startsWith(base) || child.includes("/", base.length)) continue;
      if (node === undefined) children.delete(child);
      else children.set(child, node);
    }
    yield* children;
  }

  #isEmptied(path: string): boolean {
    if (this.#emptied.size === 0) return false;
    for (let at = path.lastIndexOf("/"); at > 0; at = path.lastIndexOf("/", at - 1))
      if (this.#emptied.has(path.slice(0, at))) return true;
    return false;
  }
}
