/**
 * Quantities: `500m`, `1.5Gi`, `2e3`. They are exact to a billionth, kept as a whole number of billionths, and printed in upstream's canonical form,
 * so that equal quantities give equal text.
 * Upstream: staging/src/k8s.io/apimachinery/pkg/api/resource/quantity.go
 */
export interface Quantity {
  /** The amount, times 10^9. */
  readonly nano: bigint;
  readonly format: "DecimalSI" | "BinarySI" | "DecimalExponent";
}

const NANO = 1_000_000_000n;
const MILLI_IN_NANO = 1_000_000n;
const DECIMAL: readonly (readonly [suffix: string, exponent: number])[] = [
  ["n", -9],
  ["u", -6],
  ["m", -3],
  ["", 0],
  ["k", 3],
  ["M", 6],
  ["G", 9],
  ["T", 12],
  ["P", 15],
  ["E", 18],
];
const BINARY: readonly string[] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
/** Larger amounts are cut to this one, the largest that Go's int64 holds. */
const MAX_NANO = (2n ** 63n - 1n) * NANO;

/** Undefined for text that isn't a quantity. Numbers are taken as upstream takes them in JSON. */
export function parseQuantity(text: string | number): Quantity | undefined {
  const match = /^([+-]?)([0-9]*)(?:\.([0-9]*))?(?:([numkMGTPE]|[KMGTPE]i|)|[eE]([+-]?[0-9]+))$/.exec(String(text));
  if (match === null) return undefined;
  const [, sign, whole = "", fraction = "", suffix = "", exponentText] = match;
  if (whole === "" && fraction === "") return undefined;
  const digits = BigInt(whole + fraction);
  const negative = sign === "-";
  if (suffix.endsWith("i")) {
    const power = 1024n ** BigInt(BINARY.indexOf(suffix));
    return limited(divideUp(digits * power * NANO, 10n ** BigInt(fraction.length)), negative, "BinarySI");
  }
  const exponent =
    exponentText === undefined ? DECIMAL.find(([name]) => name === suffix)![1] : Number.parseInt(exponentText, 10);
  const shift = exponent - fraction.length + 9;
  if (Math.abs(shift) > 1000) return undefined;
  const nano = shift >= 0 ? digits * 10n ** BigInt(shift) : divideUp(digits, 10n ** BigInt(-shift));
  return limited(nano, negative, exponentText === undefined ? "DecimalSI" : "DecimalExponent");
}

function limited(nano: bigint, negative: boolean, format: Quantity["format"]): Quantity {
  const within = nano > MAX_NANO ? MAX_NANO : nano;
  return { nano: negative ? -within : within, format };
}

/** Rounds away from zero, for amounts that aren't negative. */
function divideUp(value: bigint, by: bigint): bigint {
  return (value + by - 1n) / by;
}

/** The canonical text. */
export function formatQuantity({ nano, format }: Quantity): string {
  if (nano === 0n) return "0";
  const sign = nano < 0n ? "-" : "";
  const size = nano < 0n ? -nano : nano;
  if (format === "BinarySI" && size >= 1024n * NANO && size % NANO === 0n) {
    let value = size / NANO;
    let step = 0;
    while (value % 1024n === 0n && step < BINARY.length - 1) {
      value /= 1024n;
      step++;
    }
    return `${sign}${value}${BINARY[step]}`;
  }
  let value = size;
  let exponent = -9;
  while (value % 1000n === 0n && (exponent < 18 || format === "DecimalExponent")) {
    value /= 1000n;
    exponent += 3;
  }
  if (format === "DecimalExponent") return `${sign}${value}${exponent === 0 ? "" : `e${exponent}`}`;
  return `${sign}${value}${DECIMAL.find(([, power]) => power === exponent)![0]}`;
}

/** Digits, and at most a suffix that nothing can be merged into, are canonical as they are: the common case without arithmetic. */
const PLAIN = /^(?:0|[1-9][0-9]{0,14})$/;
const SIMPLE = /^([1-9][0-9]{0,5})(m|k|M|G|[KMG]i)$/;

function isCanonical(text: string): boolean {
  if (PLAIN.test(text)) return text === "0" || !text.endsWith("000");
  const match = SIMPLE.exec(text);
  if (match === null) return false;
  const number = Number(match[1]);
  return match[2]!.length === 2 ? number % 1024 !== 0 : number % 1000 !== 0;
}

/** The text as upstream would print it after reading it; text that isn't a quantity stays as it is. */
export function canonicalQuantity(text: string | number): string {
  if (typeof text === "string" && isCanonical(text)) return text;
  const quantity = parseQuantity(text);
  return quantity === undefined ? String(text) : formatQuantity(quantity);
}

/** Upstream's words for text that isn't a quantity; undefined for text that is one. */
export function quantityError(text: string): string | undefined {
  if (isCanonical(text) || parseQuantity(text) !== undefined) return undefined;
  return /^[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)[eEinumkKMGTP]+[-+]?[0-9]*$/.test(text)
    ? "unable to parse quantity's suffix"
    : "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
}

/** Resource lists hold nothing finer than a thousandth: what is finer is rounded up. */
export function roundUpToMilli(quantity: Quantity): Quantity {
  const { nano, format } = quantity;
  if (nano % MILLI_IN_NANO === 0n) return quantity;
  const size = nano < 0n ? -nano : nano;
  const rounded = divideUp(size, MILLI_IN_NANO) * MILLI_IN_NANO;
  return { nano: nano < 0n ? -rounded : rounded, format };
}

export function addQuantities(a: Quantity, b: Quantity): Quantity {
  return { nano: a.nano + b.nano, format: a.nano === 0n ? b.format : a.format };
}

export function subtractQuantities(a: Quantity, b: Quantity): Quantity {
  return { nano: a.nano - b.nano, format: a.nano === 0n ? b.format : a.format };
}

/** A quantity of whole units, or of thousandths. */
export function quantityOf(units: number | bigint, format: Quantity["format"] = "DecimalSI"): Quantity {
  return { nano: BigInt(units) * NANO, format };
}
export function milliQuantityOf(thousandths: number | bigint, format: Quantity["format"] = "DecimalSI"): Quantity {
  return { nano: BigInt(thousandths) * MILLI_IN_NANO, format };
}

/** Negative, zero or positive, as `a` is less than, equal to or greater than `b`. */
export function compareQuantities(a: Quantity, b: Quantity): number {
  return a.nano < b.nano ? -1 : a.nano > b.nano ? 1 : 0;
}

/** Whole units, rounded up. */
export function wholeUnits({ nano }: Quantity): bigint {
  return nano >= 0n ? divideUp(nano, NANO) : -((-nano + NANO - 1n) / NANO);
}

/** Thousandths, rounded up. */
export function milliUnits({ nano }: Quantity): bigint {
  return nano >= 0n ? divideUp(nano, MILLI_IN_NANO) : -((-nano + MILLI_IN_NANO - 1n) / MILLI_IN_NANO);
}
