/**
 * A cluster of etcd members in virtual time, from one seed: real members with their peers' protocol, log and db file, on machines that lose their
 * power, over wires that lose what they carry, while clients read, write and watch. What must hold is looked at whenever an instant is over; in the
 * end everything is healed, and all members must come to the same state.
 */
import { assert } from "../../../base/assert.ts";
import { silent, type Logger } from "../../../observe/log.ts";
import { keyValueModel } from "../../model/key-value.ts";
import { checkLinearizable } from "../../model/linearizability.ts";
import { simulatedWorld } from "../world.ts";
import { completed, KvClient, LeaseClient, text, type Recorded } from "./clients.ts";
import { EtcdCluster } from "./cluster.ts";
import { FAULTS, type FaultKind } from "./faults.ts";
import { Ledger } from "./ledger.ts";
import { ClientLink } from "./link.ts";
import { planOf, type Fault, type Plan } from "./plan.ts";
import { V2Client, V2History } from "./v2-clients.ts";
import { Watcher } from "./watchers.ts";

export interface EtcdRunOptions {
  readonly seed: number | string;
  readonly forMs?: number;
  /** In place of those that the seed gives: some of them, to find out which matter. */
  readonly faults?: readonly Fault[];
  /** Only these kinds of faults, in place of each that the seed gives. */
  readonly kinds?: readonly FaultKind[];
  /** The members' own log goes into the log of the run. */
  readonly verbose?: boolean;
}

export interface EtcdRunResult {
  readonly plan: Plan;
  readonly operations: number;
  readonly revisions: number;
  readonly elections: number;
  readonly log: readonly string[];
}

/** A run that broke a promise; `log` is what led to it. */
export class EtcdRunFailure extends Error {
  override readonly name = "EtcdRunFailure";
  readonly seed: number | string;
  readonly plan: Plan;
  readonly faults: readonly Fault[];
  readonly log: readonly string[];
  constructor(options: EtcdRunOptions, plan: Plan, faults: readonly Fault[], log: readonly string[], cause: unknown) {
    super(cause instanceof Error ? cause.message : String(cause), { cause });
    this.seed = options.seed;
    this.plan = plan;
    this.faults = faults;
    this.log = log;
  }
}

const RUN_MS = 15_000;
/** After this the members must have come together, and said all they have to say. */
const HEALED_MS = 120_000;

export async function runEtcd(options: EtcdRunOptions): Promise<EtcdRunResult> {
  const world = simulatedWorld(`etcd ${options.seed}`);
  const plan = planOf(world.random.fork("plan"), options.forMs ?? RUN_MS);
  const { kinds } = options;
  const faults =
    options.faults ??
    (kinds === undefined
      ? plan.faults
      : plan.faults.map((fault) => ({ ...fault, kind: kinds[fault.number % kinds.length]! })));
  const log: string[] = [];
  const { clock } = world;
  let isOver = false;
  const tell = (line: string) => {
    if (!isOver) log.push(`${clock.monotonic().toFixed(2)} ${line}`);
  };
  const run = new EtcdRun(world, plan, faults, tell, options.verbose === true);
  try {
    return { plan, ...(await run.run()), log };
  } catch (error) {
    tell(`FAILED: ${error instanceof Error ? error.message : String(error)}`);
    throw new EtcdRunFailure(options, plan, faults, log, error);
  } finally {
    isOver = true;
    run.end();
  }
}

class EtcdRun {
  readonly #world: ReturnType<typeof simulatedWorld>;
  readonly #plan: Plan;
  readonly #faults: readonly Fault[];
  readonly #tell: (line: string) => void;
  readonly #ledger = new Ledger();
  readonly #cluster: EtcdCluster;
  readonly #history: Recorded[] = [];
  readonly #watchers: Watcher[] = [];
  #isOver = false;
  #watchersEnd = false;
  #failure: unknown;
  /** Wakes those that wait for the faults to end. */
  readonly #waiting = new Set<() => void>();
  #faultsOver = false;

