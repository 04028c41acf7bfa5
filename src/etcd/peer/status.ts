/** Whether messages reach a peer; each change is logged once. Upstream: server/etcdserver/api/rafthttp/peer_status.go */
import type { Logger } from "../../observe/log.ts";
import type { Metrics } from "../../observe/metrics.ts";
import type { NodeId } from "../../raft/types.ts";
import type { Clock } from "../../world/world.ts";
import { hexId } from "../cluster/identity.ts";
import * as counted from "./metrics.ts";

export class PeerStatus {
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #metrics: Metrics;
  readonly #pair: { readonly Local: string; readonly Remote: string };
  #since: number | undefined;

  constructor(
    deps: { readonly clock: Clock; readonly log: Logger; readonly metrics: Metrics },
    local: NodeId,
    id: NodeId,
  ) {
    this.#clock = deps.clock;
    this.#log = deps.log;
    this.#metrics = deps.metrics;
    this.#pair = { Local: hexId(local), Remote: hexId(id) };
  }

  get activeSince(): number | undefined {
    return this.#since;
  }

  activate(): void {
    if (this.#since !== undefined) return;
    this.#since = this.#clock.monotonic();
    this.#log.info("peer became active", { "peer-id": this.#pair.Remote });
    this.#metrics.set(counted.activePeers, this.#pair, 1);
  }

  /** `act` and `where` say what failed: `dial`, `stream Message`. */
  deactivate(act: string, where: string, error: unknown): void {
    const reason = error instanceof Error ? error.message : String(error);
    const fields = {
      "peer-id": this.#pair.Remote,
      error: `failed to ${act} ${this.#pair.Remote} on ${where} (${reason})`,
    };
    if (this.#since === undefined) return this.#log.v(4).info("peer deactivated again", fields);
    this.#since = undefined;
    this.#log.warn("peer became inactive (message send to peer failed)", fields);
    this.#metrics.set(counted.activePeers, this.#pair, 0);
    this.#metrics.add(counted.disconnectedPeers, this.#pair);
  }

  /** The peer is gone for good. */
  forget(): void {
    if (this.#since !== undefined) this.#metrics.set(counted.activePeers, this.#pair, 0);
    this.#since = undefined;
  }
}
