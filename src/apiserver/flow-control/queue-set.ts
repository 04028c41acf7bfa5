/**
 * The seats of one priority level and the queues of the requests that wait for them. Queues are served in the order in which a fluid model would
 * finish their requests, in which all active queues share the seats equally at every moment; `r` is the progress of that model, in seat-seconds per
 * queue. Time comes in as an argument, in milliseconds, and the waiting requests learn of the decision through `onDecision`.
 *
 * Upstream: pkg/util/flowcontrol/fairqueuing/queueset/queueset.go
 */
import { assert } from "../../base/assert.ts";

/** What a request takes: seats while it runs, and seats that stay taken for a while after its answer. */
export interface Work {
  readonly initialSeats: number;
  readonly finalSeats: number;
  readonly additionalLatencyMs: number;
}

export const ONE_SEAT: Work = { initialSeats: 1, finalSeats: 0, additionalLatencyMs: 0 };

/** How a level takes requests. */
export interface Queuing {
  /** -1: no limit at all; 0: refuse what finds no seat. */
  readonly queues: number;
  readonly handSize: number;
  readonly queueLengthLimit: number;
}

export interface Flow {
  readonly schema: string;
  readonly distinguisher: string;
  /** The queues it may wait in; empty where the level has none. */
  readonly hand: readonly number[];
}

export type RefusedReason = "concurrency-limit" | "queue-full" | "time-out";

interface Queue {
  index: number;
  readonly waiting: Ticket[];
  readonly executing: Set<Ticket>;
  /** Seat-seconds of those that wait. */
  workWaiting: number;
  seatsInUse: number;
  seatsWaiting: number;
  initialSeatsWaiting: number;
  /** Where the model would start the next request. */
  nextDispatchR: number;
}

/** One request at a level. */
export class Ticket {
  state: "waiting" | "executing" | "refused" | "lingering" | "done" = "waiting";
  readonly flow: Flow;
  /** What the request is, for whoever looks at the queues. */
  readonly about: unknown;
  readonly arrivedAt: number;
  readonly arrivalR: number;
  queue: Queue | undefined;
  work: Work;
  seats: number;
  /** In seat-seconds, by the guess of how long a request takes. */
  totalWork: number;
  startedAt = 0;
  /** It takes many seats while it runs: a list, not a write that many watch. */
  readonly isWide: boolean;
  /** It has one of the seats that are kept for such as it. */
  isOnKept = false;
  /** Called when a request that waited begins. */
  onDecision: (() => void) | undefined;

  constructor(flow: Flow, about: unknown, work: Work, arrivedAt: number, arrivalR: number) {
    this.flow = flow;
    this.about = about;
    this.work = work;
    this.arrivedAt = arrivedAt;
    this.arrivalR = arrivalR;
    this.seats = Math.max(work.initialSeats, work.finalSeats);
    this.isWide = work.initialSeats > 1;
    this.totalWork = work.initialSeats * SERVICE_SECONDS + (work.finalSeats * work.additionalLatencyMs) / 1000;
  }
}

/** What is told of each change, for metrics. */
export interface Observer {
  queued(ticket: Ticket, length: number): void;
  /** It left its queue, to run or not. */
  left(ticket: Ticket): void;
  started(ticket: Ticket): void;
  /** The answer is there; seats may linger. */
  finished(ticket: Ticket): void;
  released(ticket: Ticket): void;
  refused(schema: string, reason: RefusedReason): void;
  notAccommodated(schema: string): void;
  /** After any of these: seats taken and waited for. */
  changed(now: number): void;
}

/** The guess of how long a request takes, before it is known. */
const SERVICE_SECONDS = 0.003;
/**
 * Part of the seats that only requests of one seat get, also past wide ones that wait for seats: who wants little would wait until a long list is over.
 * That is more than upstream does.
 */
const KEPT_FOR_ONES = 0.1;

