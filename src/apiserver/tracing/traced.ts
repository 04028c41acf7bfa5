/** Wraps calls to etcd and admission in spans. Upstream: otelgrpc around etcd's client, component-base/tracing in pkg/registry */
import type { EtcdClient } from "../../protocols/etcd/client.ts";
import type { CallOptions } from "../../wire/rpc/service.ts";
import type { Admission } from "../admission/framework.ts";
import type { Tracing } from "./tracing.ts";

const KV_METHODS = ["Range", "Put", "DeleteRange", "Txn", "Compact"] as const;

export function tracedEtcd(etcd: EtcdClient, tracing: Tracing): EtcdClient {
  const kv: Record<string, unknown> = { ...etcd.kv };
  for (const method of KV_METHODS) {
    const call = etcd.kv[method] as (request: unknown, options?: CallOptions) => Promise<unknown>;
    const attributes = { "rpc.system": "grpc", "rpc.service": "etcdserverpb.KV", "rpc.method": method };
    kv[method] = (request: unknown, options?: CallOptions) =>
      tracing.calling(`etcdserverpb.KV/${method}`, attributes, (traceparent) =>
        call.call(
          etcd.kv,
          request,
          traceparent === undefined ? options : { ...options, metadata: { ...options?.metadata, traceparent } },
        ),
      );
  }
  return {
    kv: kv as unknown as EtcdClient["kv"],
    watch: etcd.watch,
    lease: etcd.lease,
    maintenance: etcd.maintenance,
    close: () => etcd.close(),
  };
}

export function tracedAdmission(admission: Admission, tracing: Tracing): Admission {
  const half =
    (name: "admit" | "validate"): Admission[typeof name] =>
    (request) =>
      tracing.within(
        name === "admit" ? "Mutating admission" : "Validating admission",
        {
          operation: request.operation,
          group: request.resource.group,
          version: request.resource.version,
          resource: request.resource.plural,
          subresource: request.subresource,
        },
        () => admission[name](request),
      );
  return { ...admission, admit: half("admit"), validate: half("validate") };
}
