/**
 * The gRPC health service, for probes and load balancers. It knows the server as a whole, under the name "".
 * Upstream: server/etcdserver/api/v3rpc/health.go, google.golang.org/grpc/health
 */
import type { Logger } from "../../observe/log.ts";
import { etcdError } from "../../protocols/etcd/errors.ts";
import type {
  HealthCheckRequest,
  HealthCheckResponse,
  HealthListResponse,
  HealthCheckResponseServingStatus as ServingStatus,
} from "../../protocols/grpc/generated.ts";
import { RpcError, type Call, type Init, type ServerStream } from "../../wire/rpc/service.ts";

/** What the server says of itself. */
export class HealthState {
  readonly #log: Logger;
  #status: ServingStatus = "SERVING";
  readonly #watchers = new Set<(last: boolean) => void>();

  constructor(log: Logger) {
    this.#log = log;
    this.#tell();
  }

  #tell(): void {
    this.#log.info("grpc service status changed", { service: "", status: this.#status });
  }

  get status(): ServingStatus {
    return this.#status;
  }
  set(status: ServingStatus): void {
    if (status === this.#status) return;
    this.#status = status;
    this.#tell();
    for (const tell of this.#watchers) tell(false);
  }
  /** The server stops: a last word to everyone who listens. */
  close(): void {
    this.#status = "NOT_SERVING";
    for (const tell of this.#watchers) tell(true);
  }
  /** Calls `tell` at each change, until the result is called. */
  watch(tell: (last: boolean) => void): () => void {
    this.#watchers.add(tell);
    return () => this.#watchers.delete(tell);
  }
}

export function healthService(health: HealthState) {
  return {
    Check({ service = "" }: Init<HealthCheckRequest>): HealthCheckResponse {
      if (service !== "") throw new RpcError("NotFound", "unknown service");
      return { status: health.status };
    },

    List: (): HealthListResponse => ({ statuses: { "": { status: health.status } } }),

    /** A name that nobody has may come to be known later, so it is no error. */
    Watch(
      { service = "" }: Init<HealthCheckRequest>,
      stream: ServerStream<never, HealthCheckResponse>,
      call: Call,
    ): Promise<void> {
      const tell = () => stream.send({ status: service === "" ? health.status : "SERVICE_UNKNOWN" });
      tell();
      return new Promise((_, reject) => {
        const stop = health.watch((last) => {
          if (service === "") tell();
          if (last) reject(etcdError("stopped"));
        });
        const end = () => {
          stop();
          reject(new RpcError("Canceled", "Stream has ended."));
        };
        if (call.signal.aborted) end();
        else call.signal.addEventListener("abort", end, { once: true });
      });
    },
  };
}
