/**
 * Reports the status of each pod to the API server, once per change, and deletes a pod's object when nothing is left of it.
 * Upstream: pkg/kubelet/status/status_manager.go
 */
import type { Pod, PodStatus } from "../../api/generated/core.v1.ts";
import type { Client } from "../../client/client.ts";
import { olderThan } from "../../client/informer/shared-informer.ts";
import type { Logger } from "../../observe/log.ts";
import { hasReason } from "../../machinery/status.ts";
import type { World } from "../../world/world.ts";
import { podText } from "../format.ts";
import { isStatic, isTerminalPhase } from "../pod.ts";
import { pods } from "../../client/resources.ts";
import { same, statusPatch } from "./patch.ts";

interface Entry {
  pod: Pod;
  status: PodStatus;
  /** What the API server is known to have. */
  sent: PodStatus | undefined;
  version: number;
  sentVersion: number;
  /** Of the object that our last patch made: older ones tell nothing new. */
  resourceVersion: string;
  sending: boolean;
  finished: boolean;
  deleted: boolean;
}

const RETRY_MS = 10_000;

export class StatusManager {
  readonly #client: Client;
  readonly #clock: World["clock"];
  readonly #log: Logger;
  /** The object that stands for a pod in the API: itself, or a static pod's mirror. */
  readonly #apiPod: (pod: Pod) => Pod | undefined;
  readonly #entries = new Map<string, Entry>();
  readonly #timers = new Set<Disposable>();
  #stopped = false;

  constructor(client: Client, clock: World["clock"], log: Logger, apiPod: (pod: Pod) => Pod | undefined) {
    this.#client = client;
    this.#clock = clock;
    this.#log = log;
    this.#apiPod = apiPod;
  }

  /** The newest status of a pod; undefined before the first. */
  get(uid: string): PodStatus | undefined {
    return this.#entries.get(uid)?.status;
  }

  set(pod: Pod, status: PodStatus): void {
    const { uid } = pod.metadata;
    let entry = this.#entries.get(uid);
    if (entry === undefined) {
      entry = {
        pod,
        status,
        sent: undefined,
        version: 1,
        sentVersion: 0,
        resourceVersion: "0",
        sending: false,
        finished: false,
        deleted: false,
      };
      this.#entries.set(uid, entry);
    } else {
      entry.pod = pod;
      if (same(entry.status, status)) return;
      entry.status = status;
      entry.version++;
    }
    this.#send(entry);
  }

  /** The worker is done with the pod: its object may go. */
  finish(pod: Pod): void {
    const entry = this.#entries.get(pod.metadata.uid);
    if (entry === undefined) return;
    entry.pod = pod;
    entry.finished = true;
    this.#send(entry);
  }

  /** The pod's object changed under us, or its mirror came: compare again. */
  reconcile(uid: string): void {
    const entry = this.#entries.get(uid);
    if (entry === undefined) return;
    const api = this.#apiPod(entry.pod);
    if (api === undefined) return;
    if (!olderThan(api.metadata.resourceVersion, entry.resourceVersion) && !ours(api.status, entry.status)) {
      entry.sent = undefined;
      entry.sentVersion = 0;
    }
    this.#send(entry);
  }

  forget(uid: string): void {
    this.#entries.delete(uid);
  }

  stop(): void {
    this.#stopped = true;
    for (const timer of this.#timers) timer[Symbol.dispose]();
  }

  #send(entry: Entry): void {
    if (entry.sending || this.#stopped) return;
    entry.sending = true;
    void this.#sync(entry).then(
      (again) => {
        entry.sending = false;
        if (again) this.#send(entry);
      },
      (error: unknown) => {
        entry.sending = false;
        this.#log.error("Failed to update status for pod", error, { pod: podText(entry.pod) });
        const timer = this.#clock.after(RETRY_MS, () => {
          this.#timers.delete(timer);
          if (this.#entries.get(entry.pod.metadata.uid) === entry) this.#send(entry);
        });
        this.#timers.add(timer);
      },
    );
  }

  async #sync(entry: Entry): Promise<boolean> {
    const api = this.#apiPod(entry.pod);
    if (api === undefined) return false; // Its mirror is not there yet: `reconcile` comes with it.
    const at = { namespace: api.metadata.namespace ?? "", name: api.metadata.name };
    if (entry.sentVersion < entry.version) {
      const { version, status } = entry;
      const before = entry.sent ?? api.status ?? {};
      if (!same(before, status)) {
        const patch = statusPatch(api.metadata.uid, before, status);
        try {
          const patched = await this.#client.patch(pods, at, "application/strategic-merge-patch+json", patch, {
            subresource: "status",
          });
          entry.resourceVersion = patched.metadata.resourceVersion;
        } catch (error) {
          // Another pod has the name by now, or it is gone: nobody is left to be told.
          if (!hasReason(error, "NotFound", "Conflict")) throw error;
        }
      }
      entry.sent = status;
      entry.sentVersion = version;
      return true;
    }
    const deletable =
      entry.finished &&
      !entry.deleted &&
      !isStatic(entry.pod) &&
      api.metadata.deletionTimestamp !== undefined &&
      isTerminalPhase(entry.status.phase);
    if (!deletable) return false;
    entry.deleted = true;
    try {
      await this.#client.delete(pods, at, { gracePeriodSeconds: 0, preconditions: { uid: api.metadata.uid } });
    } catch (error) {
      if (!hasReason(error, "NotFound", "Conflict")) {
        entry.deleted = false;
        throw error;
      }
    }
    return false;
  }
}

/** Whether the API's status still says what we last said; what others wrote beside it doesn't count. */
function ours(api: PodStatus | undefined, status: PodStatus): boolean {
  return (
    api?.phase === status.phase &&
    same(api?.containerStatuses, status.containerStatuses) &&
    same(api?.podIPs ?? [], status.podIPs ?? []) &&
    (status.conditions ?? []).every(({ type, status: value }) =>
      api?.conditions?.some((condition) => condition.type === type && condition.status === value),
    )
  );
}
