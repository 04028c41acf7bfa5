/**
 * Priority and fairness: the flow schema that a request matches, and the seats of the priority level that the schema names. Levels lend seats that
 * they do not need; how many is decided anew every ten seconds, from the seats that each level could have used.
 * Upstream: pkg/util/flowcontrol/apf_controller.go
 */
import type { FlowSchema, PriorityLevelConfiguration } from "../../api/generated/flowcontrol.v1.ts";
import type { Reading } from "../../observe/metrics.ts";
import type { UserInfo } from "../authn/user.ts";
import bootstrap from "../bootstrap/flow-control.json" with { type: "json" };
import type { RequestInfo } from "../request-info.ts";
import { allocate } from "./allocation.ts";
import { deal, flowHash } from "./deal.ts";
import type { Matcher } from "./matching.ts";
import { matcherOf } from "./matching.ts";
import type { FlowCounts, LevelFigures } from "./metrics.ts";
import { flowControlReadings, LevelCounts, ReadWriteCounts } from "./metrics.ts";
import type { Flow, Queuing } from "./queue-set.ts";
import { QueueSet } from "./queue-set.ts";
import { RetryAfter } from "./retry-after.ts";

export const ADJUST_EVERY_MS = 10_000;
const SMOOTHING = 0.977;
/** Of a level's nominal seats, what one request may take at most. */
const MAX_SEATS_PART = 0.15;
/** Flows whose hands are remembered. */
const HANDS_MAX = 10_000;

/** A priority level as it works now. */
export class Level implements LevelFigures {
  readonly name: string;
  readonly counts: LevelCounts;
  readonly queues: QueueSet;
  readonly retryAfter = new RetryAfter();
  object: PriorityLevelConfiguration;
  nominal = 0;
  lower = 0;
  upper = 0;
  /** The most seats that a request is thought to take here; 0: no bound of its own. */
  maxSeats = 0;
  /** Gone from the configuration, and still at work. */
  quiescing = false;
  readonly demand = { high: 0, average: 0, deviation: 0, smoothed: 0, target: 0 };

  constructor(object: PriorityLevelConfiguration, limit: number, now: number) {
    this.name = object.metadata.name;
    this.object = object;
    this.counts = new LevelCounts(now);
    this.queues = new QueueSet(queuingOf(object)!, limit, now, this.counts);
    this.counts.queues = this.queues;
  }

  get exempt(): boolean {
    return this.object.spec?.type === "Exempt";
  }
}

/** A flow schema, ready to be asked. */
export interface Schema {
  readonly object: FlowSchema;
  readonly name: string;
  readonly matches: Matcher;
  readonly level: Level;
  readonly counts: FlowCounts;
  readonly headers: readonly [schema: string, level: string];
  flowOf(info: RequestInfo, user: UserInfo): Flow;
}

/** A schema whose level is missing, or isn't any more. */
export interface Reference {
  readonly schema: FlowSchema;
  readonly level: string;
  readonly dangling: boolean;
}

const MANDATORY_LEVELS = bootstrap.priorityLevelConfigurations.filter(({ metadata: { name } }) => isMandatory(name));
const MANDATORY_SCHEMAS = bootstrap.flowSchemas.filter(({ metadata: { name } }) => isMandatory(name));

export function isMandatory(name: string): boolean {
  return name === "exempt" || name === "catch-all";
}

export class FlowControl {
  readonly #serverLimit: number;
  readonly #monotonic: () => number;
  #levels = new Map<string, Level>();
  #schemas: readonly Schema[] = [];
  #nominalSum = 0;
  #fairFraction = 0;
  readonly readWrite: ReadWriteCounts;
  /** Called when a level that is no longer wanted has nothing more to do: the objects are to be digested again. */
  onIdle: () => void = () => {};

  constructor(serverLimit: number, monotonic: () => number) {
    this.#serverLimit = serverLimit;
    this.#monotonic = monotonic;
    this.readWrite = new ReadWriteCounts(monotonic());
    this.digest([], []);
  }

  get levels(): ReadonlyMap<string, Level> {
    return this.#levels;
  }
  get schemas(): readonly Schema[] {
    return this.#schemas;
  }

