/**
 * Counts the calls to etcd, under the names of the gRPC client's metrics.
 * Upstream: go-grpc-prometheus in pkg/storage/storagebackend/factory/etcd3.go
 */
import { counter, type Metrics } from "../../observe/metrics.ts";
import { counts } from "../../observe/series.ts";
import { RpcError } from "../../wire/rpc/service.ts";
import type { EtcdClient } from "../../protocols/etcd/client.ts";

const ABOUT = ["grpc_method", "grpc_service", "grpc_type"] as const;
const plain = { labels: ABOUT, stability: "" } as const;

const started = counter("grpc_client_started_total", {
  help: "Total number of RPCs started on the client.",
  ...plain,
});
const handled = counter("grpc_client_handled_total", {
  help: "Total number of RPCs completed by the client, regardless of success or failure.",
  labels: ["grpc_code", ...ABOUT],
  stability: "",
});
const sent = counter("grpc_client_msg_sent_total", {
  help: "Total number of gRPC stream messages sent by the client.",
  ...plain,
});
const received = counter("grpc_client_msg_received_total", {
  help: "Total number of RPC stream messages received by the client.",
  ...plain,
});
type Method = (...parameters: unknown[]) => Promise<unknown>;

/** Streams are passed on as they are: the watch cache has numbers of its own. */
const UNARY: readonly (readonly [part: "kv" | "lease" | "maintenance", service: string, methods: readonly string[]])[] =
  [
    ["kv", "etcdserverpb.KV", ["Range", "Put", "DeleteRange", "Txn", "Compact"]],
    ["lease", "etcdserverpb.Lease", ["LeaseGrant", "LeaseRevoke", "LeaseTimeToLive", "LeaseLeases"]],
    ["maintenance", "etcdserverpb.Maintenance", ["Status"]],
  ];

export function countedEtcd(etcd: EtcdClient, metrics: Metrics): EtcdClient {
  const all = { started: counts(started), sent: counts(sent), received: counts(received), handled: counts(handled) };
  metrics.from(() => Object.values(all).flatMap((series) => [...series.readings()]));
  const parts = UNARY.map(([part, service, methods]) => {
    const inner = etcd[part] as unknown as Record<string, Method>;
    const outer: Record<string, unknown> = { ...inner };
    for (const name of methods) {
      const call = inner[name];
      if (call === undefined) continue;
      const about = [name, service, "unary"];
      let known:
        | {
            readonly started: { value: number };
            readonly sent: { value: number };
            readonly received: { value: number };
            readonly ok: { value: number };
          }
        | undefined;
      outer[name] = (...parameters: unknown[]) => {
        known ??= {
          started: all.started.at(about),
          sent: all.sent.at(about),
          received: all.received.at(about),
          ok: all.handled.at(["OK", ...about]),
        };
        const { started, sent, received, ok } = known;
        started.value++;
        sent.value++;
        return call.apply(inner, parameters).then(
          (answer) => {
            received.value++;
            ok.value++;
            return answer;
          },
          (error: unknown) => {
            all.handled.at([error instanceof RpcError ? error.code : "Unknown", ...about]).value++;
            throw error;
          },
        );
      };
    }
    return [part, outer] as const;
  });
  return { ...etcd, ...Object.fromEntries(parts), watch: etcd.watch, close: () => etcd.close() } as EtcdClient;
}
