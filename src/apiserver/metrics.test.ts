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
  await ask(harness, "GET", "/livez");
  const listing = new AbortController();
  await ask(
    harness,
    "GET",
    `${MAPS}?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true`,
    {
      signal: listing.signal,
      onStream: (chunks) => void (Buffer.concat(chunks).includes("initial-events-end") && listing.abort()),
    },
  );
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

/** Upstream's of an API server that are stable or beta, but for what tells of Go or of its own registry of metrics. */
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
  apiserver_storage_events_received_total: "counter",
  apiserver_storage_size_bytes: "gauge",
  kubernetes_feature_enabled: "gauge",
  workqueue_adds_total: "counter",
  workqueue_depth: "gauge",
  workqueue_longest_running_processor_seconds: "gauge",
  workqueue_queue_duration_seconds: "histogram",
  workqueue_retries_total: "counter",
  workqueue_unfinished_work_seconds: "gauge",
  workqueue_work_duration_seconds: "histogram",
};

/** Upstream's that aren't told, and why. */
const ABSENT: readonly (readonly [names: string, why: string])[] = [
  ["`go_*`", "there is no Go here; a process tells its `process_*`"],
  ["`rest_client_*`", "the server doesn't call itself by HTTP, and has no plugins that log in"],
  [
    "`registered_metrics_total`, `hidden_metrics_total`, `disabled_metrics_total`, `cardinality_enforcement_*`",
    "metrics are neither hidden nor cut",
  ],
  ["`aggregator_discovery_*`, `apiserver_rerouted_request_total`", "servers of one cluster serve the same kinds here"],
  ["`apiextensions_openapi_*`", "documents are written when they are asked for"],
  [
    "`apiserver_validation_declarative_validation_*`, `apiserver_validation_duplicate_*`",
    "each rule is written once, so that there is nothing to compare",
  ],
  ["`authentication_token_cache_*`", "only webhooks' answers are kept, which have metrics of their own"],
  [
    "`apiserver_admission_step_admission_duration_seconds_summary`",
    "the histogram of the same name tells it; summaries can't be added up",
  ],
  [
    "`apiserver_request_timestamp_comparison_time`, `apiextensions_apiserver_validation_ratcheting_seconds`",
    "no comparison of its own: what changed is known from the write",
  ],
  ["`apiserver_selfrequest_total`", "what the server does for itself goes past the handlers"],
  [
    "`apiserver_kube_aggregator_x509_*`, `apiserver_webhooks_x509_*`",
    "certificates without names and with SHA-1 are refused by TLS itself, as any that is wrong",
  ],
];

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
    `apiserver_request_total{verb="WATCH",dry_run="",${about('"namespace",component="apiserver",code="200"')}} 2`,
    `apiserver_request_duration_seconds_count{verb="LIST",dry_run="",${about('"namespace",component="apiserver"')}} 1`,
    `apiserver_response_sizes_count{verb="LIST",${about('"namespace",component="apiserver"')}} 1`,
    `apiserver_longrunning_requests{verb="WATCH",${about('"namespace",component="apiserver"')}} 0`,
    `apiserver_watch_events_total{group="",version="v1",resource="configmaps"} 3`,
    `apiserver_request_body_size_bytes_count{group="",resource="configmaps",verb="create"} 2`,
    `apiserver_watch_list_duration_seconds_count{group="",version="v1",resource="configmaps",scope="namespace"} 1`,
    `apiserver_storage_events_received_total{group="",resource="configmaps"} 2`,
    `apiserver_cache_list_total{group="",resource="configmaps",index=""} 1`,
    `apiserver_watch_cache_consistent_read_total{group="",resource="configmaps",success="true",fallback="false"} 1`,
    `kubernetes_feature_enabled{name="CBORServingAndStorage",stage="ALPHA"} 0`,
    `kubernetes_feature_enabled{name="ListFromCacheSnapshot",stage="BETA"} 1`,
    `version_info{binary="1.36.2",component="kube",emulation="1.36",min_compat="1.35"} 1`,
    `apiserver_requested_deprecated_apis{group="",version="v1",resource="componentstatuses",subresource="",removed_release=""} 1`,
    `apiserver_storage_objects{resource="configmaps"} 2`,
    `etcd_requests_total{operation="create",group="",resource="configmaps"} 2`,
    `apiserver_request_total{verb="GET",dry_run="",group="",version="",resource="",subresource="/version",scope="",component="",code="200"} 1`,
  ])
    assert.ok(
      lines.includes(line),
      `${line} is not among\n${lines.filter((one) => one.startsWith(line.split("{")[0]!)).join("\n")}`,
    );
  assert.match(lines.join("\n"), /^apiserver_storage_size_bytes\{storage_cluster_id="etcd-0"\} \d+$/m);
});

test("what health checks found is a page of its own", async () => {
  const page = (await ask(harness, "GET", "/metrics/slis")).body.toString();
  assert.match(page, /^process_start_time_seconds \d+/m);
  assert.match(page, /^kubernetes_healthcheck\{name="ping",type="livez"\} 1$/m);
  assert.match(page, /^kubernetes_healthchecks_total\{name="ping",status="success",type="livez"\} 1$/m);
});

