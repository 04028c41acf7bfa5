/**
 * Registers the API servers that are running: each renews a key in etcd that expires 15 seconds after the server is gone.
 * Upstream: pkg/controlplane/reconcilers/lease.go
 */
import { prefixEnd } from "../storage/store.ts";
import type { EtcdClient } from "../../protocols/etcd/client.ts";

const PREFIX = "/registry/masterleases/";
const TTL_SECONDS = 15;

export class MasterLeases {
  readonly #etcd: EtcdClient;

  constructor(etcd: EtcdClient) {
    this.#etcd = etcd;
  }

  async renew(ip: string): Promise<void> {
    const { ID } = await this.#etcd.lease.LeaseGrant({ TTL: TTL_SECONDS });
    const value = {
      kind: "Endpoints",
      apiVersion: "v1",
      metadata: {},
      subsets: [{ addresses: [{ ip }] }],
    };
    const put = { key: Buffer.from(PREFIX + ip), value: Buffer.from(JSON.stringify(value)), lease: ID };
    await this.#etcd.kv.Txn({ compare: [], success: [{ request_put: put }], failure: [] });
  }

  async remove(ip: string): Promise<void> {
    const key = Buffer.from(PREFIX + ip);
    await this.#etcd.kv.Txn({ compare: [], success: [{ request_delete_range: { key } }], failure: [] });
  }

  async list(): Promise<readonly string[]> {
    const { kvs } = await this.#etcd.kv.Range({ key: Buffer.from(PREFIX), range_end: prefixEnd(PREFIX) });
    return kvs.map(({ key }) => Buffer.from(key).toString().slice(PREFIX.length)).sort();
  }
}
