/**
 * The metrics of priority and fairness, counted in plain fields and collected when they are scraped.
 * Upstream: pkg/util/flowcontrol/metrics/metrics.go
 */
import type { Reading } from "../../observe/metrics.ts";
import { counter, Distribution, gauge, histogram } from "../../observe/metrics.ts";
import { Integrator, TimedRatio } from "./demand.ts";
import type { Observer, QueueSet, RefusedReason, Ticket } from "./queue-set.ts";

const LEVEL = ["priority_level"] as const;
const FLOW = ["priority_level", "flow_schema"] as const;
const name = (rest: string) => `apiserver_flowcontrol_${rest}`;

const SECONDS = [0, 0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30];
const LENGTHS = [0, 10, 25, 50, 100, 250, 500, 1000];
const SEATS = [1, 2, 4, 8, 16, 32, 64, 100];
const WATCHES = [0, 1, 10, 100, 1000, 10000];
const SEAT_RATIOS = [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1];
const REQUEST_RATIOS = [0, 0.001, 0.003, 0.01, 0.03, 0.1, 0.25, 0.5, 0.75, 1];
const READ_WRITE_RATIOS = [0, 0.001, 0.01, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1];
const DEMAND_RATIOS = [0.2, 0.4, 0.6, 0.8, 1, 1.2, 1.4, 1.7, 2, 2.8, 4, 6];

