/**
 * What happened, as the members tell it by what they apply: the one history that all of them must share. The first to apply an entry writes it
 * down, everyone after that is held to it, and so are the answers that clients get and the events that watchers see.
 */
import type { KeyValue } from "../../../etcd/backend/backend.ts";

/** One write of a revision. Version 0 is a deletion. */
export interface Written {
  readonly key: string;
  readonly value: string;
  readonly revision: number;
  readonly created: number;
  readonly version: number;
  readonly lease: bigint;
}

/** What the state was when an entry of the log had been applied. */
export interface AppliedState {
  readonly revision: number;
  readonly digest: string;
}

const NOTHING: readonly Written[] = [];

/** A write with the version that it replaced. */
export interface Replaced {
  readonly kv: KeyValue;
  readonly previous: KeyValue | undefined;
}

export class Ledger {
  /** By revision; the first writes are at 2. */
  readonly #revisions: (readonly Written[])[] = [NOTHING, NOTHING];
  readonly #byKey = new Map<string, Written[]>();
  /** By index of the log. */
  readonly #terms: number[] = [];
  readonly #states: AppliedState[] = [];
  readonly #entries = new Map<string, { readonly data: number; readonly before: number }>();
  readonly #leaders = new Map<number, string>();
  readonly values = new Map<string, number>();
  /** Everything below may be gone. */
  compacted = 0;
  /** The highest entry that anyone knew to be committed, and the leaders since. */
  committed = 0;
  violation: Error | undefined;
  /** By lease: until when its holder was promised to have it. A lease that its holder gives up is promised nothing. */
  readonly leases = new Map<bigint, number>();
  readonly #revoked = new Set<bigint>();

  get revision(): number {
    return this.#revisions.length - 1;
  }

  /** The first thing that went wrong counts. */
  fail(message: string): void {
    this.violation ??= new Error(message);
  }

  at(revision: number): readonly Written[] {
    return this.#revisions[revision] ?? NOTHING;
  }

  /** What a key was at a revision. */
  keyAt(key: string, revision: number): Written | undefined {
    const versions = this.#byKey.get(key);
    if (versions === undefined) return undefined;
    let i = versions.length - 1;
    while (i >= 0 && versions[i]!.revision > revision) i--;
    const found = versions[i];
    return found === undefined || found.version === 0 ? undefined : found;
  }

