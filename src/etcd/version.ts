/** The etcd version that we implement, from which clients and other members conclude what they may ask for. Upstream: api/version/version.go */
export const ETCD_VERSION = "3.7.1";
/** Members older than this are refused. */
export const MIN_CLUSTER_VERSION = "3.0.0";
