/** Quantities as the plain numbers that cgroups and the runtime want. */

const SUFFIXES: Readonly<Record<string, number>> = {
  "": 1,
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
};

function scaled(quantity: string, scale: number): number {
  const match = /^([+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?)([a-zA-Z]*)$/.exec(quantity);
  const suffix = SUFFIXES[match?.[2] ?? "?"];
  if (match === null || suffix === undefined) return 0;
  // 12 digits take away what binary fractions add (0.1 * 1000 is not 100), and leave every real quantity whole.
  return Math.ceil(Number((Number(match[1]) * suffix * scale).toPrecision(15)));
}

/** Whole units, rounded up. */
export const valueOf = (quantity: string | undefined): number => (quantity === undefined ? 0 : scaled(quantity, 1));
/** Thousandths, rounded up: millicores. */
export const milliOf = (quantity: string | undefined): number => (quantity === undefined ? 0 : scaled(quantity, 1000));