test("what waits for its turn in the server, and what was turned away, is counted", async () => {
  const service = { namespace: "default", name: "nobody" };
  const spec = { group: "gone.example", version: "v1", groupPriorityMinimum: 10, versionPriority: 10, service };
  await ask(harness, "POST", "/apis/apiregistration.k8s.io/v1/apiservices", {
    body: JSON.stringify({ metadata: { name: "v1.gone.example" }, spec: { ...spec, insecureSkipTLSVerify: true } }),
  });
  assert.equal((await ask(harness, "GET", "/apis/gone.example/v1/things")).status, 503);
  const probed = /^workqueue_work_duration_seconds_count\{name="RemoteAvailabilityController"\} [1-9]/m;
  let text = await scrape();
  for (; !probed.test(text); text = await scrape()) await new Promise((resolve) => setImmediate(resolve));
  for (const line of [
    'apiserver_request_terminations_total{verb="LIST",group="gone.example",version="v1",resource="things",subresource="",scope="cluster",component="aggregator",code="503"} 1',
    'aggregator_unavailable_apiservice{name="v1.gone.example"} 1',
    'aggregator_unavailable_apiservice{name="v1."} 0',
    'pod_security_exemptions_total{request_operation="create",resource="pod",subresource=""} 0',
    "serviceaccount_valid_tokens_total 0",
    "apiserver_audit_event_total 0",
    "apiserver_tls_handshake_errors_total 0",
    "apiserver_client_certificate_expiration_seconds_count 0",
  ])
    assert.ok(text.split("\n").includes(line), line);
  for (const name of ["priority_and_fairness_config_queue", "RemoteAvailabilityController"]) {
    assert.match(text, new RegExp(`^workqueue_adds_total\\{name="${name}"\\} [1-9]`, "m"));
    assert.match(text, new RegExp(`^workqueue_work_duration_seconds_count\\{name="${name}"\\} [1-9]`, "m"));
    assert.match(text, new RegExp(`^workqueue_unfinished_work_seconds\\{name="${name}"\\} `, "m"));
  }
  for (const filter of ["authentication", "authorization", "priorityandfairness"])
    assert.match(
      text,
      new RegExp(`^apiserver_request_filter_duration_seconds_count\\{filter="${filter}"\\} [1-9]`, "m"),
    );
});

test("a policy's conditions, expressions and verdicts are counted", async () => {
  const of = (kind: string) => `/apis/admissionregistration.k8s.io/v1/${kind}`;
  const rules = [{ apiGroups: [""], apiVersions: ["v1"], resources: ["configmaps"], operations: ["CREATE"] }];
  const spec = {
    matchConstraints: { resourceRules: rules },
    matchConditions: [{ name: "c", expression: "object.metadata.name != 'x'" }],
    validations: [{ expression: "object.metadata.name != 'bad'" }],
  };
  await ask(harness, "POST", of("validatingadmissionpolicies"), {
    body: JSON.stringify({ metadata: { name: "p" }, spec }),
  });
  await ask(harness, "POST", of("validatingadmissionpolicybindings"), {
    body: JSON.stringify({ metadata: { name: "b" }, spec: { policyName: "p", validationActions: ["Deny"] } }),
  });
  const make = async (name: string) =>
    (await ask(harness, "POST", `${MAPS}?dryRun=All`, { body: JSON.stringify({ metadata: { name } }) })).status;
  while ((await make("bad")) !== 422) await new Promise((resolve) => setImmediate(resolve));
  await make("x");
  const text = await scrape();
  const about = 'name="p",kind="policy",type="validate",operation="CREATE"';
  assert.match(text, new RegExp(`^apiserver_admission_match_condition_exclusions_total\\{${about}\\} 1$`, "m"));
  assert.match(
    text,
    new RegExp(`^apiserver_admission_match_condition_evaluation_seconds_count\\{${about}\\} [2-9]`, "m"),
  );
  const check = 'policy="p",policy_binding="b",error_type="invalid_error",enforcement_action="deny"';
  assert.match(text, new RegExp(`^apiserver_validating_admission_policy_check_total\\{${check}\\} 1$`, "m"));
  assert.match(text, /^apiserver_cel_compilation_duration_seconds_count [1-9]/m);
  assert.match(text, /^apiserver_cel_evaluation_duration_seconds_count [1-9]/m);
});

test("the page of metrics is what the server tells", async () => {
  const lines = metricsOf(await scrape())
    .filter(({ name }) => !/^(?:process|nodejs)_/.test(name))
    .map(({ name, type, stability, help }) => `| ${name} | ${type} | ${stability} | ${help.replaceAll("|", "\\|")} |`);
  const text = [
    "# Metrics of the API server",
    "What `/metrics` tells after the first requests, by upstream's names. Written by a test (`UPDATE=1`). More appear when there is something to count: webhooks, audit, encryption, other servers.",
    ["| name | type | stability | what it tells |", "| --- | --- | --- | --- |", ...lines].join("\n"),
    "`/metrics/slis` has `kubernetes_healthcheck`, `kubernetes_healthchecks_total` and `process_start_time_seconds`. The process adds `process_cpu_seconds_total`, `process_max_fds`, `process_open_fds`, `process_resident_memory_bytes` and `process_start_time_seconds`.",
    "## What upstream tells, and this server doesn't",
    ["| upstream's | why not |", "| --- | --- |", ...ABSENT.map(([names, why]) => `| ${names} | ${why} |`)].join("\n"),
  ].join("\n\n");
  goldenFile(PAGE, `${text}\n`);
});
