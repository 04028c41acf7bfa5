/** What `/metrics` tells, against what upstream's has; the page `docs/reference/metrics.md` is what this server has. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { builtinResources } from "../api/index.ts";
import { goldenFile } from "../testing/golden.ts";
import { nodeWorld } from "../world/node/index.ts";
import { ask, ASKABLE } from "./testing/ask.ts";
import { startServer } from "./testing/harness.ts";

const PAGE = new URL("../../docs/reference/metrics.md", import.meta.url).pathname;
const MAPS = "/api/v1/namespaces/default/configmaps";

const harness = await startServer(nodeWorld(), {
  ...ASKABLE,
  resources: builtinResources.filter(({ servedByDefault }) => servedByDefault),
});
after(() => harness[Symbol.asyncDispose]());
{
  const body = JSON.stringify({ metadata: { name: "a" } });
  await ask(harness, "POST", MAPS, { body });
  await ask(harness, "POST", `${MAPS}?dryRun=All`, { body: JSON.stringify({ metadata: { name: "b" } }) });
  await ask(harness, "GET", `${MAPS}/a`);
  await ask(harness, "GET", MAPS);
  await ask(harness, "GET", "/api/v1/componentstatuses");
  await ask(harness, "GET", "/version");
  const gone = new AbortController();
  await ask(harness, "GET", `${MAPS}?watch=1`, { signal: gone.signal, onStream: () => gone.abort() });
}

interface Metric {
  readonly name: string;
  readonly type: string;
  readonly stability: string;
  readonly help: string;
}

async function scrape(): Promise<string> {
  return (await ask(harness, "GET", "/metrics")).body.toString();
}

function metricsOf(text: string): readonly Metric[] {
  const types = new Map([...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, type]) => [name!, type!]));
  return [...text.matchAll(/^# HELP (\S+) (?:\[(\w+)\] )?(.*)$/gm)]
    .map(([, name = "", stability = "", help = ""]) => ({ name, stability, help, type: types.get(name)! }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Upstream's of an API server that are stable or beta, but for what tells of Go, of its own registry of metrics, or of its work queues. */
const UPSTREAM: Readonly<Record<string, string>> = {
  apiserver_admission_controller_admission_duration_seconds: "histogram",
  apiserver_admission_step_admission_duration_seconds: "histogram",
  apiserver_current_inflight_requests: "gauge",
  apiserver_longrunning_requests: "gauge",
  apiserver_request_duration_seconds: "histogram",
  apiserver_request_total: "counter",
  apiserver_requested_deprecated_apis: "gauge",
  apiserver_response_sizes: "histogram",
  apiserver_storage_objects: "gauge",
  kubernetes_build_info: "gauge",
};

test("what upstream has promised to keep is told here, too", async () => {
  const told = new Map(metricsOf(await scrape()).map(({ name, type }) => [name, type]));
  for (const [name, type] of Object.entries(UPSTREAM)) assert.equal(told.get(name), type, name);
});

test("requests are counted by what they were about", async () => {
  const lines = (await scrape()).split("\n");
  const about = (more: string) => `group="",version="v1",resource="configmaps",subresource="",scope=${more}`;
  for (const line of [
    `apiserver_request_total{verb="POST",dry_run="",${about('"resource",component="apiserver",code="201"')}} 1`,
    `apiserver_request_total{verb="POST",dry_run="All",${about('"resource",component="apiserver",code="201"')}} 1`,
    `apiserver_request_total{verb="GET",dry_run="",${about('"resource",component="apiserver",code="200"')}} 1`,
    `apiserver_request_total{verb="LIST",dry_run="",${about('"namespace",component="apiserver",code="200"')}} 1`,
    `apiserver_request_total{verb="WATCH",dry_run="",${about('"namespace",component="apiserver",code="200"')}} 1`,
    `apiserver_request_duration_seconds_count{verb="LIST",dry_run="",${about('"namespace",component="apiserver"')}} 1`,
    `apiserver_response_sizes_count{verb="LIST",${about('"namespace",component="apiserver"')}} 1`,
    `apiserver_longrunning_requests{verb="WATCH",${about('"namespace",component="apiserver"')}} 0`,
    `apiserver_watch_events_total{group="",version="v1",resource="configmaps"} 1`,
    `apiserver_requested_deprecated_apis{group="",version="v1",resource="componentstatuses",subresource="",removed_release=""} 1`,
    `apiserver_storage_objects{resource="configmaps"} 3`,
    `etcd_requests_total{operation="create",group="",resource="configmaps"} 3`,
    `apiserver_request_total{verb="GET",dry_run="",group="",version="",resource="",subresource="/version",scope="",component="",code="200"} 1`,
  ])
    assert.ok(
      lines.includes(line),
      `${line} is not among\n${lines.filter((one) => one.startsWith(line.split("{")[0]!)).join("\n")}`,
    );
});

test("the page of metrics is what the server tells", async () => {
  const lines = metricsOf(await scrape())
    .filter(({ name }) => !/^(?:process|nodejs)_/.test(name))
    .map(({ name, type, stability, help }) => `| ${name} | ${type} | ${stability} | ${help.replaceAll("|", "\\|")} |`);
  const text = [
    "# Metrics of the API server",
    "What `/metrics` tells after the first requests, by upstream's names. Written by a test (`UPDATE=1`). More appear when there is something to count: webhooks, audit, encryption, other servers.",
    ["| name | type | stability | what it tells |", "| --- | --- | --- | --- |", ...lines].join("\n"),
  ].join("\n\n");
  goldenFile(PAGE, `${text}\n`);
});
