/**
 * Everything nondeterministic that a component may touch. Production and simulation differ only here: the real world is in `world/node`, the
 * simulated one in `testing/sim`. A component asks for what it uses and no more, `Pick<World, "clock" | "random">`, so that the type lists what it
 * is able to do.
 */
import type { Fs } from "./fs.ts";
import type { Host } from "./host.ts";
import type { Net } from "./net.ts";

export interface World {
  readonly clock: Clock;
  readonly random: Random;
  readonly net: Net;
  readonly fs: Fs;
  readonly host: Host;
}

export interface Clock {
  /** Wall time in ms since the epoch. It may jump: use it for timestamps that others read. */
  now(): number;
  /** Ms since an arbitrary start, never going back, with a fraction: use it for durations and deadlines. */
  monotonic(): number;
  /** Runs `fn` once, `ms` from now. Dispose the handle to cancel. */
  after(ms: number, fn: () => void): Disposable;
  /** Runs `fn` after the work at hand, before any timer. The simulator's batches are cut here. */
  soon(fn: () => void): void;
}

export interface Random {
  /** A float in [0, 1). */
  next(): number;
  /** `length` random bytes; cryptographically strong in the real world. */
  bytes(length: number): Uint8Array;
  /** An independent stream, so that one component's draws never shift another's. */
  fork(label: string): Random;
}

/** A random integer in [0, limit). */
export function randomInt(random: Random, limit: number): number {
  return Math.floor(random.next() * limit);
}

/** A version 4 UUID, as in `metadata.uid`. */
export function uuid(random: Random): string {
  const bytes = random.bytes(16);
  bytes[6] = (bytes[6]! & 0x0f) | 0x40;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  const hex = Buffer.from(bytes).toString("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
