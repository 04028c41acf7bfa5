/**
 * Probes a peer every few seconds: its round-trip time, and the difference between its clock and ours.
 * Upstream: server/etcdserver/api/rafthttp/probing_status.go
 */
import type { Logger } from "../../observe/log.ts";
import type { Metrics } from "../../observe/metrics.ts";
import type { NodeId } from "../../raft/types.ts";
import { deadline, pause } from "../../world/time.ts";
import type { Clock } from "../../world/world.ts";
import { hexId } from "../cluster/identity.ts";
import * as counted from "./metrics.ts";
import type { UrlPicker } from "./url-picker.ts";

const REPORT_MS = 30_000;
const REPORT_UNHEALTHY_MS = 5000;
const CLOCK_DRIFT_MAX_MS = 1000;
/** How much the last round trip counts in the smoothed one. */
const WEIGHT = 0.125;

export interface ProberDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly picker: UrlPicker;
  /** Shorter than the read timeout: a kept connection stays in use. */
  readonly intervalMs: number;
}

export async function probe(peer: NodeId, deps: ProberDeps, signal: AbortSignal): Promise<void> {
  const { clock, log, metrics, intervalMs } = deps;
  let smoothedMs = 0;
  let driftMs = 0;
  let failure: unknown = new Error("not probed yet");
  let reportAt = clock.monotonic() + REPORT_UNHEALTHY_MS;
  while (await pause(clock, intervalMs, signal)) {
    const start = clock.monotonic();
    try {
      const theirs = await ask(deps, signal);
      const took = clock.monotonic() - start;
      smoothedMs = failure === undefined ? smoothedMs * (1 - WEIGHT) + took * WEIGHT : took;
      driftMs = clock.now() - theirs - smoothedMs / 2;
      failure = undefined;
    } catch (error) {
      if (signal.aborted) return;
      failure = error;
    }
    if (clock.monotonic() < reportAt) continue;
    reportAt = clock.monotonic() + (failure === undefined ? REPORT_MS : REPORT_UNHEALTHY_MS);
    const fields = {
      "round-tripper-name": "ROUND_TRIPPER_RAFT_MESSAGE",
      "remote-peer-id": hexId(peer),
      rtt: `${smoothedMs.toFixed(3)}ms`,
    };
    if (failure !== undefined) log.warn("prober detected unhealthy status", { ...fields, error: words(failure) });
    if (driftMs > CLOCK_DRIFT_MAX_MS)
      log.warn("prober found high clock drift", { ...fields, "clock-drift": `${Math.round(driftMs)}ms` });
    metrics.observe(counted.roundTripSeconds, { To: hexId(peer) }, smoothedMs / 1000);
  }
}

function words(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The peer's clock. */
async function ask({ clock, picker, intervalMs }: ProberDeps, signal: AbortSignal): Promise<number> {
  using patience = deadline(clock, intervalMs, signal);
  const { client } = picker.pick();
  const response = await client.request({ method: "GET", path: "/raft/probing", signal: patience.signal });
  const chunks: Uint8Array[] = [];
  for await (const chunk of response.body) chunks.push(chunk);
  if (response.status !== 200) throw new Error(`got unexpected HTTP status code ${response.status}`);
  const health = JSON.parse(Buffer.concat(chunks).toString()) as { readonly OK?: boolean; readonly Now?: string };
  if (health.OK !== true) throw new Error("the peer says that it is not well");
  return Date.parse(health.Now ?? "");
}