export class QueueSet {
  readonly #observer: Observer;
  #queuing: Queuing;
  #limit: number;
  #queues: Queue[] = [];
  readonly #queueless = new Set<Ticket>();
  #r = 0;
  #lastTime: number;
  #robin = 0;
  #enqueues = 0;
  #activeQueues = 0;
  /** Seats of requests that came through a queue. */
  #queuedSeatsInUse = 0;
  /** Requests on seats that are kept for those of one, and wide requests that run. */
  #keptInUse = 0;
  #wideInUse = 0;
  waiting = 0;
  executing = 0;
  seatsInUse = 0;
  seatsWaiting = 0;
  dispatched = 0;
  rejected = 0;
  timedOut = 0;
  cancelled = 0;
  /** Of the last dispatch from a queue. */
  readonly last = { r: 0, s: 0, minS: 0, maxS: 0, minDiscountedS: 0, maxDiscountedS: 0 };

  constructor(queuing: Queuing, limit: number, now: number, observer: Observer) {
    this.#queuing = queuing;
    this.#limit = limit;
    this.#lastTime = now;
    this.#observer = observer;
    this.configure(queuing, limit, now);
  }

  get limit(): number {
    return this.#limit;
  }
  get queuing(): Queuing {
    return this.#queuing;
  }
  get r(): number {
    return this.#r;
  }
  get idle(): boolean {
    return this.waiting === 0 && this.executing === 0;
  }
  get queues(): readonly Queue[] {
    return this.#queues;
  }
  get queueless(): ReadonlySet<Ticket> {
    return this.#queueless;
  }

