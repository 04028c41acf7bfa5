/** A request and its response as the filter chain sees them, whether the request came over HTTPS or from this process. */
import type { DecodeError } from "../machinery/codec/decode.ts";
import type { YamlDocument } from "../machinery/codec/yaml-values.ts";
import type { MediaType } from "../machinery/codec/content.ts";
import type { ProtobufCodec } from "../machinery/codec/protobuf.ts";
import type { Exchange, Headers, Peer } from "../world/net.ts";
import type { AuditTrail } from "./audit/trail.ts";
import type { UserInfo } from "./authn/user.ts";
import type { RequestInfo } from "./request-info.ts";
import type { Entry } from "./storage/entry.ts";
import type { CacheWatcher } from "./storage/cache-watcher.ts";
import type { Resource } from "../machinery/resource.ts";
import type { Schema } from "../machinery/schema/schema.ts";
import type { StatusError } from "../machinery/status.ts";

export interface ApiRequest {
  readonly method: string;
  /** Without escapes. */
  readonly path: string;
  /** As it was written, for whoever passes it on. */
  readonly rawPath?: string;
  readonly query: URLSearchParams;
  /** Lower-cased name; the first value. */
  header(name: string): string | undefined;
  headers(name: string): readonly string[];
  /** The clauses of `accept`, where somebody knows them already. */
  accepts?(): readonly MediaType[];
  readonly info: RequestInfo;
  readonly peer: Peer | undefined;
  /** Set by the transport in this process, else by authentication. */
  user: UserInfo | undefined;
  readonly signal: AbortSignal;
  /** Ends the request's time: everything that observes `signal` stops. Where this is missing, whoever limits the time must provide a signal. */
  expire?(error: StatusError): void;
  /** The body: bytes with their content type, or an object of this process. */
  body(): Promise<RequestBody>;
  /** Shown to the client in a `Warning` header. */
  readonly warnings: string[];
  /** Headers that filters add to whatever the answer is. */
  readonly responseHeaders: Map<string, string | readonly string[]>;
  /** Set where the request is audited: what should be noted of it. */
  audit: AuditTrail | undefined;
  /** Called once the whole answer is given: for a watch or a stream when that is over. */
  readonly atEnd: ((outcome: Outcome) => void)[];
  /** Whether CBOR is spoken here. */
  readonly cbor?: boolean;
  /** Set by who holds something back for this request: called when its client hasn't read on for a while, maybe more than once. */
  onStall?: () => void;
  /** How long the body is, once it was read. */
  bodyBytes?: number;
  /** How long the answer is, before it is packed. */
  answeredBytes?: number;
  /** There for requests over HTTP: streaming endpoints take it over. */
  readonly exchange: Exchange | undefined;
}

/** How a request ended. */
export interface Outcome {
  readonly code: number;
  /** Where it failed. */
  readonly error?: unknown;
}

export type RequestBody =
  | { readonly kind: "none"; readonly contentType?: string }
  | {
      readonly kind: "bytes";
      readonly bytes: Uint8Array;
      /** Without parameters, in lower case; empty where the client said nothing. */
      readonly contentType: string;
      readonly codec: ProtobufCodec;
      /** Whether they may be CBOR. */
      readonly cbor?: boolean;
      /** What they say, where they are a long YAML text: that has been read already, or what is wrong with it. */
      readonly yaml?: YamlDocument | DecodeError;
    }
  | { readonly kind: "object"; readonly value: unknown; readonly contentType: string };

export type ApiResponse =
  | ObjectResponse
  | ListResponse
  | WatchResponse
  | RawResponse
  /** The handler took the exchange over and answered. */
  | { readonly kind: "taken" };

export interface ObjectResponse {
  readonly kind: "object";
  readonly status: number;
  readonly object: unknown;
  /** What it is, for tables and protobuf; absent for Status and discovery. */
  readonly resource?: Resource;
  /** Of what is no resource, where it can be protobuf. */
  readonly schema?: Schema;
  /** A document of discovery has one form only, and not all of them are CBOR. */
  readonly discovery?: { readonly cbor: boolean };
  /** Shares its bytes where the object is one that is stored. */
  readonly entry?: Entry;
}

export interface ListResponse {
  readonly kind: "list";
  readonly resource: Resource;
  readonly entries: readonly Entry[];
  /** What was read, where that was all there is below a prefix: lists of the same state and prefix have the same items. */
  readonly source?: { readonly state: object; readonly prefix: string };
  readonly metadata: {
    readonly resourceVersion?: string;
    readonly continue?: string;
    readonly remainingItemCount?: number;
  };
}

export interface WatchResponse {
  readonly kind: "watch";
  readonly resource: Resource;
  readonly watcher: CacheWatcher;
  readonly timeoutMs: number;
  readonly bookmarks: boolean;
  /** The newest revision that the watch reflects, for bookmarks. */
  readonly revision: () => number;
}

export interface RawResponse {
  readonly kind: "raw";
  readonly status: number;
  readonly headers: Headers;
  readonly body: Uint8Array | string | AsyncIterable<Uint8Array>;
  /** Of pages with their own idea of which clients read it: asked with Accept-Encoding, however short the page is. */
  takesGzip?(accepted: string): boolean;
}

export type Handler = (request: ApiRequest) => Promise<ApiResponse>;
/** One step of the chain: it may answer, refuse by throwing, or go on with `next`. */
export type Filter = (request: ApiRequest, next: Handler) => Promise<ApiResponse>;

export function object(status: number, value: unknown, schema?: Schema): ObjectResponse {
  return { kind: "object", status, object: value, ...(schema !== undefined && { schema }) };
}
export function text(status: number, body: string, headers: Readonly<Record<string, string>> = {}): RawResponse {
  return {
    kind: "raw",
    status,
    headers: { "content-type": "text/plain; charset=utf-8", "x-content-type-options": "nosniff", ...headers },
    body,
  };
}
