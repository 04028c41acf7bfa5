/** Quantities as the plain numbers that cgroups and the runtime take. */
import { milliUnits, parseQuantity, wholeUnits } from "../machinery/meta/quantity.ts";

/** Whole units, rounded up. What isn't a quantity counts as nothing: the API server lets none pass. */
export function valueOf(text: string | undefined): number {
  const quantity = text === undefined ? undefined : parseQuantity(text);
  return quantity === undefined ? 0 : Number(wholeUnits(quantity));
}

/** Thousandths, rounded up: millicores. */
export function milliOf(text: string | undefined): number {
  const quantity = text === undefined ? undefined : parseQuantity(text);
  return quantity === undefined ? 0 : Number(milliUnits(quantity));
}
