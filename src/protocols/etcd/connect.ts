/** An etcd client over gRPC, for our members and upstream's. */
import { createCodec, type Codec } from "../../wire/rpc/codec.ts";
import { grpcClient } from "../../wire/rpc/grpc-client.ts";
import { failover } from "../../wire/rpc/failover.ts";
import type { ClientTls } from "../../world/net.ts";
import type { World } from "../../world/world.ts";
import { writersByHand } from "./by-hand.ts";
import type { EtcdClient } from "./client.ts";
import * as grpc from "../grpc/generated.ts";
import { enums, KV, Lease, Maintenance, messages, Watch } from "./generated.ts";

/** The codec of everything etcd says: its API, what every gRPC server has beside, and what is in its WAL and on its peers' wire. */
export function etcdCodec(): Codec {
  return createCodec({
    messages: { ...messages, ...grpc.messages },
    enums: { ...enums, ...grpc.enums },
    proto2: ["raftpb", "walpb", "snappb"],
    byHand: writersByHand(),
  });
}

export interface ConnectEtcdOptions {
  /** `https://host:port`, `http://host:port` or `unix:/path`: tried in turn, the one that answered last first. */
  readonly endpoints: readonly string[];
  readonly tls?: ClientTls;
  /** Sent with every call: `{ token }` after an Authenticate. */
  readonly metadata?: Readonly<Record<string, string>>;
}

export function connectEtcd({ net, clock }: Pick<World, "net" | "clock">, options: ConnectEtcdOptions): EtcdClient {
  const clients = options.endpoints.map((base) =>
    net.httpClient({ base, version: "2", connectTimeoutMs: 5000, ...(options.tls && { tls: options.tls }) }),
  );
  const http = failover(clients);
  const grpc = { http, clock, codec: etcdCodec(), ...(options.metadata && { metadata: options.metadata }) };
  return {
    kv: grpcClient(KV, grpc),
    watch: grpcClient(Watch, grpc),
    lease: grpcClient(Lease, grpc),
    maintenance: grpcClient(Maintenance, grpc),
    close: () => http.close(),
  };
}