  /** All keys from one up to and without another, as they were. */
  rangeAt(from: string, end: string, revision: number): readonly Written[] {
    const found: Written[] = [];
    for (const key of [...this.#byKey.keys()].sort()) {
      if (key < from || key >= end) continue;
      const written = this.keyAt(key, revision);
      if (written !== undefined) found.push(written);
    }
    return found;
  }

  /** A member's store has changed. */
  changed(who: string, changes: readonly Replaced[]): void {
    const revision = changes[0]!.kv.mod_revision;
    const known = this.#revisions[revision];
    if (known === undefined) {
      if (revision !== this.#revisions.length)
        return this.fail(`${who} is at revision ${revision}, after which nobody has come but ${this.revision}`);
      const written = changes.map(({ kv }) => writtenOf(kv));
      this.#revisions.push(written);
      for (const one of written) {
        const before = this.keyAt(one.key, revision);
        if (one.version !== 0 && (before?.version ?? 0) + 1 !== one.version)
          this.fail(`${who} made version ${one.version} of ${one.key} after version ${before?.version ?? 0}`);
        const versions = this.#byKey.get(one.key);
        if (versions === undefined) this.#byKey.set(one.key, [one]);
        else versions.push(one);
        if (one.version !== 0) {
          const twice = this.values.get(`${one.key}=${one.value}`);
          if (twice !== undefined && twice !== revision)
            this.fail(`${one.key}=${one.value} was written twice, at revisions ${twice} and ${revision}`);
          this.values.set(`${one.key}=${one.value}`, revision);
        }
      }
      return;
    }
    if (known.length !== changes.length || !known.every((one, i) => isSame(one, changes[i]!.kv)))
      this.fail(
        `state machine safety: revision ${revision} is ${describe(changes.map(({ kv }) => writtenOf(kv)))} on ${who} and ${describe(known)} elsewhere`,
      );
    for (const [i, { kv, previous }] of changes.entries()) {
      // It may have been taken away and put anew in one transaction.
      const earlier = known.slice(0, i).findLast(({ key }) => key === keyOf(kv));
      const before =
        earlier === undefined ? this.keyAt(keyOf(kv), revision - 1) : earlier.version === 0 ? undefined : earlier;
      if (before === undefined ? previous !== undefined : previous === undefined || !isSame(before, previous))
        this.fail(`${who} replaced another version of ${keyOf(kv)} at revision ${revision} than others did`);
    }
  }

  /** A member has begun to apply an entry. */
  entry(who: string, index: number, term: number): void {
    const known = this.#terms[index];
    if (known === undefined) this.#terms[index] = term;
    else if (known !== term)
      this.fail(`state machine safety: ${who} applies entry ${index} of term ${term}, others had one of term ${known}`);
    this.committed = Math.max(this.committed, index);
  }

  /** What a member's state was after an entry. */
  state(who: string, index: number, revision: number, digest: string): void {
    const known = this.#states[index];
    if (known === undefined) this.#states[index] = { revision, digest };
    else if (known.revision !== revision)
      this.fail(
        `state machine safety: after entry ${index} ${who} is at revision ${revision}, others were at ${known.revision}`,
      );
    else if (known.digest !== digest)
      this.fail(`state machine safety: after entry ${index} ${who} has ${digest}, others had ${known.digest}`);
  }

  stateAt(index: number): AppliedState | undefined {
    return this.#states[index];
  }
  termAt(index: number): number | undefined {
    return this.#terms[index];
  }

  /** A member has an entry in its log. Equal place and term mean equal entries, and equal ones before: by induction, equal logs. */
  logged(who: string, index: number, term: number, data: number, before: number): void {
    const key = `${index}/${term}`;
    const known = this.#entries.get(key);
    if (known === undefined) this.#entries.set(key, { data, before });
    else if (known.data !== data || known.before !== before)
      this.fail(`log matching: entry ${index} of term ${term} is another one on ${who}`);
  }

  /** A member has revoked a lease. */
  revoked(who: string, lease: bigint, now: number): void {
    if (this.#revoked.has(lease)) return;
    this.#revoked.add(lease);
    const until = this.leases.get(lease);
    if (until !== undefined && now < until)
      this.fail(`lease ${lease} is taken away on ${who} ${Math.round(until - now)} ms before its time`);
  }

  leads(who: string, term: number): boolean {
    const known = this.#leaders.get(term);
    if (known === undefined) this.#leaders.set(term, who);
    else if (known !== who) this.fail(`election safety: ${known} and ${who} both lead in term ${term}`);
    return known === undefined;
  }
  get elections(): number {
    return this.#leaders.size;
  }
}

export function keyOf(kv: KeyValue): string {
  return Buffer.from(kv.key).toString("latin1");
}

export function writtenOf(kv: KeyValue): Written {
  return {
    key: keyOf(kv),
    value: Buffer.from(kv.value).toString("latin1"),
    revision: kv.mod_revision,
    created: kv.create_revision,
    version: kv.version,
    lease: kv.lease,
  };
}

export function isSame(one: Written, kv: KeyValue): boolean {
  return (
    one.revision === kv.mod_revision &&
    one.created === kv.create_revision &&
    one.version === kv.version &&
    one.lease === kv.lease &&
    one.key === keyOf(kv) &&
    one.value === Buffer.from(kv.value).toString("latin1")
  );
}

export function describe(written: readonly Written[]): string {
  if (written.length === 0) return "nothing";
  return written
    .map(({ key, value, version, revision }) => (version === 0 ? `-${key}@${revision}` : `${key}=${value}@${revision}`))
    .join(" ");
}
