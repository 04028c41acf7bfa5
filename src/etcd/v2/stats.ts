/** The statistics of `/v2/stats`. Upstream: server/etcdserver/api/v2store/stats.go, server/etcdserver/api/v2stats */

const COUNTED = [
  "getsSuccess",
  "getsFail",
  "setsSuccess",
  "setsFail",
  "deleteSuccess",
  "deleteFail",
  "updateSuccess",
  "updateFail",
  "createSuccess",
  "createFail",
  "compareAndSwapSuccess",
  "compareAndSwapFail",
  "compareAndDeleteSuccess",
  "compareAndDeleteFail",
  "expireCount",
] as const;
export type Counted = (typeof COUNTED)[number];

/** Of this member since it started. */
export class StoreStats {
  readonly #counts = new Map<Counted, number>();

  add(...names: readonly Counted[]): void {
    for (const name of names) this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1);
  }

  tell(watchers: number): object {
    return { ...Object.fromEntries(COUNTED.map((name) => [name, this.#counts.get(name) ?? 0])), watchers };
  }
}
