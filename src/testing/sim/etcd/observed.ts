/** One process's member as the ledger sees it: looked at whenever the present instant is over, and as it applies each entry. */
import type { Member } from "../../../etcd/member.ts";
import type { Change } from "../../../etcd/mvcc/store.ts";
import type { ConfState, NodeId } from "../../../raft/types.ts";
import { describe, keyOf, type Ledger, type Replaced } from "./ledger.ts";
import { V2_PREFIX } from "./v2-clients.ts";

export class Observed {
  readonly name: string;
  readonly member: Member;
  readonly #ledger: Ledger;
  #appliedIndex = 0;
  #lastIndex = -1;
  #lastTerm = -1;
  #term = 0;
  #commit = 0;
  #revision = 0;
  #wasLeader = false;
  #confState: ConfState | undefined;
  #members = "";
  /** The terms of its log as far as the ledger has been told. */
  readonly #known = new Map<number, number>();

  constructor(name: string, member: Member, ledger: Ledger, now: () => number) {
    this.name = name;
    this.member = member;
    this.#ledger = ledger;
    const { watchable, consistentIndex } = member;
    const notify = watchable.notify.bind(watchable);
    watchable.notify = (changes: readonly Change[]) => {
      const { store } = member;
      ledger.changed(
        name,
        changes.map((change) => ({ kv: change.kv, previous: store.previous(change) })),
      );
      this.#checkAllowed(changes);
      notify(changes);
    };
    const advance = consistentIndex.advance.bind(consistentIndex);
    consistentIndex.advance = (index: number, term: number) => {
      this.#beforeEntry(index, term);
      advance(index, term);
    };
    const { lessor } = member;
    const revoke = lessor.revoke.bind(lessor);
    lessor.revoke = (id: bigint) => {
      const lease = revoke(id);
      ledger.revoked(name, id, now());
      return lease;
    };
    this.#takeUp();
    this.#checkStore();
  }

