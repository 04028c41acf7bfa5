/**
 * A map from strings to values, in the order of their code units. A B+ tree of two levels: leaves of at most 512 entries, and one array
 * that lists them. Ten million entries make an upper array of 40,000, which a split moves in microseconds, once in 256 insertions; more
 * levels would only add steps to every look-up.
 *
 * Each value has a weight, 1 unless told, summed up by leaf, so that "how many between a and b" needs no walk over what lies between.
 */
const LEAF_MAX = 512;

interface Leaf<V> {
  keys: string[];
  values: V[];
  weight: number;
}

export class SortedMap<V> {
  readonly #leaves: Leaf<V>[] = [{ keys: [], values: [], weight: 0 }];
  /** The least key of each leaf, as of its making: a lower bound that never moves up. The first is the empty string. */
  readonly #floors: string[] = [""];
  readonly #weightOf: (value: V) => number;
  #size = 0;

  constructor(weightOf: (value: V) => number = () => 1) {
    this.#weightOf = weightOf;
  }

  get size(): number {
    return this.#size;
  }

  get(key: string): V | undefined {
    const leaf = this.#leaves[this.#leafIndex(key)]!;
    const i = lowerBound(leaf.keys, key);
    return leaf.keys[i] === key ? leaf.values[i] : undefined;
  }

  /** Adds or replaces; weights are read now. */
  set(key: string, value: V): void {
    const at = this.#leafIndex(key);
    const leaf = this.#leaves[at]!;
    const i = lowerBound(leaf.keys, key);
    if (leaf.keys[i] === key) {
      leaf.weight += this.#weightOf(value) - this.#weightOf(leaf.values[i]!);
      leaf.values[i] = value;
      return;
    }
    this.#size++;
    leaf.weight += this.#weightOf(value);
    if (i === leaf.keys.length) {
      leaf.keys.push(key);
      leaf.values.push(value);
    } else {
      leaf.keys.splice(i, 0, key);
      leaf.values.splice(i, 0, value);
    }
    if (leaf.keys.length > LEAF_MAX) this.#split(at);
  }

  delete(key: string): boolean {
    const at = this.#leafIndex(key);
    const leaf = this.#leaves[at]!;
    const i = lowerBound(leaf.keys, key);
    if (leaf.keys[i] !== key) return false;
    this.#size--;
    leaf.weight -= this.#weightOf(leaf.values[i]!);
    leaf.keys.splice(i, 1);
    leaf.values.splice(i, 1);
    if (leaf.keys.length === 0 && this.#leaves.length > 1) {
      this.#leaves.splice(at, 1);
      this.#floors.splice(at, 1);
      this.#floors[0] = "";
    }
    return true;
  }

  /** Tells that the weight of the value under `key` is about to change, or has changed, by `by`. */
  reweigh(key: string, by: number): void {
    this.#leaves[this.#leafIndex(key)]!.weight += by;
  }

  /** Visits the values from `from` up to, not including, `end` (to the last where it is undefined) until `visit` says false. */
  forEach(from: string, end: string | undefined, visit: (value: V, key: string) => boolean | void): void {
    for (let at = this.#leafIndex(from); at < this.#leaves.length; at++) {
      const { keys, values } = this.#leaves[at]!;
      for (let i = lowerBound(keys, from); i < keys.length; i++) {
        const key = keys[i]!;
        if (end !== undefined && key >= end) return;
        if (visit(values[i]!, key) === false) return;
      }
    }
  }

  /** The sum of weights from `from` up to, not including, `end`. */
  weightBetween(from: string, end: string | undefined): number {
    let sum = 0;
    const start = this.#leafIndex(from);
    for (let at = start; at < this.#leaves.length; at++) {
      const { keys, values, weight } = this.#leaves[at]!;
      if (end !== undefined && this.#floors[at]! >= end) break;
      if (at > start && (end === undefined || (at + 1 < this.#floors.length && this.#floors[at + 1]! <= end))) {
        sum += weight; // All of it lies between.
        continue;
      }
      const first = lowerBound(keys, from);
      const last = end === undefined ? keys.length : lowerBound(keys, end);
      if (first === 0 && last === keys.length) sum += weight;
      else for (let i = first; i < last; i++) sum += this.#weightOf(values[i]!);
    }
    return sum;
  }

  #leafIndex(key: string): number {
    const floors = this.#floors;
    let low = 0;
    let high = floors.length;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (floors[middle]! <= key) low = middle;
      else high = middle;
    }
    return low;
  }

  #split(at: number): void {
    const leaf = this.#leaves[at]!;
    // Keys that come in order fill the last leaf: leave it full behind, where a middle cut would leave every leaf half empty.
    const cut = at === this.#leaves.length - 1 ? LEAF_MAX - 16 : LEAF_MAX >> 1;
    const right: Leaf<V> = { keys: leaf.keys.splice(cut), values: leaf.values.splice(cut), weight: 0 };
    for (const value of right.values) right.weight += this.#weightOf(value);
    leaf.weight -= right.weight;
    this.#leaves.splice(at + 1, 0, right);
    this.#floors.splice(at + 1, 0, right.keys[0]!);
  }
}

/** The first place whose key is not below `key`. */
function lowerBound(keys: readonly string[], key: string): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (keys[middle]! < key) low = middle + 1;
    else high = middle;
  }
  return low;
}
