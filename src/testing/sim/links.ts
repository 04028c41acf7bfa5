/**
 * What lies between named hosts of a simulated network: delay, cuts in one direction or both, connections that break. Bytes of a connection come
 * in order or not at all, as TCP's do: a cut holds them until it is healed or someone loses patience; a reset loses what is on its way.
 */
import type { Random } from "../../world/world.ts";
import type { Simulation } from "./simulation.ts";

export interface LinkFaults {
  /** One-way delay in ms, least and most. */
  delayMs: readonly [number, number];
  /** The chance that a chunk breaks its connection instead of arriving. */
  resetRate: number;
  /** The chances of a datagram: connections lose and repeat nothing. */
  datagramLoss: number;
  datagramRepeat: number;
}

const NO_FAULTS: LinkFaults = { delayMs: [0.1, 0.5], resetRate: 0, datagramLoss: 0, datagramRepeat: 0 };

export class Links {
  readonly #clock: Simulation;
  readonly #random: Random;
  readonly #faults = new Map<string, LinkFaults>();
  readonly #cut = new Set<string>();
  readonly #connections = new Set<Connection>();
  /** For pairs without faults of their own. */
  default: LinkFaults = { ...NO_FAULTS };

  constructor(clock: Simulation, random: Random) {
    this.#clock = clock;
    this.#random = random;
  }

  /** Faults of one direction; those that aren't given stay as they are. */
  set(from: string, to: string, faults: Partial<LinkFaults>): void {
    const key = `${from}>${to}`;
    this.#faults.set(key, { ...(this.#faults.get(key) ?? this.default), ...faults });
  }

  faults(from: string, to: string): LinkFaults {
    return this.#faults.get(`${from}>${to}`) ?? this.default;
  }

  /** Nothing gets from one to the other. The other direction is a cut of its own. */
  cut(from: string, to: string): void {
    this.#cut.add(`${from}>${to}`);
  }

  /** Cuts both ways between each of the one and each of the other. */
  partition(one: readonly string[], other: readonly string[]): void {
    for (const a of one)
      for (const b of other) {
        this.cut(a, b);
        this.cut(b, a);
      }
  }

  heal(from: string, to: string): void {
    this.#cut.delete(`${from}>${to}`);
    for (const connection of this.#connections) connection.flush();
  }

  /** No cuts and no faults any more. */
  healAll(): void {
    this.#cut.clear();
    this.#faults.clear();
    this.default = { ...NO_FAULTS };
    for (const connection of this.#connections) connection.flush();
  }

  isCut(from: string, to: string): boolean {
    return this.#cut.has(`${from}>${to}`);
  }

  /** Breaks every connection between the two. */
  reset(a: string, b: string): void {
    for (const connection of this.#connections)
      if (connection.joins(a, b)) connection.break(new Error("read ECONNRESET"));
  }

  /** Breaks every connection of a host: its process has died. */
  kill(host: string): void {
    for (const connection of this.#connections)
      if (connection.client === host || connection.server === host) connection.break(new Error("read ECONNRESET"));
  }

  connect(client: string, server: string): Connection {
    const connection = new Connection(this, this.#clock, this.#random, client, server, () =>
      this.#connections.delete(connection),
    );
    this.#connections.add(connection);
    return connection;
  }

  delay(from: string, to: string): number {
    const [least, most] = this.faults(from, to).delayMs;
    return least + this.#random.next() * (most - least);
  }
}

/** The two ways of one connection. */
export class Connection {
  readonly client: string;
  readonly server: string;
  readonly up: Way;
  readonly down: Way;
  readonly #onBreak: ((error: Error) => void)[] = [];
  readonly #forget: () => void;
  #broken: Error | undefined;
  #over = false;

  constructor(links: Links, clock: Simulation, random: Random, client: string, server: string, forget: () => void) {
    this.client = client;
    this.server = server;
    this.#forget = forget;
    this.up = new Way(links, clock, random, client, server, this);
    this.down = new Way(links, clock, random, server, client, this);
  }

  get broken(): Error | undefined {
    return this.#broken;
  }

  joins(a: string, b: string): boolean {
    return (this.client === a && this.server === b) || (this.client === b && this.server === a);
  }

  onBreak(fn: (error: Error) => void): void {
    if (this.#broken !== undefined) fn(this.#broken);
    else this.#onBreak.push(fn);
  }

  break(error: Error): void {
    if (this.#broken !== undefined || this.#over) return;
    this.#broken = error;
    this.#forget();
    for (const fn of this.#onBreak) fn(error);
  }

  /** The exchange has ended in order. */
  close(): void {
    this.#over = true;
    this.#forget();
  }

  flush(): void {
    this.up.flush();
    this.down.flush();
  }
}

interface Parcel {
  readonly bytes: number;
  readonly deliver: () => void;
}

/** One direction: what is sent arrives in the order in which it was sent. */
export class Way {
  readonly #links: Links;
  readonly #clock: Simulation;
  readonly #random: Random;
  readonly #from: string;
  readonly #to: string;
  readonly #connection: Connection;
  readonly #held: Parcel[] = [];
  #lastAt = 0;
  #pendingBytes = 0;
  #idle: (() => void)[] = [];

  constructor(links: Links, clock: Simulation, random: Random, from: string, to: string, connection: Connection) {
    this.#links = links;
    this.#clock = clock;
    this.#random = random;
    this.#from = from;
    this.#to = to;
    this.#connection = connection;
  }

  /** Sent and not yet arrived. */
  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  /** When nothing is on its way, or never will be again. */
  get idle(): Promise<void> {
    if (this.#pendingBytes === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#idle.push(resolve);
      this.#connection.onBreak(() => resolve());
    });
  }

  send(bytes: number, deliver: () => void): void {
    if (this.#connection.broken !== undefined) return;
    if (this.#random.next() < this.#links.faults(this.#from, this.#to).resetRate)
      return this.#connection.break(new Error("read ECONNRESET"));
    this.#pendingBytes += bytes;
    const parcel = { bytes, deliver };
    if (this.#held.length > 0 || this.#links.isCut(this.#from, this.#to)) this.#held.push(parcel);
    else this.#carry(parcel);
  }

  flush(): void {
    if (this.#links.isCut(this.#from, this.#to)) return;
    for (const parcel of this.#held.splice(0)) this.#carry(parcel);
  }

  #carry(parcel: Parcel): void {
    const now = this.#clock.monotonic();
    const at = Math.max(this.#lastAt, now + this.#links.delay(this.#from, this.#to));
    this.#lastAt = at;
    this.#clock.after(at - now, () => {
      if (this.#connection.broken !== undefined) return;
      this.#pendingBytes -= parcel.bytes;
      parcel.deliver();
      if (this.#pendingBytes === 0) for (const wake of this.#idle.splice(0)) wake();
    });
  }
}
