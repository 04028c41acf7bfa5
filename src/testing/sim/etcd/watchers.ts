/** Watchers of a cluster under faults. Whatever breaks, each sees every event of its keys once, in order, a revision as a whole. */
import { RpcError } from "../../../wire/rpc/service.ts";
import { randomInt, type Random } from "../../../world/world.ts";
import type { MvccpbEvent, WatchRequest, WatchResponse } from "../../../protocols/etcd/generated.ts";
import type { Init } from "../../../wire/rpc/service.ts";
import type { EtcdHost } from "./host.ts";
import { describe, isSame, keyOf, type Ledger, type Written } from "./ledger.ts";
import { NotSent, type ClientLink } from "./link.ts";

export interface WatcherDeps {
  readonly random: Random;
  readonly ledger: Ledger;
  readonly hosts: () => readonly EtcdHost[];
  readonly isOver: () => boolean;
  readonly tell: (line: string) => void;
  readonly keys: number;
}

export class Watcher {
  readonly #name: string;
  readonly #link: ClientLink;
  readonly #deps: WatcherDeps;
  readonly #from: string;
  readonly #end: string | undefined;
  readonly #prevKv: boolean;
  readonly #noPut: boolean;
  readonly #noDelete: boolean;
  readonly #progress: boolean;
  readonly #isSlow: boolean;
  /** Everything before has been seen. */
  next: number;
  #stream: { send(request: Init<WatchRequest>): void; cancel(): void } | undefined;
  #lastAt = 0;

  constructor(name: string, link: ClientLink, deps: WatcherDeps) {
    this.#name = name;
    this.#link = link;
    this.#deps = deps;
    const { random, keys } = deps;
    const single = random.next() < 0.4;
    this.#from = single ? `k${randomInt(random, keys)}` : "k";
    this.#end = single ? undefined : "m";
    this.#prevKv = random.next() < 0.6;
    const filter = random.next();
    this.#noPut = filter < 0.15;
    this.#noDelete = filter > 0.85;
    this.#progress = random.next() < 0.5;
    this.#isSlow = random.next() < 0.4;
    this.next = 2;
  }

  /** The first event that it should have seen and has not. */
  get missing(): number | undefined {
    const { ledger } = this.#deps;
    for (let revision = this.next; revision <= ledger.revision; revision++)
      if (this.#wanted(revision).length > 0) return revision;
    return undefined;
  }

  async run(): Promise<void> {
    const { isOver, random, hosts, ledger, tell } = this.#deps;
    if (random.next() < 0.3) this.next = ledger.revision + 1 + randomInt(random, 5);
    while (!isOver()) {
      const all = hosts().filter((host) => host.isReady);
      const list = all.length > 0 ? all : hosts();
      const host = list[randomInt(random, list.length)]!;
      try {
        await this.#watch(host);
      } catch (error) {
        if (!(error instanceof RpcError) && !(error instanceof NotSent)) throw error;
        if (!(error instanceof NotSent)) tell(`${this.#name} at ${host.name} breaks: ${error.message}`);
      }
      this.#stream?.cancel();
      this.#stream = undefined;
      await this.#link.pause(20 + random.next() * 300);
    }
  }

  /** Leaves its member, and goes on at another. */
  leave(): void {
    this.#stream?.cancel();
  }

  async #watch(host: EtcdHost): Promise<void> {
    const { random, isOver } = this.#deps;
    const open = await this.#link.watch(host, 1 + randomInt(random, 6));
    this.#stream = open;
    open.send({
      create_request: {
        key: Buffer.from(this.#from),
        ...(this.#end !== undefined && { range_end: Buffer.from(this.#end) }),
        start_revision: this.next,
        prev_kv: this.#prevKv,
        progress_notify: this.#progress,
        filters: [...(this.#noPut ? ["NOPUT" as const] : []), ...(this.#noDelete ? ["NODELETE" as const] : [])],
      },
    });
    if (random.next() < 0.3) open.send({ progress_request: {} });
    this.#lastAt = 0;
    while (!isOver()) {
      if (this.#isSlow && random.next() < 0.2) await this.#link.pause(random.next() * 1500);
      if (random.next() < 0.1) open.send({ progress_request: {} });
      const { done, value } = await open.next();
      if (done === true) return;
      if (!this.#take(host, value)) return;
    }
  }

  /** False when the watch has ended. */
  #take(host: EtcdHost, response: WatchResponse): boolean {
    const { ledger, tell } = this.#deps;
    const who = `${this.#name} at ${host.name}`;
    if (response.canceled) {
      // With authentication enabled, an anonymous client cannot watch.
      if (/permission denied|user name is empty/.test(response.cancel_reason)) return false;
      const compacted = response.compact_revision;
      if (compacted <= this.next || compacted > ledger.compacted)
        ledger.fail(`${who} was told that ${this.next} is compacted, by ${compacted} (${response.cancel_reason})`);
      tell(`${who} is behind: ${this.next} was compacted by ${compacted}`);
      this.next = compacted;
      return false;
    }
    if (response.created) return true;
    const { events } = response;
    const revision = response.header!.revision;
    if (events.length === 0) {
      // Nothing up to here is still to come.
      for (let at = this.next; at <= revision; at++)
        if (this.#wanted(at).length > 0)
          ledger.fail(`${who} was promised all up to ${revision} and has not seen ${describe(this.#wanted(at))}`);
      this.next = Math.max(this.next, revision + 1);
      return true;
    }
    for (let i = 0; i < events.length;) {
      const at = events[i]!.kv!.mod_revision;
      let end = i;
      while (end < events.length && events[end]!.kv!.mod_revision === at) end++;
      this.#takeRevision(who, at, events.slice(i, end));
      i = end;
    }
    this.#lastAt = events.at(-1)!.kv!.mod_revision;
    if (revision < this.#lastAt) ledger.fail(`${who} got events of ${this.#lastAt} under revision ${revision}`);
    tell(`${who} sees ${events.length} up to ${this.#lastAt}`);
    return true;
  }

  #takeRevision(who: string, revision: number, events: readonly MvccpbEvent[]): void {
    const { ledger } = this.#deps;
    if (revision < this.next) return ledger.fail(`${who} sees revision ${revision} again, after ${this.next - 1}`);
    for (let at = this.next; at < revision; at++)
      if (this.#wanted(at).length > 0)
        ledger.fail(`${who} sees revision ${revision} and has not seen ${describe(this.#wanted(at))}`);
    this.next = revision + 1;
    const wanted = this.#wanted(revision);
    if (wanted.length !== events.length || !wanted.every((one, i) => isSame(one, events[i]!.kv!)))
      return ledger.fail(
        `${who} sees ${events.map(({ kv }) => keyOf(kv!)).join(" ")} in revision ${revision}, which is ${describe(wanted)}`,
      );
    for (const { kv, prev_kv: previous } of events) {
      const before = ledger.keyAt(keyOf(kv!), revision - 1);
      if (!this.#prevKv || before === undefined) {
        if (previous !== undefined) ledger.fail(`${who} is shown a previous version of ${keyOf(kv!)} at ${revision}`);
      } else if (previous === undefined ? ledger.compacted < revision : !isSame(before, previous))
        ledger.fail(
          `${who} is shown no or another version of ${keyOf(kv!)} before ${revision} than ${describe([before])}`,
        );
    }
  }

  #wanted(revision: number): readonly Written[] {
    return this.#deps.ledger.at(revision).filter(({ key, version }) => {
      if (this.#end === undefined ? key !== this.#from : key < this.#from || key >= this.#end) return false;
      return version === 0 ? !this.#noDelete : !this.#noPut;
    });
  }
}
