/** The flags of the API server's audit. Upstream: staging/src/k8s.io/apiserver/pkg/server/options/audit.go */
import type { Flags } from "../flags.ts";

const MODES = "batch, blocking or blocking-strict";
const VERSION = "The version of the events. Only audit.k8s.io/v1.";

export const auditFlags = {
  "audit-policy-file": {
    type: "string",
    default: "",
    help: "File that says which requests are audited, and how much of them.",
  },
  "audit-log-path": { type: "string", default: "", help: "File that audit events are written to. -: standard output." },
  "audit-log-maxage": { type: "int", default: 366, help: "Days after which old audit logs are removed. 0: never." },
  "audit-log-maxbackup": { type: "int", default: 100, help: "How many old audit logs are kept. 0: all." },
  "audit-log-maxsize": {
    type: "int",
    default: 100,
    help: "Megabytes after which the audit log is put aside. 0: never.",
  },
  "audit-log-compress": { type: "bool", default: false, help: "Compress old audit logs with gzip." },
  "audit-log-format": {
    type: "string",
    default: "json",
    help: "How events are written: json, or legacy for a line of text.",
  },
  "audit-log-version": { type: "string", default: "audit.k8s.io/v1", help: VERSION },
  "audit-log-mode": { type: "string", default: "blocking", help: `When events are written: ${MODES}.` },
  "audit-log-batch-buffer-size": { type: "int", default: 10_000, help: "Events that wait, in batch mode." },
  "audit-log-batch-max-size": { type: "int", default: 1, help: "Events in a batch." },
  "audit-log-batch-max-wait": { type: "duration", default: 0, help: "How long a batch waits to be full." },
  "audit-log-batch-throttle-enable": { type: "bool", default: false, help: "Bound the batches in a second." },
  "audit-log-batch-throttle-qps": { type: "float", default: 0, help: "Batches in a second." },
  "audit-log-batch-throttle-burst": { type: "int", default: 0, help: "Batches at once after a quiet time." },
  "audit-log-truncate-enabled": { type: "bool", default: false, help: "Cut down events that are too large." },
  "audit-log-truncate-max-batch-size": { type: "int", default: 10_485_760, help: "Bytes in a batch." },
  "audit-log-truncate-max-event-size": { type: "int", default: 102_400, help: "Bytes of an event." },
  "audit-webhook-config-file": {
    type: "string",
    default: "",
    help: "kubeconfig file of the server that audit events are sent to.",
  },
  "audit-webhook-initial-backoff": { type: "duration", default: 10_000, help: "The time before the first retry." },
  "audit-webhook-batch-initial-backoff": {
    type: "duration",
    default: 10_000,
    deprecated: "Deprecated, use --audit-webhook-initial-backoff instead.",
    help: "The time before the first retry.",
  },
  "audit-webhook-version": { type: "string", default: "audit.k8s.io/v1", help: VERSION },
  "audit-webhook-mode": { type: "string", default: "batch", help: `When events are sent: ${MODES}.` },
  "audit-webhook-batch-buffer-size": { type: "int", default: 10_000, help: "Events that wait, in batch mode." },
  "audit-webhook-batch-max-size": { type: "int", default: 400, help: "Events in a batch." },
  "audit-webhook-batch-max-wait": { type: "duration", default: 30_000, help: "How long a batch waits to be full." },
  "audit-webhook-batch-throttle-enable": { type: "bool", default: true, help: "Bound the batches in a second." },
  "audit-webhook-batch-throttle-qps": { type: "float", default: 10, help: "Batches in a second." },
  "audit-webhook-batch-throttle-burst": { type: "int", default: 15, help: "Batches at once after a quiet time." },
  "audit-webhook-truncate-enabled": { type: "bool", default: false, help: "Cut down events that are too large." },
  "audit-webhook-truncate-max-batch-size": { type: "int", default: 10_485_760, help: "Bytes in a batch." },
  "audit-webhook-truncate-max-event-size": { type: "int", default: 102_400, help: "Bytes of an event." },
} as const satisfies Flags;
