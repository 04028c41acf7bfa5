/**
 * Watchers of the same range are sent the same list of events. From the second time on, its events are sent as bytes that are already encoded: a
 * thousand watchers cost two encodings.
 */
import { MvccpbEvent, type WatchResponse } from "../../protocols/etcd/generated.ts";
import { encoded, type Codec } from "../../wire/rpc/codec.ts";
import type { Init } from "../../wire/rpc/service.ts";

export class SharedEvents {
  readonly #codec: Codec;
  /** By list; undefined for one that was sent once. */
  readonly #encoded = new WeakMap<readonly MvccpbEvent[], readonly Init<MvccpbEvent>[] | undefined>();

  constructor(codec: Codec) {
    this.#codec = codec;
  }

  prepare(response: WatchResponse): Init<WatchResponse> {
    const { events } = response;
    if (events.length === 0) return response;
    let bytes = this.#encoded.get(events);
    if (bytes === undefined) {
      if (!this.#encoded.has(events)) {
        this.#encoded.set(events, undefined);
        return response;
      }
      bytes = events.map((event) => encoded<MvccpbEvent>(this.#codec.encode(MvccpbEvent, event)));
      this.#encoded.set(events, bytes);
    }
    return { ...response, events: bytes };
  }
}
