/** The flags of `t8s etcd` about certificates, passwords and tokens. Upstream: server/embed/config.go */
import type { Flags } from "../flags.ts";

const path = (help: string) => ({ type: "string", default: "", help }) as const;
const yes = (help: string) => ({ type: "bool", default: false, help }) as const;
const list = (help: string) => ({ type: "list", default: [], help }) as const;

export const etcdSecurityFlags = {
  "cert-file": path("Path to the client server TLS cert file."),
  "key-file": path("Path to the client server TLS key file."),
  "client-cert-file": path(
    "Path to an explicit peer client TLS cert file otherwise cert file will be used when client auth is required.",
  ),
  "client-key-file": path(
    "Path to an explicit peer client TLS key file otherwise key file will be used when client auth is required.",
  ),
  "client-cert-auth": yes("Enable client cert authentication."),
  "client-crl-file": path("Path to the client certificate revocation list file."),
  "client-cert-allowed-hostname": list("Comma-separated list of allowed SAN hostnames for client cert authentication."),
  "client-cert-allowed-cn": {
    ...list("Comma-separated list of allowed CNs for client cert authentication. Upstream has it in its file alone."),
    hidden: true,
  },
  "trusted-ca-file": path("Path to the client server TLS trusted CA cert file."),
  "auto-tls": yes("Client TLS using generated certificates."),
  "peer-cert-file": path("Path to the peer server TLS cert file."),
  "peer-key-file": path("Path to the peer server TLS key file."),
  "peer-client-cert-file": path(
    "Path to an explicit peer client TLS cert file otherwise peer cert file will be used when client auth is required.",
  ),
  "peer-client-key-file": path(
    "Path to an explicit peer client TLS key file otherwise peer key file will be used when client auth is required.",
  ),
  "peer-client-cert-auth": yes("Enable peer client cert authentication."),
  "peer-trusted-ca-file": path("Path to the peer server TLS trusted CA file."),
  "peer-cert-allowed-cn": list("Comma-separated list of allowed CNs for inter-peer TLS authentication."),
  "peer-cert-allowed-hostname": list(
    "Comma-separated list of allowed SAN hostnames for inter-peer TLS authentication.",
  ),
  "peer-crl-file": path("Path to the peer certificate revocation list file."),
  "peer-auto-tls": yes("Peer TLS using generated certificates."),
  "peer-skip-client-san-verification": yes(
    "Skip verification of SAN field in client certificate for peer connections.",
  ),
  "self-signed-cert-validity": {
    type: "int",
    default: 1,
    help: "The validity period of the client and peer certificates that are automatically generated, in years.",
  },
  "cipher-suites": list("Comma-separated list of supported TLS cipher suites between client/server and peers."),
  "tls-min-version": {
    type: "string",
    default: "TLS1.2",
    help: "Minimum TLS version supported by etcd. Possible values: TLS1.2, TLS1.3.",
  },
  "tls-max-version": path("Maximum TLS version supported by etcd. Possible values: TLS1.2, TLS1.3."),
  "auth-token": {
    type: "string",
    default: "simple",
    help: "Specify auth token specific options: simple, or jwt,pub-key=FILE,priv-key=FILE,sign-method=METHOD,ttl=10m.",
  },
  "auth-token-ttl": { type: "int", default: 300, help: "Time (in seconds) of the auth-token-ttl." },
  "bcrypt-cost": {
    type: "int",
    default: 10,
    help: "Specify the cost / strength of the bcrypt algorithm for hashing auth passwords. Valid values are between 4 and 31.",
  },
} as const satisfies Flags;