const METRICS = {
  rejected: counter(name("rejected_requests_total"), {
    help: "Number of requests rejected by API Priority and Fairness subsystem",
    labels: [...FLOW, "reason"],
    stability: "BETA",
  }),
  dispatched: counter(name("dispatched_requests_total"), {
    help: "Number of requests executed by API Priority and Fairness subsystem",
    labels: FLOW,
    stability: "BETA",
  }),
  noAccommodation: counter(name("request_dispatch_no_accommodation_total"), {
    help: "Number of times a dispatch attempt resulted in a non accommodation due to lack of available seats",
    labels: FLOW,
  }),
  inQueueRequests: gauge(name("current_inqueue_requests"), {
    help: "Number of requests currently pending in queues of the API Priority and Fairness subsystem",
    labels: FLOW,
    stability: "BETA",
  }),
  inQueueSeats: gauge(name("current_inqueue_seats"), {
    help: "Number of seats currently pending in queues of the API Priority and Fairness subsystem",
    labels: FLOW,
  }),
  executingRequests: gauge(name("current_executing_requests"), {
    help: "Number of requests in initial (for a WATCH) or any (for a non-WATCH) execution stage in the API Priority and Fairness subsystem",
    labels: FLOW,
    stability: "BETA",
  }),
  executingSeats: gauge(name("current_executing_seats"), {
    help: "Concurrency (number of seats) occupied by the currently executing (initial stage for a WATCH, any stage otherwise) requests in the API Priority and Fairness subsystem",
    labels: FLOW,
    stability: "BETA",
  }),
  queueLength: histogram(name("request_queue_length_after_enqueue"), {
    help: "Length of queue in the API Priority and Fairness subsystem, as seen by each request after it is enqueued",
    labels: FLOW,
    buckets: LENGTHS,
  }),
  waitSeconds: histogram(name("request_wait_duration_seconds"), {
    help: "Length of time a request spent waiting in its queue",
    labels: [...FLOW, "execute"],
    stability: "BETA",
    buckets: SECONDS,
  }),
  executionSeconds: histogram(name("request_execution_seconds"), {
    help: "Duration of initial stage (for a WATCH) or any (for a non-WATCH) stage of request execution in the API Priority and Fairness subsystem",
    labels: [...FLOW, "type"],
    buckets: SECONDS,
  }),
  estimatedSeats: histogram(name("work_estimated_seats"), {
    help: "Number of estimated seats (maximum of initial and final seats) associated with requests in API Priority and Fairness",
    labels: FLOW,
    buckets: SEATS,
  }),
  watchCounts: histogram(name("watch_count_samples"), {
    help: "count of watchers for mutating requests in API Priority and Fairness",
    labels: FLOW,
    buckets: WATCHES,
  }),
  currentR: gauge(name("current_r"), { help: "R(time of last change)", labels: LEVEL }),
  dispatchR: gauge(name("dispatch_r"), { help: "R(time of last dispatch)", labels: LEVEL }),
  latestS: gauge(name("latest_s"), { help: "S(most recently dispatched request)", labels: LEVEL }),
  nextS: gauge(name("next_s_bounds"), {
    help: "min and max, over queues, of S(oldest waiting request in queue)",
    labels: [...LEVEL, "bound"],
  }),
  nextDiscountedS: gauge(name("next_discounted_s_bounds"), {
    help: "min and max, over queues, of S(oldest waiting request in queue) - estimated work in progress",
    labels: [...LEVEL, "bound"],
  }),
  nominal: gauge(name("nominal_limit_seats"), {
    help: "Nominal number of execution seats configured for each priority level",
    labels: LEVEL,
    stability: "BETA",
  }),
  lower: gauge(name("lower_limit_seats"), {
    help: "Configured lower bound on number of execution seats available to each priority level",
    labels: LEVEL,
  }),
  upper: gauge(name("upper_limit_seats"), {
    help: "Configured upper bound on number of execution seats available to each priority level",
    labels: LEVEL,
  }),
  current: gauge(name("current_limit_seats"), {
    help: "current derived number of execution seats available to each priority level",
    labels: LEVEL,
  }),
  demandHigh: gauge(name("demand_seats_high_watermark"), {
    help: "High watermark, over last adjustment period, of demand_seats",
    labels: LEVEL,
  }),
  demandAverage: gauge(name("demand_seats_average"), {
    help: "Time-weighted average, over last adjustment period, of demand_seats",
    labels: LEVEL,
  }),
  demandDeviation: gauge(name("demand_seats_stdev"), {
    help: "Time-weighted standard deviation, over last adjustment period, of demand_seats",
    labels: LEVEL,
  }),
  demandSmoothed: gauge(name("demand_seats_smoothed"), { help: "Smoothed seat demands", labels: LEVEL }),
  target: gauge(name("target_seats"), { help: "Seat allocation targets", labels: LEVEL }),
  fairFraction: gauge(name("seat_fair_frac"), {
    help: "Fair fraction of server's concurrency to allocate to each priority level that can use it",
  }),
  seatUtilization: histogram(name("priority_level_seat_utilization"), {
    stability: "",
    help: "EXPERIMENTAL: [ALPHA] Observations, at the end of every nanosecond, of utilization of seats for any stage of execution (but only initial stage for WATCHes)",
    labels: [...LEVEL, "phase"],
    buckets: SEAT_RATIOS,
  }),
  requestUtilization: histogram(name("priority_level_request_utilization"), {
    stability: "",
    help: "EXPERIMENTAL: [ALPHA] Observations, at the end of every nanosecond, of number of requests (as a fraction of the relevant limit) waiting or in any stage of execution (but only initial stage for WATCHes)",
    labels: ["phase", ...LEVEL],
    buckets: REQUEST_RATIOS,
  }),
  readWrite: histogram(name("read_vs_write_current_requests"), {
    stability: "",
    help: "EXPERIMENTAL: [ALPHA] Observations, at the end of every nanosecond, of the number of requests (as a fraction of the relevant limit) waiting or in regular stage of execution",
    labels: ["phase", "request_kind"],
    buckets: READ_WRITE_RATIOS,
  }),
  inFlight: gauge("apiserver_current_inflight_requests", {
    help: "Maximal number of currently used inflight request limit of this apiserver per request kind in last second.",
    labels: ["request_kind"],
    stability: "STABLE",
  }),
  waitingNow: gauge("apiserver_current_inqueue_requests", {
    help: "Maximal number of queued requests in this apiserver per request kind in last second.",
    labels: ["request_kind"],
  }),
  demandRatio: histogram(name("demand_seats"), {
    stability: "",
    help: "EXPERIMENTAL: [ALPHA] Observations, at the end of every nanosecond, of (the number of seats each priority level could use) / (nominal number of seats for that level)",
    labels: LEVEL,
    buckets: DEMAND_RATIOS,
  }),
};

/** The counts of one flow schema at one level. */
export class FlowCounts {
  dispatched = 0;
  noAccommodation = 0;
  readonly rejected = new Map<RefusedReason, number>();
  inQueue = 0;
  seatsInQueue = 0;
  executing = 0;
  seatsExecuting = 0;
  readonly queueLength = new Distribution(LENGTHS);
  readonly waitedAndRan = new Distribution(SECONDS);
  readonly waitedInVain = new Distribution(SECONDS);
  readonly ran = new Distribution(SECONDS);
  readonly watched = new Distribution(SECONDS);
  readonly seats = new Distribution(SEATS);
  readonly watchers = new Distribution(WATCHES);
}

