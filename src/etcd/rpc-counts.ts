/** Counts the clients' requests by method. Upstream: github.com/grpc-ecosystem/go-grpc-middleware/providers/prometheus */
import { Distribution, type Reading } from "../observe/metrics.ts";
import { rpcTally, type EndedCall, type RpcTally } from "../wire/rpc/grpc-server.ts";
import { CODES, type MethodKind } from "../wire/rpc/service.ts";
import * as counted from "./metrics.ts";

const TYPES = {
  unary: "unary",
  bidi: "bidi_stream",
  "server-stream": "server_stream",
  "client-stream": "client_stream",
} as const satisfies Record<MethodKind, string>;

/** Requests whose latency is told by type, as upstream names them. */
const REQUEST_TYPES: Readonly<Record<string, string>> = {
  "/etcdserverpb.KV/Range": "Range",
  "/etcdserverpb.KV/Put": "Put",
  "/etcdserverpb.KV/DeleteRange": "DeleteRange",
  "/etcdserverpb.KV/Txn": "Txn",
  "/etcdserverpb.KV/Compact": "Compaction",
  "/etcdserverpb.Lease/LeaseGrant": "LeaseGrant",
  "/etcdserverpb.Lease/LeaseRevoke": "LeaseRevoke",
  "/etcdserverpb.Maintenance/Alarm": "Alarm",
};

interface ByOutcome {
  readonly success: Distribution;
  readonly failure: Distribution;
}

export class RpcCounts {
  readonly #methods = new Map<
    string,
    { readonly labels: Record<string, string>; readonly tally: RpcTally; readonly handling: Distribution | undefined }
  >();
  readonly #requests = new Map<string, ByOutcome>();
  readonly #ranges = byOutcome(counted.rangeDuration.buckets!);
  readonly #byVersion = new Map<string, { unary: number; stream: number }>();
  readonly #extensive: boolean;

  /** With `extensive`, how long calls take is kept, too. */
  constructor(extensive: boolean) {
    this.#extensive = extensive;
  }

  /** For `GrpcServerOptions.tally`. */
  tally(service: string, method: string, kind: MethodKind): RpcTally {
    const tally = rpcTally();
    const labels = { grpc_type: TYPES[kind], grpc_service: service, grpc_method: method };
    const handling = this.#extensive ? new Distribution(counted.rpcHandling.buckets!) : undefined;
    const path = `/${service}/${method}`;
    this.#methods.set(path, { labels, tally, handling });
    if (path in REQUEST_TYPES) this.#requests.set(path, byOutcome(counted.requestDuration.buckets!));
    return tally;
  }

  ended({ path, kind, clientVersion, tookMs, code }: EndedCall): void {
    this.#requests.get(path)?.[code === 0 ? "success" : "failure"].observe(tookMs / 1000);
    if (path === "/etcdserverpb.KV/Range") this.#ranges[code === 0 ? "success" : "failure"].observe(tookMs / 1000);
    const version = clientVersion ?? "unknown";
    let known = this.#byVersion.get(version);
    if (known === undefined) {
      if (this.#byVersion.size >= 32) return; // A client that makes up versions fills no memory.
      this.#byVersion.set(version, (known = { unary: 0, stream: 0 }));
    }
    if (kind === "unary") known.unary++;
    else known.stream++;
    if (this.#extensive) this.#methods.get(path)!.handling!.observe(tookMs / 1000);
  }

  *readings(): Iterable<Reading> {
    let sent = 0;
    let received = 0;
    for (const { labels, tally, handling } of this.#methods.values()) {
      sent += tally.sentBytes;
      received += tally.receivedBytes;
      yield { metric: counted.rpcStarted, labels, value: tally.started };
      yield { metric: counted.rpcReceived, labels, value: tally.received };
      yield { metric: counted.rpcSent, labels, value: tally.sent };
      for (const [code, number] of Object.entries(CODES))
        yield { metric: counted.rpcHandled, labels: { ...labels, grpc_code: code }, value: tally.handled[number]! };
      if (handling !== undefined) yield { metric: counted.rpcHandling, labels, value: handling };
    }
    for (const [path, outcomes] of this.#requests)
      for (const [success, value] of told(outcomes))
        yield { metric: counted.requestDuration, labels: { type: REQUEST_TYPES[path]!, success }, value };
    for (const [success, value] of told(this.#ranges))
      yield { metric: counted.rangeDuration, labels: { success }, value };
    yield { metric: counted.clientBytesSent, value: sent };
    yield { metric: counted.clientBytesReceived, value: received };
    for (const [version, { unary, stream }] of this.#byVersion) {
      if (unary > 0)
        yield { metric: counted.clientRequests, labels: { type: "unary", client_api_version: version }, value: unary };
      if (stream > 0)
        yield {
          metric: counted.clientRequests,
          labels: { type: "stream", client_api_version: version },
          value: stream,
        };
    }
  }
}

const byOutcome = (bounds: readonly number[]): ByOutcome => ({
  success: new Distribution(bounds),
  failure: new Distribution(bounds),
});

/** Outcomes that there were. */
const told = ({ success, failure }: ByOutcome): (readonly [string, Distribution])[] =>
  (
    [
      ["true", success],
      ["false", failure],
    ] as const
  ).filter(([, { counts }]) => counts.some((count) => count > 0));
