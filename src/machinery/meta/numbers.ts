/** Numbers as Go prints them with `%v`. Upstream: Go's strconv and fmt. */

/** What Go reads as an int64; any other number is a float64 to it. */
export const isWhole = (value: number): boolean => Number.isInteger(value) && Math.abs(value) < 2 ** 63;

export function goNumber(value: number): string {
  return isWhole(value) ? String(BigInt(value)) : goFloat(value);
}

/** The shortest text that reads back the same, with an exponent below a ten-thousandth and from a million on. */
export function goFloat(value: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf";
  const [digits, exponent] = value.toExponential().split("e") as [string, string];
  const power = Number(exponent);
  if (power >= -4 && power < 6) return Object.is(value, -0) ? "-0" : String(value);
  return `${digits}e${power < 0 ? "-" : "+"}${String(Math.abs(power)).padStart(2, "0")}`;
}
