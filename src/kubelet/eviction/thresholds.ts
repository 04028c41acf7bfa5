/** What a node must keep free, as flags and configuration say it. Pure. Upstream: pkg/kubelet/eviction/helpers.go ParseThresholdConfig */
import { parseDuration } from "../../machinery/meta/time.ts";
import { formatQuantity, parseQuantity, quantityOf } from "../../machinery/meta/quantity.ts";

/** In the order in which the resources behind them are given back: memory first. */
export const SIGNALS = [
  "memory.available",
  "nodefs.available",
  "nodefs.inodesFree",
  "imagefs.available",
  "imagefs.inodesFree",
  "pid.available",
] as const;
export type Signal = (typeof SIGNALS)[number];

export type Pressure = "MemoryPressure" | "DiskPressure" | "PIDPressure";
export type Starved = "memory" | "ephemeral-storage" | "inodes" | "pids";

export const MEANINGS: Readonly<Record<Signal, { readonly pressure: Pressure; readonly resource: Starved }>> = {
  "memory.available": { pressure: "MemoryPressure", resource: "memory" },
  "nodefs.available": { pressure: "DiskPressure", resource: "ephemeral-storage" },
  "nodefs.inodesFree": { pressure: "DiskPressure", resource: "inodes" },
  "imagefs.available": { pressure: "DiskPressure", resource: "ephemeral-storage" },
  "imagefs.inodesFree": { pressure: "DiskPressure", resource: "inodes" },
  "pid.available": { pressure: "PIDPressure", resource: "pids" },
};

export const DEFAULT_HARD: Readonly<Record<string, string>> = {
  "memory.available": "100Mi",
  "nodefs.available": "10%",
  "nodefs.inodesFree": "5%",
  "imagefs.available": "15%",
  "imagefs.inodesFree": "5%",
};

/** In bytes or counts, or a part of the capacity. */
export type Amount = { readonly amount: number } | { readonly fraction: number };
export interface Threshold {
  readonly signal: Signal;
  readonly least: Amount;
  /** How long it has to be met; 0 for a hard one, whose pods get no time. */
  readonly graceMs: number;
  /** What has to be free beyond `least` before it counts as no longer met. */
  readonly reclaim?: Amount;
}

export interface ThresholdConfig {
  readonly hard: Readonly<Record<string, string>>;
  readonly soft: Readonly<Record<string, string>>;
  readonly softGracePeriod: Readonly<Record<string, string>>;
  readonly minimumReclaim: Readonly<Record<string, string>>;
}

/** Throws for what isn't a threshold. */
export function parseThresholds(config: ThresholdConfig): readonly Threshold[] {
  const reclaim = (signal: Signal) => {
    const text = config.minimumReclaim[signal];
    const amount = text === undefined ? undefined : amountOf(signal, text);
    return amount === undefined ? {} : { reclaim: amount };
  };
  const all = (list: Readonly<Record<string, string>>, graceOf: (signal: Signal) => number) =>
    Object.entries(list).flatMap(([name, text]) => {
      const signal = signalOf(name);
      const least = amountOf(signal, text);
      return least === undefined ? [] : [{ signal, least, graceMs: graceOf(signal), ...reclaim(signal) }];
    });
  return [
    ...all(config.hard, () => 0),
    ...all(config.soft, (signal) => {
      const text = config.softGracePeriod[signal];
      if (text === undefined)
        throw new Error(`grace period must be specified for the soft eviction threshold ${signal}`);
      return parseDuration(text) / 1e6;
    }),
  ];
}

function signalOf(name: string): Signal {
  if (!(SIGNALS as readonly string[]).includes(name)) throw new Error(`unsupported eviction signal ${name}`);
  return name as Signal;
}

/** Undefined for a part that is always, or never, there. */
function amountOf(signal: Signal, text: string): Amount | undefined {
  if (text.endsWith("%")) {
    if (text === "0%" || text === "100%") return undefined;
    const fraction = Number(text.slice(0, -1)) / 100;
    if (Number.isNaN(fraction))
      throw new Error(`strconv.ParseFloat: parsing ${JSON.stringify(text.slice(0, -1))}: invalid syntax`);
    if (fraction < 0) throw new Error(`eviction percentage threshold ${signal} must be >= 0%: ${text}`);
    if (fraction > 1) throw new Error(`eviction percentage threshold ${signal} must be <= 100%: ${text}`);
    return { fraction };
  }
  const quantity = parseQuantity(text);
  if (quantity === undefined)
    throw new Error("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'");
  if (quantity.nano <= 0n)
    throw new Error(`eviction threshold ${signal} must be positive: ${formatQuantity(quantity)}`);
  return { amount: Number(quantity.nano / 1_000_000_000n) };
}

export const absolute = (amount: Amount, capacity: number): number =>
  "amount" in amount ? amount.amount : Math.floor(amount.fraction * capacity);

/** As upstream prints it: bytes in powers of two, counts plain. */
export function shownAmount(signal: Signal, count: number): string {
  const inBytes = MEANINGS[signal].resource === "memory" || MEANINGS[signal].resource === "ephemeral-storage";
  return formatQuantity(quantityOf(count, inBytes ? "BinarySI" : "DecimalSI"));
}
