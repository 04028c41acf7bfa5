/** The part of etcd's API that an API server uses. It is implemented over gRPC (`protocols/etcd/connect.ts`) or by a member in the same process. */
import type { CallOptions, Client } from "../../wire/rpc/service.ts";
import type { KV, Lease, Maintenance, Watch } from "./generated.ts";

export interface EtcdClient {
  readonly kv: Client<typeof KV>;
  readonly watch: Client<typeof Watch>;
  readonly lease: Client<typeof Lease>;
  readonly maintenance: Client<typeof Maintenance>;
  close(): Promise<void>;
}

/** Says in a put's or transaction's metadata how many versions of its keys to keep. Servers of upstream's don't know it, and keep all. */
export const KEEP_VERSIONS = "t8s-keep-versions";

/** For `kv.Put` and `kv.Txn`: of each key written, all but its newest `versions` go. */
export function keepVersions(versions: number): CallOptions {
  return { metadata: { [KEEP_VERSIONS]: String(versions) } };
}