  /** New queues are there at once; surplus ones go when they are empty. */
  configure(queuing: Queuing, limit: number, now: number): void {
    this.#advance(now);
    while (this.#queues.length < queuing.queues)
      this.#queues.push({
        index: this.#queues.length,
        waiting: [],
        executing: new Set(),
        workWaiting: 0,
        seatsInUse: 0,
        seatsWaiting: 0,
        initialSeatsWaiting: 0,
        nextDispatchR: 0,
      });
    // What waits in queues that are no longer wanted is served by the old rules.
    this.#queuing = queuing.queues > 0 ? queuing : { ...this.#queuing, queues: queuing.queues };
    this.#limit = limit;
    this.#dispatch(now);
  }

  /** A ticket that runs or waits; undefined where the request is refused. */
  start(now: number, flow: Flow, work: Work, about: unknown): Ticket | undefined {
    this.#advance(now);
    const ticket = new Ticket(flow, about, work, now, this.#r);
    if (this.#queuing.queues < 1) {
      if (!this.#accommodates(ticket)) return this.#refuse(flow.schema, "concurrency-limit");
      this.#queueless.add(ticket);
      this.#begin(ticket, now);
      this.#observer.changed(now);
      return ticket;
    }
    const queue = this.#choose(flow.hand);
    if (this.seatsInUse >= this.#limit && queue.waiting.length >= this.#queuing.queueLengthLimit)
      return this.#refuse(flow.schema, "queue-full");
    ticket.queue = queue;
    if (queue.waiting.length === 0 && queue.executing.size === 0) {
      queue.nextDispatchR = this.#r;
      this.#activeQueues++;
    }
    queue.waiting.push(ticket);
    queue.workWaiting += ticket.totalWork;
    queue.seatsWaiting += ticket.seats;
    queue.initialSeatsWaiting += work.initialSeats;
    this.waiting++;
    this.seatsWaiting += ticket.seats;
    this.#observer.queued(ticket, queue.waiting.length);
    this.#bound(queue);
    if (this.waiting === 1 && this.seatsInUse < this.#limit && this.#accommodates(ticket)) {
      // Nobody else waits: there is nothing to choose.
      this.#robin = queue.index;
      this.#dispatchFrom(queue, now);
    } else this.#dispatch(now);
    this.#observer.changed(now);
    return ticket;
  }

  /** It waited too long, or its client is gone. False where it had begun. */
  cancel(ticket: Ticket, now: number): boolean {
    if (ticket.state !== "waiting") return false;
    this.#advance(now);
    const queue = ticket.queue!;
    queue.waiting.splice(queue.waiting.indexOf(ticket), 1);
    this.#leave(ticket, queue);
    if (queue.waiting.length === 0 && queue.executing.size === 0) this.#activeQueues--;
    ticket.state = "refused";
    this.cancelled++;
    this.#refuse(ticket.flow.schema, "time-out");
    this.#bound(queue);
    this.#observer.changed(now);
    return true;
  }

  /** The answer is there. Where this gives more than 0, `release` is to be called that many milliseconds later. */
  finish(ticket: Ticket, now: number): number {
    assert(ticket.state === "executing", "a request ends that doesn't run");
    this.#advance(now);
    this.executing--;
    this.#observer.finished(ticket);
    const { queue, work } = ticket;
    if (queue === undefined) this.#queueless.delete(ticket);
    else {
      queue.executing.delete(ticket);
      if (queue.executing.size === 0 && queue.waiting.length === 0) this.#activeQueues--;
      // What it really took stands in for the guess.
      queue.nextDispatchR -= work.initialSeats * (SERVICE_SECONDS - (now - ticket.startedAt) / 1000);
      this.#bound(queue);
    }
    ticket.state = "lingering";
    if (work.additionalLatencyMs > 0) return work.additionalLatencyMs;
    this.#release(ticket, now);
    return 0;
  }

  /** The seats that stayed taken after the answer are free. */
  release(ticket: Ticket, now: number): void {
    this.#advance(now);
    this.#release(ticket, now);
  }

  #release(ticket: Ticket, now: number): void {
    assert(ticket.state === "lingering", "seats are given back twice");
    ticket.state = "done";
    this.seatsInUse -= ticket.seats;
    if (ticket.isWide) this.#wideInUse--;
    if (ticket.isOnKept) this.#keptInUse--;
    this.#observer.released(ticket);
    const { queue } = ticket;
    if (queue !== undefined) {
      queue.seatsInUse -= ticket.seats;
      this.#queuedSeatsInUse -= ticket.seats;
      if (this.#queues.length > this.#queuing.queues && queue.waiting.length === 0 && queue.executing.size === 0)
        this.#removeQueue(queue);
    }
    if (this.waiting > 0) this.#dispatch(now);
    this.#observer.changed(now);
  }

  #removeQueue(queue: Queue): void {
    if (this.#queues[queue.index] !== queue) return;
    this.#queues.splice(queue.index, 1);
    for (let i = queue.index; i < this.#queues.length; i++) this.#queues[i]!.index = i;
    if (this.#robin >= queue.index) this.#robin--;
  }

  #refuse(schema: string, reason: RefusedReason): undefined {
    this.rejected++;
    this.#observer.refused(schema, reason);
  }

  /** Each active queue moves on by the same: the seats in use or asked for, as far as there are so many, divided among them. */
  #advance(now: number): void {
    if (this.#activeQueues > 0) {
      const seats = Math.min(this.#queuedSeatsInUse + this.seatsWaiting, this.#limit);
      this.#r += ((seats / this.#activeQueues) * (now - this.#lastTime)) / 1000;
    }
    this.#lastTime = now;
  }

  /** The queue of the hand with the least work in it. Flows with the same cards start at different ones. */
  #choose(hand: readonly number[]): Queue {
    const offset = this.#enqueues++ % hand.length;
    let best: Queue | undefined;
    for (let i = 0; i < hand.length; i++) {
      const queue = this.#queues[hand[(offset + i) % hand.length]!]!;
      if (best === undefined || queue.workWaiting < best.workWaiting) best = queue;
    }
    return best!;
  }

  #accommodates({ seats, isWide }: Ticket): boolean {
    if (this.#queuing.queues < 0) return true;
    // One that asks for more than there is runs alone.
    if (seats > this.#limit) return this.executing === 0;
    const kept = isWide ? Math.min(this.#kept, this.#limit - seats) : 0;
    return this.seatsInUse + seats <= this.#limit - kept;
  }

  get #kept(): number {
    return this.#queuing.queues < 0 ? 0 : Math.floor(this.#limit * KEPT_FOR_ONES);
  }

  #dispatch(now: number): void {
    while (this.waiting > 0 && this.seatsInUse < this.#limit) {
      const queue = this.#next();
      if (queue === undefined) break;
      this.#dispatchFrom(queue, now);
    }
    // All seats may be taken: these are besides, so that they are there at once.
    while (this.waiting > 0 && this.#keptInUse < this.#kept) {
      const queue = this.#nextOfOne();
      if (queue === undefined) return;
      queue.waiting[0]!.isOnKept = true;
      this.#keptInUse++;
      this.#dispatchFrom(queue, now);
    }
  }

  /** Of the queues whose first request takes one seat, the one that the model would finish first; none where no wide one is in the way. */
  #nextOfOne(): Queue | undefined {
    let best: Queue | undefined;
    let isInTheWay = false;
    for (const queue of this.#queues) {
      const head = queue.waiting[0];
      if (head === undefined) continue;
      if (head.isWide) isInTheWay = true;
      else if (head.seats === 1 && (best === undefined || queue.nextDispatchR < best.nextDispatchR)) best = queue;
    }
    return isInTheWay || this.#wideInUse > 0 ? best : undefined;
  }

  /** The queue whose first request the model would finish first, if there are seats for it. */
  #next(): Queue | undefined {
    const count = this.#queues.length;
    const { last } = this;
    let best: Queue | undefined;
    let bestFinish = Infinity;
    let robin = this.#robin;
    last.minS = last.minDiscountedS = Infinity;
    last.maxS = last.maxDiscountedS = -Infinity;
    for (let i = 0; i < count; i++) {
      robin = (robin + 1) % count;
      const queue = this.#queues[robin]!;
      const head = queue.waiting[0];
      if (head === undefined) continue;
      const s = queue.nextDispatchR;
      const discounted = s - queue.seatsInUse * SERVICE_SECONDS;
      last.minS = Math.min(last.minS, s);
      last.maxS = Math.max(last.maxS, s);
      last.minDiscountedS = Math.min(last.minDiscountedS, discounted);
      last.maxDiscountedS = Math.max(last.maxDiscountedS, discounted);
      if (s + head.totalWork < bestFinish) {
        bestFinish = s + head.totalWork;
        best = queue;
      }
    }
    const head = best!.waiting[0]!;
    if (!this.#accommodates(head)) {
      this.#observer.notAccommodated(head.flow.schema);
      return undefined;
    }
    // Where finishes are equal, the others come first next time.
    this.#robin = best!.index;
    return best;
  }

  #dispatchFrom(queue: Queue, now: number): void {
    const ticket = queue.waiting.shift()!;
    this.#leave(ticket, queue);
    const { work } = ticket;
    // More seats than there are can't be held: fewer are, for longer.
    if (work.finalSeats > this.#limit && this.#limit > 0)
      ticket.work = {
        ...work,
        finalSeats: this.#limit,
        additionalLatencyMs: (work.finalSeats * work.additionalLatencyMs) / this.#limit,
      };
    this.last.r = this.#r;
    this.last.s = queue.nextDispatchR;
    queue.executing.add(ticket);
    queue.seatsInUse += ticket.seats;
    this.#queuedSeatsInUse += ticket.seats;
    queue.nextDispatchR += ticket.totalWork;
    this.#begin(ticket, now);
    this.#bound(queue);
    ticket.onDecision?.();
  }

  #begin(ticket: Ticket, now: number): void {
    ticket.state = "executing";
    ticket.startedAt = now;
    this.executing++;
    this.dispatched++;
    this.seatsInUse += ticket.seats;
    if (ticket.isWide) this.#wideInUse++;
    this.#observer.started(ticket);
  }

  #leave(ticket: Ticket, queue: Queue): void {
    queue.workWaiting = queue.waiting.length === 0 ? 0 : queue.workWaiting - ticket.totalWork;
    queue.seatsWaiting -= ticket.seats;
    queue.initialSeatsWaiting -= ticket.work.initialSeats;
    this.waiting--;
    this.seatsWaiting -= ticket.seats;
    this.#observer.left(ticket);
  }

  /** A queue that used less than its share doesn't save it up: no request starts, in the model, before it came. */
  #bound(queue: Queue): void {
    const head = queue.waiting[0];
    if (head !== undefined && queue.nextDispatchR < head.arrivalR) queue.nextDispatchR = head.arrivalR;
  }
}
