/** The flags of `etcd gateway start`. Upstream: server/etcdmain/gateway.go */
import type { Flags } from "../flags.ts";

export const etcdGatewayFlags = {
  endpoints: { type: "list", default: ["127.0.0.1:2379"], help: "Comma separated etcd cluster endpoints." },
  "discovery-srv": { type: "string", default: "", help: "DNS domain used to bootstrap initial cluster." },
  "discovery-srv-name": { type: "string", default: "", help: "Service name to query when using DNS discovery." },
  "insecure-discovery": { type: "bool", default: false, help: "Accept insecure SRV records." },
  "listen-addr": { type: "string", default: "127.0.0.1:23790", help: "Listen address." },
  "retry-delay": { type: "duration", default: 60_000, help: "Duration of delay before retrying failed endpoints." },
  "trusted-ca-file": {
    type: "string",
    default: "",
    help: "Accepted, without effect: members found by DNS are not verified before they are used.",
    ignored: "members found by DNS are not verified before they are used",
  },
} as const satisfies Flags;
