/**
 * How a client reaches an API server: over HTTPS (`client/https.ts`), or by calling the server's handler in the same process with an identity. Both
 * are authenticated, authorized and admitted. Returned objects are deep-frozen; in process they are the server's own.
 */
import type { KubeObject } from "../machinery/meta/object.ts";
import type { ByteStream } from "../world/net.ts";

export type PatchType =
  | "application/json-patch+json"
  | "application/merge-patch+json"
  | "application/strategic-merge-patch+json"
  | "application/apply-patch+yaml";

export interface RestRequest {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** `/api/v1/namespaces/default/pods`, without the query. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string | readonly string[] | undefined>>;
  /** A plain object; for a patch its document. Never changed by the transport. */
  readonly body?: unknown;
  readonly patchType?: PatchType;
  readonly signal?: AbortSignal;
  readonly timeoutMs?: number;
}

export type WatchEventType = "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK";
export interface WatchEvent<T = KubeObject> {
  readonly type: WatchEventType;
  readonly object: T;
}

export interface Transport {
  /** The decoded answer. Throws the `StatusError` that the server sent, or `ServiceUnavailable` when it can't be reached. */
  send(request: RestRequest): Promise<unknown>;
  /** Ends when the server ends it; throws a `StatusError` for an ERROR event (`Expired` when the start is compacted). */
  watch(request: RestRequest): AsyncIterable<WatchEvent>;
  /** A body that isn't an object: logs, metrics, /healthz. */
  raw(request: RestRequest): Promise<{ readonly status: number; readonly body: AsyncIterable<Uint8Array> }>;
  /** exec, attach, port-forward: a WebSocket's byte messages, by subprotocol. */
  upgrade?(
    request: RestRequest & { readonly subprotocols: readonly string[] },
  ): Promise<{ readonly subprotocol: string; readonly stream: ByteStream }>;
  close(): Promise<void>;
}