/** What a level's queues tell, kept for reading. */
export class LevelCounts implements Observer {
  readonly byFlow = new Map<string, FlowCounts>();
  readonly demand: Integrator;
  readonly demandRatio: TimedRatio;
  readonly seats: TimedRatio;
  readonly waiting: TimedRatio;
  readonly executing: TimedRatio;
  /** Set once the level has its queues. */
  queues: QueueSet | undefined;

  constructor(now: number) {
    this.demand = new Integrator(now);
    this.demandRatio = new TimedRatio(now, DEMAND_RATIOS);
    this.seats = new TimedRatio(now, SEAT_RATIOS);
    this.waiting = new TimedRatio(now, REQUEST_RATIOS);
    this.executing = new TimedRatio(now, REQUEST_RATIOS);
  }

  of(schema: string): FlowCounts {
    let counts = this.byFlow.get(schema);
    if (counts === undefined) this.byFlow.set(schema, (counts = new FlowCounts()));
    return counts;
  }

  queued({ flow, seats }: Ticket, length: number): void {
    const counts = this.of(flow.schema);
    counts.inQueue++;
    counts.seatsInQueue += seats;
    counts.queueLength.observe(length);
  }
  left({ flow, seats }: Ticket): void {
    const counts = this.of(flow.schema);
    counts.inQueue--;
    counts.seatsInQueue -= seats;
  }
  started({ flow, seats }: Ticket): void {
    const counts = this.of(flow.schema);
    counts.dispatched++;
    counts.executing++;
    counts.seatsExecuting += seats;
  }
  finished({ flow }: Ticket): void {
    this.of(flow.schema).executing--;
  }
  released({ flow, seats }: Ticket): void {
    this.of(flow.schema).seatsExecuting -= seats;
  }
  refused(schema: string, reason: RefusedReason): void {
    const { rejected } = this.of(schema);
    rejected.set(reason, (rejected.get(reason) ?? 0) + 1);
  }
  notAccommodated(schema: string): void {
    this.of(schema).noAccommodation++;
  }
  changed(now: number): void {
    const { queues } = this;
    if (queues === undefined) return;
    const wanted = queues.seatsInUse + queues.seatsWaiting;
    this.demand.set(now, wanted);
    this.demandRatio.set(now, wanted);
    this.seats.set(now, queues.seatsInUse);
    this.waiting.set(now, queues.waiting);
    this.executing.set(now, queues.executing);
  }
}

/** Reads and writes, waiting and under way. */
export class ReadWriteCounts {
  readonly #ratios: Readonly<Record<"waiting" | "executing", Readonly<Record<"readOnly" | "mutating", TimedRatio>>>>;
  /** The most since they were last read. */
  readonly #high = { waiting: { readOnly: 0, mutating: 0 }, executing: { readOnly: 0, mutating: 0 } };
  readonly #now = { waiting: { readOnly: 0, mutating: 0 }, executing: { readOnly: 0, mutating: 0 } };

  constructor(now: number) {
    const both = () => ({
      readOnly: new TimedRatio(now, READ_WRITE_RATIOS),
      mutating: new TimedRatio(now, READ_WRITE_RATIOS),
    });
    this.#ratios = { waiting: both(), executing: both() };
  }

