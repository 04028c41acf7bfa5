/** Collects a member's metrics when they are scraped. */
import type { Reading } from "../observe/metrics.ts";
import { ETCD_VERSION, type Member } from "./member.ts";
import { FEATURES } from "./features.ts";
import * as counted from "./metrics.ts";

export function* memberReadings(member: Member): Iterable<Reading> {
  const { store, watchable, lessor, options } = member;
  yield { metric: counted.serverId, labels: { server_id: member.id.toString(16) }, value: 1 };
  yield { metric: counted.serverVersion, labels: { server_version: ETCD_VERSION }, value: 1 };
  yield { metric: counted.goVersion, labels: { server_go_version: "none" }, value: 1 };
  for (const [name, { stage }] of Object.entries(FEATURES))
    yield {
      metric: counted.featureEnabled,
      labels: { name, stage },
      value: options.features[name as keyof typeof FEATURES] ? 1 : 0,
    };
  yield { metric: counted.proposalsPending, value: member.pendingProposals };
  yield { metric: counted.proposalsApplied, value: member.appliedIndex };
  yield { metric: counted.proposalsCommitted, value: member.committedIndex };
  yield { metric: counted.quotaBytes, value: options.quotaBackendBytes };
  yield { metric: counted.dbSize, value: member.sizeBytes };
  yield { metric: counted.dbSizeInUse, value: member.sizeBytes };
  yield { metric: counted.ranges, value: store.counts.ranges };
  yield { metric: counted.puts, value: store.counts.puts };
  yield { metric: counted.deletes, value: store.counts.deletes };
  yield { metric: counted.txns, value: store.counts.txns };
  yield { metric: counted.putBytes, value: store.counts.putBytes };
  yield { metric: counted.authRevision, value: member.auth.revision };
  yield { metric: counted.compactionKeys, value: store.counts.compacted };
  yield { metric: counted.keys, value: store.keys };
  yield { metric: counted.currentRevision, value: store.revision };
  yield { metric: counted.compactRevision, value: store.compactRevision };
  yield { metric: counted.watchers, value: watchable.watchers };
  yield { metric: counted.watchStreams, value: watchable.streams };
  yield { metric: counted.slowWatchers, value: watchable.slow };
  yield { metric: counted.events, value: watchable.eventsSent };
  yield* member.applyTimes.readings();
  yield { metric: counted.leasesGranted, value: lessor.counts.granted };
  yield { metric: counted.leasesRevoked, value: lessor.counts.revoked };
  yield { metric: counted.leasesRenewed, value: lessor.counts.renewed };
  yield { metric: counted.leaseTtls, value: lessor.ttls };
}
