/**
 * Two servers, the same requests to both in turn, answers compared field by field. The first is the measure. Where they differ for a known reason
 * (`differences.ts`) they may; what is left is shrunk to the few steps that show it.
 */
import { isDeepStrictEqual } from "node:util";
import { EtcdProcesses, type Program } from "../etcd-processes.ts";
import { Contestant } from "./contestant.ts";
import { differences, unasked, type KnownDifference } from "./differences.ts";
import type { Plain, PlainRecord } from "./plain.ts";
import { LIMIT_FLAGS, type Sequence } from "./sequences.ts";
import type { Step } from "./step.ts";

export interface Difference {
  readonly number: number;
  readonly step: Step;
  readonly theirs: PlainRecord;
  readonly ours: PlainRecord;
}

/** How many times as long as usual each look at a sequence waits. */
const PATIENCE = [1, 10, 30];

export class Duel implements AsyncDisposable {
  readonly #upstream: Program;
  readonly #own: Program;
  #processes!: EtcdProcesses;
  #theirs!: Contestant;
  #ours!: Contestant;
  #version = "";
  /** For tests of this: our answers to such steps are spoilt. */
  planted: (step: Step) => boolean = () => false;
  /** How often a known difference was met. */
  readonly met = new Map<KnownDifference, number>();
  /** How often a method answered, and how often it refused. */
  readonly answers = new Map<string, { ok: number; refused: number }>();

  private constructor(upstream: Program, own: Program) {
    this.#upstream = upstream;
    this.#own = own;
  }

  static async start(upstream: Program, own: Program = "ours"): Promise<Duel> {
    const duel = new Duel(upstream, own);
    await duel.#start();
    return duel;
  }

