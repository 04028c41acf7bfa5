/** The server's own numbers. Upstream: pkg/endpoints/metrics. */
import { counter, histogram } from "../observe/metrics.ts";

export const requestTotal = counter("apiserver_request_total", {
  help: "Counter of apiserver requests broken out for each verb, resource and HTTP response code.",
  labels: ["verb", "group", "version", "resource", "code"],
  stability: "STABLE",
});

export const requestDuration = histogram("apiserver_request_duration_seconds", {
  help: "Response latency distribution in seconds for each verb and resource.",
  labels: ["verb", "resource"],
  stability: "STABLE",
  buckets: [0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 1.25, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45, 60],
});
