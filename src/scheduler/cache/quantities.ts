/** Quantities as numbers, parsed once for each text, because a cluster uses only a few different ones. */
import { milliUnits, parseQuantity, wholeUnits } from "../../machinery/meta/quantity.ts";

const KNOWN_MAX = 10_000;

export class Quantities {
  readonly #milli = new Map<string, number>();
  readonly #whole = new Map<string, number>();

  /** Thousandths, rounded up: how cpu is counted. */
  milli(text: string): number {
    return known(this.#milli, text, () => Number(milliUnits(parseQuantity(text) ?? ZERO)));
  }
  /** Whole units, rounded up: how all else is counted. */
  whole(text: string): number {
    return known(this.#whole, text, () => Number(wholeUnits(parseQuantity(text) ?? ZERO)));
  }
  amount(resource: string, text: string): number {
    return resource === "cpu" ? this.milli(text) : this.whole(text);
  }
}
const ZERO = { nano: 0n, format: "DecimalSI" } as const;

function known(table: Map<string, number>, text: string, read: () => number): number {
  let value = table.get(text);
  if (value === undefined) {
    if (table.size >= KNOWN_MAX) table.clear();
    table.set(text, (value = read()));
  }
  return value;
}