  /** What it applied while it was opened, and nobody had applied before: the end of its log, which nobody else may have. */
  #takeUp(): void {
    const { store } = this.member;
    const unseen = new Map<number, Replaced[]>();
    store.history(this.#ledger.revision + 1, store.revision, (kv) => {
      const change = { kv, previous: store.getAt(keyOf(kv), kv.mod_revision - 1) };
      const known = unseen.get(kv.mod_revision);
      if (known === undefined) unseen.set(kv.mod_revision, [change]);
      else known.push(change);
    });
    for (const changes of unseen.values()) this.#ledger.changed(this.name, changes);
  }

  /** Clients do not authenticate: with authentication enabled only expiring leases change anything, and without space nothing is put. */
  #checkAllowed(changes: readonly Change[]): void {
    const { alarms, auth } = this.member;
    const isExpiry = changes.every(({ kv }) => kv.version === 0 && keyOf(kv).startsWith("l"));
    // The v2 API has users of its own, and writes as a member does.
    const isOfV2 = keyOf(changes[0]!.kv).startsWith(V2_PREFIX);
    const revision = changes[0]!.kv.mod_revision;
    if (auth.enabled && !isExpiry && !isOfV2)
      this.#ledger.fail(`revision ${revision} was written by nobody, on ${this.name}`);
    if (alarms.has("NOSPACE") && changes.some(({ kv }) => kv.version > 0))
      this.#ledger.fail(`revision ${revision} was written without space, on ${this.name}`);
  }

  /** Who can't keep what it has applied says nothing more. */
  #checkKeeping(): void {
    const { member } = this;
    if (member.store.backend.hasFailed && !member.isStopped)
      this.#ledger.fail(`${this.name} goes on without its db file`);
  }

  /** Of what is replicated beside the keys. */
  #digest(): string {
    const { store, lessor, alarms, auth, confState } = this.member;
    const leases: string[] = [];
    for (const { id, ttl, remainingTtl, keys } of lessor.all)
      leases.push(`${id}:${ttl}/${remainingTtl}[${keys.size > 1 ? [...keys].sort().join() : [...keys].join()}]`);
    const { downgrade, version } = this.member.membership;
    return `version ${version} downgrade ${downgrade.enabled ? downgrade.targetVersion : "none"} compact ${Math.max(store.compactRevision, 0)} leases ${leases.sort().join()} alarms ${alarms.raised.length} auth ${auth.enabled}/${auth.revision} members ${this.#describe(confState)}`;
  }

  /** Rarely another than the last time. */
  #describe(confState: ConfState): string {
    if (confState === this.#confState) return this.#members;
    this.#confState = confState;
    const ids = (list: readonly NodeId[]) => [...list].sort().join();
    this.#members = `${ids(confState.voters)} learners ${ids(confState.learners)}`;
    return this.#members;
  }

  /** Raft counts on those who belong, and on nobody else. */
  #checkMembers(): void {
    const { membership, raft } = this.member;
    const counted = raft.tracker.confState();
    // One that joins knows the members from those whom it asked, and raft learns of them one entry after another, until that of this one.
    if (!counted.voters.includes(raft.id) && !counted.learners.includes(raft.id)) return;
    const voters = membership.votingMembers.map(({ ID }) => ID);
    const isOdd = counted.voters.length !== voters.length || !voters.every((id) => counted.voters.includes(id));
    if (isOdd || membership.members.length !== counted.voters.length + counted.learners.length)
      this.#ledger.fail(`raft on ${this.name} counts on others than those who belong`);
  }

  #beforeEntry(index: number, term: number): void {
    const { consistentIndex, store } = this.member;
    const before = consistentIndex.index;
    if (index !== before + 1) this.#ledger.fail(`${this.name} applies entry ${index} after entry ${before}`);
    this.#ledger.state(this.name, before, store.revision, this.#digest());
    this.#ledger.compacted = Math.max(this.#ledger.compacted, store.compactRevision);
    this.#ledger.entry(this.name, index, term);
  }

  /** All keys as they are now are what the history says. */
  #checkStore(): void {
    const { store } = this.member;
    const { kvs } = store.range(Uint8Array.of(0), Uint8Array.of(0), { limit: 0, revision: 0, countOnly: false });
    const expected = this.#ledger.rangeAt("", "\u{ff}", store.revision);
    const found = kvs.map((kv) => `${Buffer.from(kv.key).toString("latin1")}=${kv.mod_revision}/${kv.version}`);
    const wanted = expected.map((one) => `${one.key}=${one.revision}/${one.version}`);
    if (store.revision <= this.#ledger.revision && found.join() !== wanted.join())
      this.#ledger.fail(
        `${this.name} opens at revision ${store.revision} with ${found.join(" ")}, not ${describe(expected)}`,
      );
  }

  look(tell: (line: string) => void): void {
    const { member, name } = this;
    const ledger = this.#ledger;
    const { raft } = member;
    const { term } = raft;
    const commit = raft.log.committed;
    if (term < this.#term) ledger.fail(`${name} went back from term ${this.#term} to ${term}`);
    this.#term = term;
    if (commit < this.#commit) ledger.fail(`${name} took back what was committed: ${this.#commit}, then ${commit}`);
    this.#commit = commit;
    const { revision } = member.store;
    if (revision < this.#revision) ledger.fail(`${name} went back from revision ${this.#revision} to ${revision}`);
    this.#revision = revision;
    const applied = member.consistentIndex.index;
    if (applied !== this.#appliedIndex) {
      this.#appliedIndex = applied;
      ledger.state(name, applied, revision, this.#digest());
      ledger.compacted = Math.max(ledger.compacted, member.store.compactRevision);
      this.#checkMembers();
    }
    this.#lookAtLog();
    this.#checkKeeping();
    const isLeader = raft.isLeader;
    if (isLeader && !this.#wasLeader) {
      if (ledger.leads(name, term)) tell(`${name} leads in term ${term}`);
      this.#checkComplete();
    } else if (isLeader && ledger.committed > raft.log.lastIndex()) this.#checkComplete();
    this.#wasLeader = isLeader;
  }

  /** A leader has every entry that was ever committed before its term. */
  #checkComplete(): void {
    const { log, term } = this.member.raft;
    const { committed } = this.#ledger;
    const wanted = this.#ledger.termAt(committed);
    if (wanted === undefined || wanted >= term || committed < log.firstIndex() - 1) return;
    if (log.term(committed) !== wanted)
      this.#ledger.fail(
        `leader completeness: ${this.name} leads in term ${term} without entry ${committed} of term ${wanted} (it has one of term ${log.term(committed)})`,
      );
  }

  #lookAtLog(): void {
    const { log } = this.member.raft;
    const last = log.lastIndex();
    const lastTerm = log.term(last) ?? 0;
    if (last === this.#lastIndex && lastTerm === this.#lastTerm) return;
    this.#lastIndex = last;
    this.#lastTerm = lastTerm;
    const first = log.firstIndex();
    let from = last;
    while (from >= first && this.#known.get(from) !== log.term(from)) from--;
    if (from >= last) return;
    const entries = log.slice(from + 1, last + 1, Infinity) ?? [];
    let before = log.term(from) ?? 0;
    for (const { index, term, data } of entries) {
      this.#known.set(index, term);
      this.#ledger.logged(this.name, index, term, hash(data), before);
      before = term;
    }
  }
}

export function hash(bytes: Uint8Array): number {
  let value = 0x811c9dc5;
  for (let i = 0; i < bytes.length; i++) value = Math.imul(value ^ bytes[i]!, 0x01000193);
  return value >>> 0;
}