  add(now: number, phase: "waiting" | "executing", kind: "readOnly" | "mutating", by: 1 | -1): void {
    const value = (this.#now[phase][kind] += by);
    if (value > this.#high[phase][kind]) this.#high[phase][kind] = value;
    this.#ratios[phase][kind].set(now, value);
  }
  setDenominators(now: number, waiting: number, executing: number): void {
    for (const kind of ["readOnly", "mutating"] as const) {
      this.#ratios.waiting[kind].setDenominator(now, Math.max(1, waiting));
      this.#ratios.executing[kind].setDenominator(now, Math.max(1, executing));
    }
  }
  *readings(now: number): Iterable<Reading> {
    for (const phase of ["waiting", "executing"] as const)
      for (const kind of ["readOnly", "mutating"] as const) {
        const ratio = this.#ratios[phase][kind];
        ratio.advance(now);
        yield { metric: METRICS.readWrite, labels: { phase, request_kind: kind }, value: ratio.distribution };
      }
    for (const [metric, phase] of [
      [METRICS.inFlight, "executing"],
      [METRICS.waitingNow, "waiting"],
    ] as const)
      for (const kind of ["readOnly", "mutating"] as const) {
        yield { metric, labels: { request_kind: kind }, value: this.#high[phase][kind] };
        this.#high[phase][kind] = this.#now[phase][kind];
      }
  }
}

export interface LevelFigures {
  readonly name: string;
  readonly counts: LevelCounts;
  readonly queues: QueueSet;
  readonly nominal: number;
  readonly lower: number;
  readonly upper: number;
  readonly demand: {
    readonly high: number;
    readonly average: number;
    readonly deviation: number;
    readonly smoothed: number;
    readonly target: number;
  };
}

export function* flowControlReadings(
  now: number,
  levels: Iterable<LevelFigures>,
  fairFraction: number,
): Iterable<Reading> {
  yield { metric: METRICS.fairFraction, value: fairFraction };
  for (const { name: priority_level, counts, queues, nominal, lower, upper, demand } of levels) {
    const level = { priority_level };
    const { last } = queues;
    yield { metric: METRICS.currentR, labels: level, value: queues.r };
    yield { metric: METRICS.dispatchR, labels: level, value: last.r };
    yield { metric: METRICS.latestS, labels: level, value: last.s };
    for (const [bound, s, discounted] of [
      ["min", last.minS, last.minDiscountedS],
      ["max", last.maxS, last.maxDiscountedS],
    ] as const) {
      yield { metric: METRICS.nextS, labels: { ...level, bound }, value: s };
      yield { metric: METRICS.nextDiscountedS, labels: { ...level, bound }, value: discounted };
    }
    yield { metric: METRICS.nominal, labels: level, value: nominal };
    yield { metric: METRICS.lower, labels: level, value: lower };
    yield { metric: METRICS.upper, labels: level, value: upper };
    yield { metric: METRICS.current, labels: level, value: queues.limit };
    yield { metric: METRICS.demandHigh, labels: level, value: demand.high };
    yield { metric: METRICS.demandAverage, labels: level, value: demand.average };
    yield { metric: METRICS.demandDeviation, labels: level, value: demand.deviation };
    yield { metric: METRICS.demandSmoothed, labels: level, value: demand.smoothed };
    yield { metric: METRICS.target, labels: level, value: demand.target };
    for (const ratio of [counts.demandRatio, counts.seats, counts.waiting, counts.executing]) ratio.advance(now);
    yield { metric: METRICS.demandRatio, labels: level, value: counts.demandRatio.distribution };
    yield {
      metric: METRICS.seatUtilization,
      labels: { ...level, phase: "executing" },
      value: counts.seats.distribution,
    };
    yield {
      metric: METRICS.requestUtilization,
      labels: { phase: "waiting", ...level },
      value: counts.waiting.distribution,
    };
    yield {
      metric: METRICS.requestUtilization,
      labels: { phase: "executing", ...level },
      value: counts.executing.distribution,
    };
    for (const [flow_schema, flow] of counts.byFlow) {
      const labels = { ...level, flow_schema };
      for (const [reason, value] of flow.rejected)
        yield { metric: METRICS.rejected, labels: { ...labels, reason }, value };
      yield { metric: METRICS.dispatched, labels, value: flow.dispatched };
      if (flow.noAccommodation > 0) yield { metric: METRICS.noAccommodation, labels, value: flow.noAccommodation };
      yield { metric: METRICS.inQueueRequests, labels, value: flow.inQueue };
      yield { metric: METRICS.inQueueSeats, labels, value: flow.seatsInQueue };
      yield { metric: METRICS.executingRequests, labels, value: flow.executing };
      yield { metric: METRICS.executingSeats, labels, value: flow.seatsExecuting };
      yield { metric: METRICS.queueLength, labels, value: flow.queueLength };
      yield { metric: METRICS.waitSeconds, labels: { ...labels, execute: "true" }, value: flow.waitedAndRan };
      yield { metric: METRICS.waitSeconds, labels: { ...labels, execute: "false" }, value: flow.waitedInVain };
      yield { metric: METRICS.executionSeconds, labels: { ...labels, type: "regular" }, value: flow.ran };
      yield { metric: METRICS.executionSeconds, labels: { ...labels, type: "watch" }, value: flow.watched };
      yield { metric: METRICS.estimatedSeats, labels, value: flow.seats };
      yield { metric: METRICS.watchCounts, labels, value: flow.watchers };
    }
  }
}