  constructor(
    world: ReturnType<typeof simulatedWorld>,
    plan: Plan,
    faults: readonly Fault[],
    tell: (line: string) => void,
    verbose: boolean,
  ) {
    this.#world = world;
    this.#plan = plan;
    this.#faults = faults;
    this.#tell = tell;
    const names = Array.from(
      { length: plan.clients + plan.leaseHolders + plan.watchers + plan.v2Clients },
      (_, i) => `c${i + 1}`,
    );
    const logger = (name: string) => (verbose ? telling((line) => tell(`${name}: ${line}`)) : silent);
    this.#cluster = new EtcdCluster(world, plan, names, logger, this.#ledger, tell);
  }

  async run(): Promise<{ operations: number; revisions: number; elections: number }> {
    const { clock, random } = this.#world;
    const cluster = this.#cluster;
    const ledger = this.#ledger;
    const plan = this.#plan;
    clock.onSettled = () => {
      cluster.look();
      if (ledger.violation !== undefined) this.#failure ??= ledger.violation;
    };
    this.#go(cluster.begin());
    await this.#until(() => cluster.leader !== undefined, 60_000, "nobody was elected");
    this.#clients();
    for (const fault of this.#faults) {
      clock.after(fault.atMs, () => {
        if (!this.#faultsOver) this.#go(this.#fault(fault));
      });
    }
    let over = false;
    clock.after(plan.forMs, () => (over = true));
    await this.#until(() => over, plan.forMs + 1, "time stands still");
    this.#tell("all is healed");
    this.#faultsOver = true;
    for (const wake of this.#waiting) wake();
    await this.#pass(1);
    cluster.links.healAll();
    cluster.healHosts();
    Object.assign(cluster.messages, { loss: 0, repeat: 0, late: 0, drops: undefined });
    cluster.calls.loss = 0;
    // Clients see the healed cluster, too.
    await this.#pass(random.next() * 1500);
    this.#isOver = true;
    await this.#settle();
    this.#end();
    return { operations: this.#history.length, revisions: ledger.revision, elections: ledger.elections };
  }

  #go(work: Promise<unknown>): void {
    work.catch((error: unknown) => (this.#failure ??= error));
  }

  #clients(): void {
    const { clock, random } = this.#world;
    const plan = this.#plan;
    const cluster = this.#cluster;
    const link = (i: number) =>
      new ClientLink(cluster.clients[i]!, {
        clock,
        random: random.fork(`link ${i}`),
        faults: cluster.calls,
        isCut: (from, to) => cluster.wires.isCut(from, to),
      });
    const deps = (i: number) => ({
      clock,
      random: random.fork(`client ${i}`),
      ledger: this.#ledger,
      hosts: () => cluster.hosts.filter((host) => host.isWanted),
      tell: this.#tell,
      keys: plan.keys,
      thinkMs: plan.thinkMs,
      history: this.#history,
      isOver: () => this.#isOver,
    });
    let i = 0;
    for (let n = 0; n < plan.clients; n++, i++) this.#go(new KvClient(i + 1, link(i), deps(i)).run());
    for (let n = 0; n < plan.leaseHolders; n++, i++) this.#go(new LeaseClient(i + 1, link(i), deps(i)).run());
    for (let n = 0; n < plan.watchers; n++, i++) {
      const watcher = new Watcher(`watcher ${i + 1}`, link(i), { ...deps(i), isOver: () => this.#watchersEnd });
      this.#watchers.push(watcher);
      this.#go(watcher.run());
    }
    const v2 = new V2History(this.#ledger);
    for (let n = 0; n < plan.v2Clients; n++, i++) this.#go(new V2Client(i + 1, link(i), v2, deps(i)).run());
  }

  async #fault({ kind, number }: Fault): Promise<void> {
    await FAULTS[kind]({
      cluster: this.#cluster,
      random: this.#world.random.fork(`fault ${number}`),
      tell: (line) => this.#tell(`# ${line}`),
      pause: (ms) =>
        new Promise((resolve) => {
          if (this.#faultsOver) return resolve();
          const wake = () => {
            this.#waiting.delete(wake);
            resolve();
          };
          this.#waiting.add(wake);
          this.#world.clock.after(ms, wake);
        }),
    });
  }

  async #settle(): Promise<void> {
    const cluster = this.#cluster;
    const ledger = this.#ledger;
    let state = "";
    for (let waited = 0; ; waited += 500) {
      assert(waited < HEALED_MS, `not level ${HEALED_MS / 1000} s after the faults: ${state}`);
      await this.#pass(500);
      let isSettled: boolean | undefined;
      this.#go(cluster.settle().then((is) => (isSettled = is)));
      // Members that are started take their time.
      await this.#until(() => isSettled !== undefined, HEALED_MS, "members don't start");
      if (isSettled !== true || !cluster.isLevel) {
        state = cluster.hosts
          .map(
            ({ name, member, isReady }) =>
              `${name} ${isReady ? "ready" : "not ready"} at ${member?.appliedIndex ?? "?"}`,
          )
          .join(", ");
        continue;
      }
      const late = this.#watchers.map((watcher) => watcher.missing).find((revision) => revision !== undefined);
      if (late === undefined) break;
      state = `a watcher has not seen revision ${late} of ${ledger.revision}`;
    }
    // They stay together.
    await cluster.compareHashes();
    cluster.look();
    if (ledger.violation !== undefined) throw ledger.violation;
    this.#watchersEnd = true;
  }

  #end(): void {
    const ledger = this.#ledger;
    const operations = completed(this.#history, ledger);
    if (ledger.violation !== undefined) throw ledger.violation;
    const verdict = checkLinearizable(keyValueModel, operations);
    if (verdict.kind === "illegal") {
      const stuck = verdict.stuck
        .map(
          ({ client, input, output, call }) =>
            `client ${client} ${text(input)} at ${call.toFixed(1)}: ${JSON.stringify(output)}`,
        )
        .join("\n  ");
      throw new Error(
        `not linearizable after ${verdict.longest.length} of ${operations.length} operations:\n  ${stuck}`,
      );
    }
    assert(verdict.kind === "linearizable", `the history was not judged`);
  }

  async #until(reached: () => boolean, limitMs: number, why: string): Promise<void> {
    const { clock } = this.#world;
    const limit = clock.monotonic() + limitMs;
    await clock.until(() => this.#failure !== undefined || reached() || clock.monotonic() >= limit, limitMs + 1000);
    if (this.#failure !== undefined) throw this.#failure;
    assert(reached(), why);
  }

  async #pass(ms: number): Promise<void> {
    let over = false;
    this.#world.clock.after(ms, () => (over = true));
    await this.#until(() => over, ms + 1, "time stands still");
  }

  end(): void {
    this.#world.clock.onSettled = undefined;
    this.#isOver = this.#watchersEnd = this.#faultsOver = true;
    for (const host of this.#cluster.hosts) host.kill(false);
  }
}

function telling(tell: (line: string) => void): Logger {
  const fields = (all: Readonly<Record<string, unknown>> = {}) =>
    Object.entries(all)
      .map(([name, value]) => ` ${name}=${typeof value === "object" ? JSON.stringify(value) : String(value)}`)
      .join("");
  const logger: Logger = {
    info: (message, all) => tell(`${message}${fields(all)}`),
    warn: (message, all) => tell(`WARN ${message}${fields(all)}`),
    error: (message, error, all) => tell(`ERROR ${message}: ${String(error)}${fields(all)}`),
    v: (level) => (level > 2 ? silent : logger),
    with: () => logger,
  };
  return logger;
}
