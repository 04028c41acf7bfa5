/** The parts of etcd that an API server uses. Made over gRPC (`protocols/etcd/connect.ts`) or by a member in this process. */
import type { Client } from "../../wire/rpc/service.ts";
import type { KV, Lease, Maintenance, Watch } from "./generated.ts";

export interface EtcdClient {
  readonly kv: Client<typeof KV>;
  readonly watch: Client<typeof Watch>;
  readonly lease: Client<typeof Lease>;
  readonly maintenance: Client<typeof Maintenance>;
  close(): Promise<void>;
}
