/** Every flag that etcd 3.7.1 has in its help is known here: it works, or says why it has no effect or is refused. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Flag, Flags } from "../flags.ts";
import { etcdFlags } from "./etcd.ts";

const UPSTREAM = `
  advertise-client-urls auth-token auth-token-ttl auto-compaction-mode auto-compaction-retention auto-tls
  backend-batch-interval backend-batch-limit backend-bbolt-freelist-type bcrypt-cost
  bootstrap-defrag-threshold-megabytes cert-file cipher-suites client-cert-allowed-hostname client-cert-auth
  client-cert-file client-crl-file client-key-file compact-hash-check-time compaction-batch-limit
  compaction-sleep-interval corrupt-check-time cors data-dir discovery discovery-cacert discovery-cert
  discovery-dial-timeout discovery-endpoints discovery-fallback discovery-insecure-skip-tls-verify
  discovery-insecure-transport discovery-keepalive-time discovery-keepalive-timeout discovery-key
  discovery-password discovery-proxy discovery-request-timeout discovery-srv discovery-srv-name discovery-token
  discovery-user distributed-tracing-address distributed-tracing-instance-id distributed-tracing-sampling-rate
  distributed-tracing-service-name downgrade-check-time election-timeout enable-distributed-tracing
  enable-grpc-gateway enable-log-rotation enable-pprof feature-gates force-new-cluster grpc-keepalive-interval
  grpc-keepalive-min-time grpc-keepalive-timeout heartbeat-interval host-whitelist initial-advertise-peer-urls
  initial-cluster initial-cluster-state initial-cluster-token initial-election-tick-advance key-file
  listen-client-http-urls listen-client-urls listen-metrics-urls listen-peer-urls log-format log-level
  log-outputs log-rotation-config-json logger max-concurrent-streams max-learners max-request-bytes
  max-snapshots max-txn-ops max-wals memory-mlock metrics name peer-auto-tls peer-cert-allowed-cn
  peer-cert-allowed-hostname peer-cert-file peer-client-cert-auth peer-client-cert-file peer-client-key-file
  peer-crl-file peer-key-file peer-skip-client-san-verification peer-trusted-ca-file pre-vote
  quota-backend-bytes raft-read-timeout raft-write-timeout self-signed-cert-validity snapshot-catchup-entries
  snapshot-count socket-reuse-address socket-reuse-port strict-reconfig-check tls-max-version tls-min-version
  trusted-ca-file unsafe-no-fsync v2-deprecation wal-dir warning-apply-duration warning-unary-request-duration
  watch-progress-notify-interval
`
  .trim()
  .split(/\s+/);

/** Ours beside them: the file, version 3.4's, and one of 3.8's. */
const OWN = ["config-file", "enable-v2", "client-cert-allowed-cn"];

const flags: Flags = etcdFlags;

test("all of upstream's flags are known, and hardly any others", () => {
  assert.equal(UPSTREAM.length, 113);
  assert.deepEqual(
    UPSTREAM.filter((name) => !(name in flags)),
    [],
  );
  assert.deepEqual(
    Object.keys(flags).filter((name) => !UPSTREAM.includes(name) && !OWN.includes(name)),
    [],
  );
});

test("a flag without effect says why, in a sentence of its own", () => {
  const idle = Object.entries(flags).filter(
    ([, { ignored, refused }]) => ignored !== undefined || refused !== undefined,
  );
  for (const [name, { ignored, refused }] of idle) {
    const why = refused ?? ignored;
    assert.ok(typeof why === "string" && why.split(" ").length > 2, `--${name}: ${String(why)}`);
  }
  assert.ok(idle.length < 30, `${idle.length} flags do nothing`);
});

test("defaults are upstream's", () => {
  const defaults: Readonly<Record<string, Flag["default"]>> = {
    name: "default",
    "snapshot-count": 10_000,
    "heartbeat-interval": 100,
    "election-timeout": 1000,
    "listen-peer-urls": ["http://localhost:2380"],
    "listen-client-urls": ["http://localhost:2379"],
    "quota-backend-bytes": 0,
    "max-txn-ops": 128,
    "max-request-bytes": 1_572_864,
    "max-concurrent-streams": 4_294_967_295,
    "grpc-keepalive-min-time": 5000,
    "grpc-keepalive-interval": 7_200_000,
    "grpc-keepalive-timeout": 20_000,
    "initial-cluster-state": "new",
    "initial-cluster-token": "etcd-cluster",
    "strict-reconfig-check": true,
    "pre-vote": true,
    "auto-compaction-mode": "periodic",
    "auto-compaction-retention": "0",
    cors: ["*"],
    "host-whitelist": ["*"],
    "auth-token": "simple",
    "bcrypt-cost": 10,
    "auth-token-ttl": 300,
    metrics: "basic",
    logger: "zap",
    "log-outputs": ["default"],
    "log-level": "info",
    "log-format": "json",
    "warning-unary-request-duration": 300,
    "warning-apply-duration": 100,
    "compaction-batch-limit": 1000,
    "compaction-sleep-interval": 10,
    "watch-progress-notify-interval": 600_000,
    "max-learners": 1,
    "downgrade-check-time": 5000,
    "snapshot-catchup-entries": 5000,
    "self-signed-cert-validity": 1,
  };
  for (const [name, value] of Object.entries(defaults)) assert.deepEqual(flags[name]!.default, value, `--${name}`);
});
