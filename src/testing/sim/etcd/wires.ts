/** Who reaches whom. Several faults may cut the same wire; it is whole again when the last of them is over. */
import type { Links } from "../links.ts";

export class Wires {
  readonly #links: Links;
  readonly #cuts = new Map<number, ReadonlySet<string>>();
  #number = 0;

  constructor(links: Links) {
    this.#links = links;
  }

  /** Cuts what goes from the one to the other of each pair, until the result is called. */
  cut(pairs: Iterable<readonly [from: string, to: string]>): () => void {
    const cut = new Set<string>();
    for (const [from, to] of pairs) {
      if (from === to) continue;
      cut.add(`${from}>${to}`);
      this.#links.cut(from, to);
    }
    const number = this.#number++;
    this.#cuts.set(number, cut);
    return () => {
      if (!this.#cuts.delete(number)) return;
      for (const wire of cut) {
        const [from, to] = wire.split(">") as [string, string];
        if (!this.isCut(from, to)) this.#links.heal(from, to);
      }
    };
  }

  isCut(from: string, to: string): boolean {
    const wire = `${from}>${to}`;
    for (const cut of this.#cuts.values()) if (cut.has(wire)) return true;
    return false;
  }
}
