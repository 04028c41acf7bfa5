/**
 * Leader election: of several candidates, the one that holds the Lease runs.
 * Upstream: staging/src/k8s.io/client-go/tools/leaderelection/leaderelection.go
 */
import type { Lease } from "../api/generated/coordination.v1.ts";
import { hasReason } from "../machinery/status.ts";
import type { Logger } from "../observe/log.ts";
import { deadline, pause } from "../world/time.ts";
import type { Clock, Random } from "../world/world.ts";
import type { Client } from "./client.ts";
import type { EventRecorder } from "./events.ts";
import { leases } from "./resources.ts";
import { formatMicroTime } from "../machinery/meta/time.ts";

export interface LeaderElectionOptions {
  readonly client: Client;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly events?: EventRecorder;
  readonly lease: { readonly namespace: string; readonly name: string };
  /** Unique among the candidates: `<host>_<uuid>`. */
  readonly identity: string;
  readonly leaseDurationMs?: number;
  readonly renewDeadlineMs?: number;
  readonly retryPeriodMs?: number;
  /** Give the lease up on a stop, so that the next one need not wait for its end. */
  readonly releaseOnStop?: boolean;
}

const RENEW_DEADLINE_MS = 10_000;

/** Waits for the lease, then runs `lead` for as long as it is held. Throws when it is lost; returns when `signal` aborts. */
export async function leadWhenElected(
  options: LeaderElectionOptions,
  signal: AbortSignal,
  lead: (signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const { clock, random, log, events, identity } = options;
  const retryPeriodMs = options.retryPeriodMs ?? 2_000;
  const renewDeadlineMs = options.renewDeadlineMs ?? RENEW_DEADLINE_MS;
  const elector = new Elector(options);

  while (!(await elector.tryToHold(signal))) {
    // Spread, so that the candidates don't come all at once.
    if (!(await pause(clock, retryPeriodMs * (1 + 1.2 * random.next()), signal))) return;
  }
  log.info("Successfully acquired lease", { lock: `${options.lease.namespace}/${options.lease.name}` });
  if (elector.lease !== undefined)
    events?.event(elector.lease, "Normal", "LeaderElection", `${identity} became leader`);

  const stop = new AbortController();
  const onAbort = () => stop.abort(signal.reason);
  if (signal.aborted) onAbort();
  else signal.addEventListener("abort", onAbort, { once: true });
  let finished = false;
  const leading = lead(stop.signal).finally(() => {
    finished = true;
    stop.abort();
  });
  leading.catch(() => {}); // Awaited below, after the lease is settled.

  let lost = false;
  let renewedAt = clock.monotonic();
  while (await pause(clock, retryPeriodMs, stop.signal)) {
    if (await elector.tryToHold(stop.signal)) renewedAt = clock.monotonic();
    else if (clock.monotonic() - renewedAt >= renewDeadlineMs) {
      lost = true;
      break;
    }
  }
  signal.removeEventListener("abort", onAbort);
  stop.abort();
  if (lost && elector.lease !== undefined)
    events?.event(elector.lease, "Normal", "LeaderElection", `${identity} stopped leading`);
  await leading;
  if (options.releaseOnStop && !lost) await elector.release();
  if (lost) throw new Error("leaderelection lost");
  if (finished) return;
}

class Elector {
  readonly #options: LeaderElectionOptions;
  readonly #durationMs: number;
  /** The lease as last seen, and when it last changed by our own clock: clocks of others are not trusted. */
  lease: Lease | undefined;
  #observedAt = 0;

  constructor(options: LeaderElectionOptions) {
    this.#options = options;
    this.#durationMs = options.leaseDurationMs ?? 15_000;
  }

  async tryToHold(stop: AbortSignal): Promise<boolean> {
    const { client, clock, log, lease: at, identity, renewDeadlineMs = RENEW_DEADLINE_MS } = this.#options;
    // If the server does not answer, a leader must not go on believing that it leads.
    using limit = deadline(clock, renewDeadlineMs, stop);
    const { signal } = limit;
    try {
      let found: Lease | undefined;
      try {
        found = await client.get(leases, at, { signal });
      } catch (error) {
        if (!hasReason(error, "NotFound")) throw error;
      }
      const now = formatMicroTime(clock.now());
      const mine = {
        holderIdentity: identity,
        leaseDurationSeconds: Math.floor(this.#durationMs / 1000),
        renewTime: now,
      };
      if (found === undefined) {
        const spec = { ...mine, acquireTime: now, leaseTransitions: 0 };
        this.#observe(await client.create(leases, { metadata: at, spec }, { signal }));
        return true;
      }
      if (found.metadata.resourceVersion !== this.lease?.metadata.resourceVersion) this.#observe(found);
      const { holderIdentity = "", acquireTime, leaseTransitions = 0 } = found.spec ?? {};
      const held = holderIdentity !== "" && holderIdentity !== identity;
      const durationMs = (found.spec?.leaseDurationSeconds ?? 0) * 1000;
      if (held && clock.monotonic() - this.#observedAt < durationMs) return false;
      const spec =
        holderIdentity === identity
          ? { ...found.spec, ...mine, ...(acquireTime !== undefined && { acquireTime }), leaseTransitions }
          : { ...found.spec, ...mine, acquireTime: now, leaseTransitions: leaseTransitions + 1 };
      this.#observe(await client.update(leases, { ...found, spec }, { signal }));
      return true;
    } catch (error) {
      if (!stop.aborted && !hasReason(error, "Conflict", "AlreadyExists"))
        log.error("Failed to acquire or renew the lease", error);
      return false;
    }
  }

  async release(): Promise<void> {
    const { client, clock, log, identity } = this.#options;
    if (this.lease?.spec?.holderIdentity !== identity) return;
    const now = formatMicroTime(clock.now());
    const { leaseTransitions = 0 } = this.lease.spec;
    try {
      const spec = { holderIdentity: "", leaseDurationSeconds: 1, leaseTransitions, renewTime: now, acquireTime: now };
      await client.update(leases, { ...this.lease, spec });
    } catch (error) {
      log.error("Failed to release the lease", error);
    }
  }

  #observe(lease: Lease): void {
    this.lease = lease;
    this.#observedAt = this.#options.clock.monotonic();
  }
}
