/** The options of a member, which the flags of `t8s etcd` are turned into. */
import type { ClientTls, Http2Options, ServerTls } from "../world/net.ts";
import type { AutoCompaction } from "./auto-compaction.ts";
import type { DiscoveryOptions } from "./cluster/discovery.ts";
import type { SrvOptions } from "./cluster/discovery-srv.ts";
import { DEFAULT_FEATURES, type Features } from "./features.ts";

export interface EtcdOptions {
  readonly name: string;
  readonly dataDir: string;
  /** Empty means inside of the data folder. */
  readonly walDir: string;
  /** Empty serves this process alone. */
  readonly listenClientUrls: readonly string[];
  readonly advertiseClientUrls: readonly string[];
  readonly initialAdvertisePeerUrls: readonly string[];
  readonly initialClusterToken: string;
  /** `name=url,name=url`; empty for a member alone. */
  readonly initialCluster: string;
  readonly initialClusterState: "new" | "existing";
  /** Empty for a member that stays alone. */
  readonly listenPeerUrls: readonly string[];
  /** Another etcd where the members gather, in place of `initialCluster`. */
  readonly discovery?: DiscoveryOptions;
  /** A domain whose SRV records name the members, in place of `initialCluster`. */
  readonly discoverySrv?: SrvOptions;
  /** Makes a cluster of this member alone, of the data that it has. */
  readonly forceNewCluster: boolean;
  /** Refuses changes of members that would leave no quorum. */
  readonly strictReconfigCheck: boolean;
  readonly downgradeCheckTimeMs: number;
  /** A connection to a peer that says nothing, or takes nothing, for so long is given up. */
  readonly raftReadTimeoutMs: number;
  readonly raftWriteTimeoutMs: number;
  readonly peerTls?: ServerTls;
  readonly peerClientTls?: ClientTls;
  /** Entries between two snapshots, at least. */
  readonly snapshotCount: number;
  /** Entries kept in memory for members that are behind. */
  readonly snapshotCatchupEntries: number;
  readonly heartbeatIntervalMs: number;
  readonly electionTimeoutMs: number;
  /** A starting member doesn't wait for a whole election timeout. */
  readonly initialElectionTickAdvance: boolean;
  readonly preVote: boolean;
  readonly maxLearners: number;
  /** Negative for none. */
  readonly quotaBackendBytes: number;
  /** Where the pages alone are served: metrics, health and version. */
  readonly listenMetricsUrls: readonly string[];
  /** Where HTTP alone is served; then the others are for gRPC alone. */
  readonly listenClientHttpUrls: readonly string[];
  /** What clients may take of a connection, and how its life is proved. */
  readonly http2: Http2Options;
  /** Between two comparisons of all members' keys by the leader; 0 for never. */
  readonly corruptCheckTimeMs: number;
  /** The same at compacted revisions, with the gate CompactHashCheck. */
  readonly compactHashCheckTimeMs: number;
  /** At the start, the db file is defragmented when that frees at least so much; 0 for never. */
  readonly bootstrapDefragThresholdMegabytes: number;
  readonly enableGrpcGateway: boolean;
  readonly enablePprof: boolean;
  /** Origins of web pages that may ask; `*` for all. */
  readonly cors: readonly string[];
  /** Names under which this server may be asked without TLS; `*` for all. */
  readonly hostWhitelist: readonly string[];
  /** With `extensive`, how long calls take is a metric, too. */
  readonly metrics: "basic" | "extensive";
  /** A line in the log for each request, not just for slow ones. */
  readonly logEveryRequest: boolean;
  readonly warningApplyDurationMs: number;
  readonly warningUnaryRequestDurationMs: number;
  readonly autoCompaction?: AutoCompaction;
  readonly features: Features;
  /** What must hold of each answer to a watch is looked at, as `ETCD_VERIFY=all` asks for. */
  readonly verify: boolean;
  /** Serves the v2 API on the client port. */
  readonly enableV2: boolean;
  readonly maxTxnOps: number;
  readonly maxRequestBytes: number;
  readonly watchProgressNotifyIntervalMs: number;
  /** How often all members are told what leases have left, where they are. */
  readonly leaseCheckpointIntervalMs?: number;
  /** Rows that compaction drops at a time. */
  readonly compactionBatchLimit: number;
  /** Between two of those. */
  readonly compactionSleepIntervalMs: number;
  /** What was applied goes to the db file after so long, or after so many operations. */
  readonly backendBatchIntervalMs: number;
  readonly backendBatchLimit: number;
  /** Rows in memory; the rest is read from the db file when it is asked for. */
  readonly backendCacheBytes: number;
  /** Whose certificate was verified is who it names, where no token says otherwise. */
  readonly clientCertAuth: boolean;
  /** `simple`, or `jwt` with options behind commas. */
  readonly authToken: string;
  readonly authTokenTtlSeconds: number;
  readonly bcryptCost: number;
  readonly clientTls?: ServerTls;
  readonly walSegmentBytes?: number;
  /** How much one message of raft carries, if more than one entry. */
  readonly raftMessageBytes?: number;
}

export const DEFAULTS: Omit<EtcdOptions, "dataDir"> = {
  name: "default",
  walDir: "",
  listenClientUrls: [],
  advertiseClientUrls: [],
  initialAdvertisePeerUrls: ["http://localhost:2380"],
  initialClusterToken: "etcd-cluster",
  initialCluster: "",
  initialClusterState: "new",
  listenPeerUrls: [],
  forceNewCluster: false,
  strictReconfigCheck: true,
  downgradeCheckTimeMs: 5000,
  raftReadTimeoutMs: 5000,
  raftWriteTimeoutMs: 5000,
  snapshotCount: 10_000,
  snapshotCatchupEntries: 5000,
  heartbeatIntervalMs: 100,
  electionTimeoutMs: 1000,
  initialElectionTickAdvance: true,
  preVote: true,
  maxLearners: 1,
  quotaBackendBytes: 2 * 1024 ** 3,
  listenMetricsUrls: [],
  listenClientHttpUrls: [],
  http2: {},
  corruptCheckTimeMs: 0,
  compactHashCheckTimeMs: 60_000,
  bootstrapDefragThresholdMegabytes: 0,
  enableGrpcGateway: true,
  enablePprof: false,
  cors: ["*"],
  hostWhitelist: ["*"],
  metrics: "basic",
  logEveryRequest: false,
  warningApplyDurationMs: 100,
  warningUnaryRequestDurationMs: 300,
  features: DEFAULT_FEATURES,
  verify: false,
  enableV2: true,
  maxTxnOps: 128,
  maxRequestBytes: 1.5 * 1024 * 1024,
  watchProgressNotifyIntervalMs: 10 * 60_000,
  compactionBatchLimit: 1000,
  compactionSleepIntervalMs: 10,
  backendBatchIntervalMs: 100,
  backendBatchLimit: 10_000,
  backendCacheBytes: 256 * 1024 * 1024,
  clientCertAuth: false,
  authToken: "simple",
  authTokenTtlSeconds: 300,
  bcryptCost: 10,
};
