/** The flags of `t8s etcd` about the cluster that a member belongs to. Upstream: server/embed/config.go */
import type { Flags } from "../flags.ts";

export const clusteringFlags = {
  "listen-peer-urls": {
    type: "list",
    default: ["http://localhost:2380"],
    help: "List of URLs to listen on for peer traffic.",
  },
  "initial-advertise-peer-urls": {
    type: "list",
    default: ["http://localhost:2380"],
    help: "List of this member's peer URLs to advertise to the rest of the cluster.",
  },
  "initial-cluster": {
    type: "string",
    default: "",
    help: "Initial cluster configuration for bootstrapping: NAME=PEER_URL,... Empty means this member alone.",
  },
  "initial-cluster-state": {
    type: "string",
    default: "new",
    help: "Initial cluster state ('new' when bootstrapping a new cluster or 'existing' when adding new members to an existing cluster).",
  },
  "initial-cluster-token": {
    type: "string",
    default: "etcd-cluster",
    help: "Initial cluster token for the etcd cluster during bootstrap.",
  },
  "discovery-srv": { type: "string", default: "", help: "DNS srv domain used to bootstrap the cluster." },
  "discovery-srv-name": { type: "string", default: "", help: "Suffix to the dns srv name queried when bootstrapping." },
  "discovery-token": {
    type: "string",
    default: "",
    help: "V3 discovery: discovery token for the etcd cluster to be bootstrapped.",
  },
  "discovery-endpoints": {
    type: "list",
    default: [],
    help: "V3 discovery: List of gRPC endpoints of the discovery service.",
  },
  "discovery-request-timeout": {
    type: "duration",
    default: 5000,
    help: "V3 discovery: timeout for discovery requests (excluding dial timeout).",
  },
  "discovery-insecure-transport": {
    type: "bool",
    default: true,
    help: "V3 discovery: disable transport security for client connections.",
  },
  "discovery-insecure-skip-tls-verify": {
    type: "bool",
    default: false,
    help: "V3 discovery: skip server certificate verification (CAUTION: this option should be enabled only for testing purposes).",
  },
  "discovery-cert": {
    type: "string",
    default: "",
    help: "V3 discovery: identify secure client using this TLS certificate file.",
  },
  "discovery-key": {
    type: "string",
    default: "",
    help: "V3 discovery: identify secure client using this TLS key file.",
  },
  "discovery-cacert": {
    type: "string",
    default: "",
    help: "V3 discovery: verify certificates of TLS-enabled secure servers using this CA bundle.",
  },
  "discovery-user": {
    type: "string",
    default: "",
    help: "V3 discovery: username[:password] for authentication (prompt if password is not supplied).",
  },
  "discovery-password": {
    type: "string",
    default: "",
    help: "V3 discovery: password for authentication (if this option is used, --user option shouldn't include password).",
  },
  "strict-reconfig-check": {
    type: "bool",
    default: true,
    help: "Reject reconfiguration requests that would cause quorum loss.",
  },
  "pre-vote": { type: "bool", default: true, help: "Enable the raft Pre-Vote algorithm." },
  "initial-election-tick-advance": {
    type: "bool",
    default: true,
    help: "Whether to fast-forward initial election ticks on boot for faster election.",
  },
  "max-learners": {
    type: "int",
    default: 1,
    help: "Sets the maximum number of learners that can be available in the cluster membership.",
  },
  "snapshot-catchup-entries": {
    type: "int",
    default: 5000,
    help: "Number of entries for a slow follower to catch up after compacting the raft storage entries.",
  },
  "downgrade-check-time": {
    type: "duration",
    default: 5000,
    help: "Duration of time between two downgrade status checks.",
  },
  "raft-read-timeout": {
    type: "duration",
    default: 5000,
    help: "Read timeout set on each rafthttp connection.",
  },
  "raft-write-timeout": {
    type: "duration",
    default: 5000,
    help: "Write timeout set on each rafthttp connection.",
  },
  "force-new-cluster": { type: "bool", default: false, help: "Force to create a new one-member cluster." },
} as const satisfies Flags;
