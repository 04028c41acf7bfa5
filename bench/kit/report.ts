/** How benchmarks print: one line a case, with its aim and whether it is met. */

export interface Aim {
  /** The figure should be below (or above) this. */
  readonly below?: number;
  readonly above?: number;
}

export function report(name: string, value: number, unit: string, aim: Aim = {}, note = ""): void {
  const bound = aim.below ?? aim.above;
  const met = (aim.below === undefined || value < aim.below) && (aim.above === undefined || value > aim.above);
  const against =
    bound === undefined ? "" : `aim ${aim.below === undefined ? ">" : "<"} ${bound} ${met ? "met" : "MISSED"}`;
  console.log(
    `${name.padEnd(52)}${figure(value).padStart(9)} ${unit.padEnd(6)} ${against.padEnd(20)} ${note}`.trimEnd(),
  );
}

function figure(value: number): string {
  return value >= 100 ? Math.round(value).toLocaleString("en") : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

export function quantile(samples: readonly number[], part: number): number {
  const sorted = samples.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN;
}

export const median = (samples: readonly number[]): number => quantile(samples, 0.5);