  /** The first schema that matches; one always does. */
  classify(info: RequestInfo, user: UserInfo): Schema {
    for (const schema of this.#schemas) if (schema.matches(info, user)) return schema;
    return this.#schemas.at(-1)!;
  }

  /** Takes the configuration as it is now; tells of each schema whether its level is there. */
  digest(levels: readonly PriorityLevelConfiguration[], schemas: readonly FlowSchema[]): readonly Reference[] {
    const now = this.#monotonic();
    const wanted = new Map<string, PriorityLevelConfiguration>();
    for (const level of levels) if (queuingOf(level) !== undefined) wanted.set(level.metadata.name, level);
    const references = schemas.map((schema): Reference => {
      const level = schema.spec?.priorityLevelConfiguration?.name ?? "";
      return { schema, level, dangling: !wanted.has(level) };
    });
    for (const level of MANDATORY_LEVELS)
      if (!wanted.has(level.metadata.name))
        wanted.set(level.metadata.name, level as unknown as PriorityLevelConfiguration);

    const next = new Map<string, PriorityLevelConfiguration>(wanted);
    for (const [name, level] of this.#levels) {
      if (wanted.has(name)) continue;
      if (level.queues.idle) continue;
      next.set(name, level.object);
    }
    const shares = [...next.values()].reduce((sum, level) => sum + sharesOf(level).shares, 0);
    let waitingMax = 0;
    const result = new Map<string, Level>();
    for (const [name, object] of next) {
      const { shares: own, lendablePercent, borrowingLimitPercent } = sharesOf(object);
      const nominal = shares === 0 ? 0 : Math.ceil((this.#serverLimit * own) / shares);
      const lendable = Math.round((nominal * lendablePercent) / 100);
      const borrowing =
        borrowingLimitPercent === undefined ? this.#serverLimit : Math.round((nominal * borrowingLimitPercent) / 100);
      const known = this.#levels.get(name);
      const level = known ?? new Level(object, nominal - Math.floor(lendable / 2), now);
      level.object = object;
      level.quiescing = !wanted.has(name);
      level.nominal = nominal;
      level.lower = nominal - lendable;
      level.upper = nominal + borrowing;
      const queuing = queuingOf(object)!;
      if (queuing.queues > 0) {
        waitingMax += queuing.queues * queuing.queueLengthLimit;
        level.maxSeats = Math.max(
          1,
          Math.min(Math.ceil(nominal * MAX_SEATS_PART), Math.floor(nominal / queuing.handSize)),
        );
      } else level.maxSeats = 0;
      if (known !== undefined) level.queues.configure(queuing, level.queues.limit, now);
      result.set(name, level);
    }
    this.#levels = result;
    this.#nominalSum = [...result.values()].reduce((sum, { nominal }) => sum + nominal, 0);
    this.#schemas = this.#schemasOf(schemas.filter((_, i) => !references[i]!.dangling));
    this.readWrite.setDenominators(now, waitingMax, this.#nominalSum);
    this.adjust();
    return references;
  }

  /** Lends and borrows: every ten seconds, and when the configuration changes. */
  adjust(): void {
    const now = this.#monotonic();
    const limited: { readonly level: Level; readonly current: number }[] = [];
    let remaining = this.#nominalSum;
    let lowerSum = 0;
    let currentSum = 0;
    const limits = new Map<Level, number>();
    for (const level of this.#levels.values()) {
      updateDemand(level, now);
      const { high } = level.demand;
      if (level.exempt) {
        const current = Math.max(level.lower, high);
        limits.set(level, current);
        remaining -= current;
        continue;
      }
      // What it could have used, within what it has a right to.
      const current = Math.max(level.lower, Math.min(level.nominal, high));
      level.demand.target = Math.max(current, level.demand.smoothed);
      limited.push({ level, current });
      lowerSum += level.lower;
      currentSum += current;
    }
    this.#fairFraction = 0;
    if (remaining <= lowerSum) for (const { level } of limited) limits.set(level, level.lower);
    else if (remaining <= currentSum) {
      const part = (remaining - lowerSum) / (currentSum - lowerSum);
      for (const { level, current } of limited)
        limits.set(level, level.lower + Math.round((current - level.lower) * part));
    } else {
      const claims = limited.map(({ level, current }) => ({
        lower: current,
        upper: level.upper,
        target: level.demand.target,
      }));
      const shared = allocate(this.#nominalSum, claims);
      this.#fairFraction = shared?.fair ?? 0;
      limited.forEach(({ level }, i) =>
        limits.set(level, shared === undefined ? level.queues.limit : Math.round(shared.seats[i]!)),
      );
    }
    for (const [level, limit] of limits) {
      const denominator = limit > 0 ? limit : Math.max(1, Math.round(this.#serverLimit / 10));
      const { counts, queues } = level;
      const { queuing } = queues;
      counts.demandRatio.setDenominator(now, denominator);
      counts.seats.setDenominator(now, denominator);
      counts.executing.setDenominator(now, denominator);
      counts.waiting.setDenominator(now, Math.max(1, queuing.queueLengthLimit) * Math.max(1, queuing.queues));
      queues.configure(queuing, limit, now);
    }
  }

  /** After a request: an unwanted level may have done its last. */
  ended(level: Level): void {
    if (level.quiescing && level.queues.idle) this.onIdle();
  }

  *readings(): Iterable<Reading> {
    const now = this.#monotonic();
    yield* flowControlReadings(now, this.#levels.values(), this.#fairFraction);
    yield* this.readWrite.readings(now);
  }

  #schemasOf(objects: readonly FlowSchema[]): readonly Schema[] {
    const sorted = [...objects].sort((a, b) => {
      const [left, right] = [a.spec?.matchingPrecedence ?? 0, b.spec?.matchingPrecedence ?? 0];
      return left - right || (a.metadata.name < b.metadata.name ? -1 : 1);
    });
    for (const mandatory of MANDATORY_SCHEMAS as unknown as readonly FlowSchema[]) {
      const { name } = mandatory.metadata;
      if (sorted.some(({ metadata }) => metadata.name === name)) continue;
      if (name === "exempt") sorted.unshift(mandatory);
      else sorted.push(mandatory);
    }
    return sorted.map((object) => {
      const { name, uid = "" } = object.metadata;
      const level = this.#levels.get(object.spec!.priorityLevelConfiguration.name)!;
      return {
        object,
        name,
        level,
        matches: matcherOf(object),
        counts: level.counts.of(name),
        headers: [uid, level.object.metadata.uid ?? ""],
        flowOf: flows(name, object.spec?.distinguisherMethod?.type, level),
      };
    });
  }
}

/** The flows of a schema: one, or one for each user or namespace. */
function flows(schema: string, method: string | undefined, level: Level): Schema["flowOf"] {
  const { queues, handSize } = queuingOf(level.object)!;
  const flowOf = (distinguisher: string): Flow => ({
    schema,
    distinguisher,
    hand: queues < 1 ? [] : queues === 1 ? [0] : deal(flowHash(schema, distinguisher), queues, handSize),
  });
  const only = flowOf("");
  if (queues <= 1 || method === undefined) return () => only;
  const known = new Map<string, Flow>();
  return (info, user) => {
    const distinguisher = method === "ByUser" ? user.name : info.namespace;
    let flow = known.get(distinguisher);
    if (flow === undefined) {
      if (known.size >= HANDS_MAX) known.clear();
      known.set(distinguisher, (flow = flowOf(distinguisher)));
    }
    return flow;
  };
}

/** Undefined for an object that makes no sense: it is as if it weren't there. */
function queuingOf({ metadata, spec }: PriorityLevelConfiguration): Queuing | undefined {
  const exempt = spec?.type === "Exempt";
  if (exempt !== (metadata.name === "exempt") || exempt !== (spec?.exempt !== undefined)) return undefined;
  if ((spec?.type === "Limited") !== (spec?.limited !== undefined)) return undefined;
  if (exempt) return { queues: -1, handSize: 0, queueLengthLimit: 0 };
  const response = spec?.limited?.limitResponse;
  if ((response?.type === "Reject") !== (response?.queuing === undefined)) return undefined;
  const { queues = 0, handSize = 0, queueLengthLimit = 0 } = response?.queuing ?? {};
  if (queues > 0 && (handSize < 1 || handSize > queues || handSize * Math.log2(queues) > 60)) return undefined;
  return { queues, handSize, queueLengthLimit };
}

function sharesOf({ spec }: PriorityLevelConfiguration): {
  readonly shares: number;
  readonly lendablePercent: number;
  readonly borrowingLimitPercent: number | undefined;
} {
  const { limited, exempt } = spec ?? {};
  return {
    shares: limited !== undefined ? (limited.nominalConcurrencyShares ?? 30) : (exempt?.nominalConcurrencyShares ?? 0),
    lendablePercent: (limited ?? exempt)?.lendablePercent ?? 0,
    borrowingLimitPercent: limited?.borrowingLimitPercent,
  };
}

function updateDemand({ counts, demand }: Level, now: number): void {
  const seen = counts.demand.reset(now);
  demand.high = Math.round(seen.max);
  if (seen.seconds <= 0) return;
  demand.average = seen.average;
  demand.deviation = seen.deviation;
  const envelope = seen.average + seen.deviation;
  demand.smoothed = Math.max(envelope, SMOOTHING * demand.smoothed + (1 - SMOOTHING) * envelope);
}