  async #start(): Promise<void> {
    this.#processes = await EtcdProcesses.create();
    await this.#processes.reserve(["theirs", "ours"]);
    const options = { flags: [...LIMIT_FLAGS, "--bcrypt-cost=4"] };
    const [theirs, ours] = await Promise.all([
      this.#processes.start(this.#upstream, "theirs", options),
      this.#processes.start(this.#own, "ours", options),
    ]);
    this.#theirs = new Contestant(theirs, false);
    this.#ours = new Contestant(ours, true);
    this.#version = await this.#theirs.version();
  }

  async #stop(): Promise<void> {
    await Promise.all([this.#theirs.close(), this.#ours.close()]);
    await this.#processes[Symbol.asyncDispose]();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stop();
  }

  /** What is first answered differently, however long one waits for it: a busy machine makes differences, too, and others each time. */
  async run(steps: readonly Step[]): Promise<Difference | undefined> {
    let found: Difference | undefined;
    for (const patience of PATIENCE) {
      found = await this.#once(steps, patience);
      if (found === undefined) return undefined;
    }
    return found;
  }

  async #once(steps: readonly Step[], patience: number): Promise<Difference | undefined> {
    const both = [this.#theirs, this.#ours];
    const sameRows = !/"granted"|"Lock"|"Campaign"/.test(JSON.stringify(steps));
    await Promise.all(both.map((one) => one.begin(sameRows, this.#version, patience)));
    let found: Difference | undefined;
    try {
      let isGuarded = false;
      for (const [number, step] of steps.entries()) {
        if (unasked.some((one) => one.isOf(this.#version) && one.isAbout(step, isGuarded))) continue;
        const { revision } = this.#theirs;
        const [theirs, answer] = await Promise.all([
          this.#theirs.perform(step, revision),
          this.#ours.perform(step, revision),
        ]);
        const ours = this.planted(step) ? { ...answer, spoilt: true } : answer;
        this.#count(step, theirs);
        if ("answer" in theirs && step.rpc === "AuthEnable") isGuarded = true;
        if ("answer" in theirs && step.rpc === "AuthDisable") isGuarded = false;
        const expected = this.#expected(step, theirs, ours);
        if (!isDeepStrictEqual(ours, expected)) {
          found = { number, step, theirs: expected, ours };
          break;
        }
      }
    } finally {
      await Promise.all(both.map((one) => one.end()));
    }
    const isSame = await this.#cleanUp();
    // What they hold, and went on from, is not the same any more.
    if (!isSame) {
      found ??= {
        number: steps.length,
        step: { rpc: "(what is left)", request: {} },
        theirs: this.#left[0]!,
        ours: this.#left[1]!,
      };
      await this.#stop();
      await this.#start();
    }
    return found;
  }

  /** The fewest steps, and the least in them, that still show a difference. */
  async shrink({ steps }: Sequence, difference: Difference, tries = 150): Promise<readonly Step[]> {
    let best = steps.slice(0, difference.number + 1);
    const fails = async (candidate: readonly Step[]) => {
      tries--;
      const found = await this.#once(candidate, PATIENCE[0]!).catch(() => undefined);
      if (found === undefined) return false;
      best = candidate.slice(0, found.number + 1);
      return true;
    };
    for (let size = Math.ceil(best.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
      for (let at = best.length - size; at >= 0 && tries > 0; at -= size)
        await fails([...best.slice(0, at), ...best.slice(at + size)]);
    }
    for (let at = best.length - 1; at >= 0; at--) {
      for (let again = true; again && tries > 0;) {
        again = false;
        for (const smaller of smallerForms(best[at] as unknown as PlainRecord)) {
          if (tries <= 0) break;
          if (!(await fails(best.with(at, smaller as unknown as Step)))) continue;
          again = at < best.length;
          break;
        }
      }
    }
    return best;
  }

  /** What this upstream's answer would be in the version that we are. */
  #expected(step: Step, theirs: PlainRecord, ours: PlainRecord): PlainRecord {
    let expected = theirs;
    for (const known of differences) {
      if (!known.isOf(this.#version)) continue;
      if (isDeepStrictEqual(expected, ours)) break;
      const changed = known.newer(step, expected, ours);
      if (changed === undefined || isDeepStrictEqual(changed, expected)) continue;
      expected = changed;
      this.met.set(known, (this.met.get(known) ?? 0) + 1);
    }
    return expected;
  }

  #count({ rpc }: Step, outcome: PlainRecord): void {
    const counts = this.answers.get(rpc) ?? { ok: 0, refused: 0 };
    if ("code" in outcome) counts.refused++;
    else counts.ok++;
    this.answers.set(rpc, counts);
  }

  #left: PlainRecord[] = [];

  /** Both empty again; false when they went different ways. */
  async #cleanUp(): Promise<boolean> {
    try {
      this.#left = await Promise.all([cleaned(this.#theirs), cleaned(this.#ours)]);
    } catch (error) {
      this.#left = [{ error: String(error) }, {}];
      return false;
    }
    return isDeepStrictEqual(this.#left[0], this.#left[1]);
  }
}

async function cleaned({ kv, lease, maintenance, cluster, auth }: Contestant): Promise<PlainRecord> {
  try {
    await auth.UserList({});
  } catch {
    const { token } = await auth.Authenticate({ name: "root", password: "root-password" });
    await auth.AuthDisable({}, { metadata: { token } });
  }
  for (const name of (await auth.UserList({})).users) await auth.UserDelete({ name });
  for (const role of (await auth.RoleList({})).roles) await auth.RoleDelete({ role });
  for (const { memberID, alarm } of (await maintenance.Alarm({})).alarms)
    await maintenance.Alarm({ action: "DEACTIVATE", memberID, alarm });
  for (const { ID, isLearner } of (await cluster.MemberList({})).members)
    if (isLearner) await cluster.MemberRemove({ ID });
  const all = Buffer.from("\0");
  const { kvs } = await kv.Range({ key: all, range_end: all });
  for (const { ID } of (await lease.LeaseLeases({})).leases) await lease.LeaseRevoke({ ID });
  await kv.DeleteRange({ key: all, range_end: all });
  // With no key alive, 3.4 hashes what later versions don't: they keep a tombstone that stands at the compaction.
  const { header } = await kv.Put({ key: Buffer.from("h") });
  await kv.Compact({ revision: header!.revision, physical: true });
  // Not of the compaction itself: that some remember.
  const revision = (await kv.Put({ key: Buffer.from("h") })).header!.revision;
  const { hash } = await maintenance.HashKV({ revision });
  return { revision, hash, keys: kvs.length };
}

/** A step with one thing less. */
function smallerForms(value: PlainRecord): readonly PlainRecord[] {
  const forms: PlainRecord[] = [];
  for (const [name, item] of Object.entries(value)) {
    if (name === "rpc" || name === "stream" || name === "as" || name === "isLearner") continue;
    if (name !== "request" && name !== "requests")
      forms.push(Object.fromEntries(Object.entries(value).filter(([other]) => other !== name)));
    for (const smaller of smallerItems(item)) forms.push({ ...value, [name]: smaller });
  }
  return forms;
}

function smallerItems(item: Plain): readonly Plain[] {
  if (Array.isArray(item)) {
    return [
      ...item.map((_, i) => item.toSpliced(i, 1)),
      ...item.flatMap((inner: Plain, i) => smallerItems(inner).map((smaller) => item.with(i, smaller))),
    ];
  }
  if (typeof item !== "object" || "back" in item || "granted" in item || "member" in item || "bytes" in item) return [];
  return smallerForms(item as PlainRecord);
}
