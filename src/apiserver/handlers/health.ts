/** `/healthz`, `/livez` and `/readyz`, as a whole and for each check. Upstream: pkg/server/healthz. */
import type { ApiRequest, ApiResponse } from "../request.ts";
import { counter, gauge, Metrics } from "../../observe/metrics.ts";
import { counts } from "../../observe/series.ts";
import { text } from "../request.ts";

export interface HealthCheck {
  readonly name: string;
  /** Where it counts. */
  readonly on: readonly ("healthz" | "livez" | "readyz")[];
  /** Asked each time, where it depends on what the server has read. */
  applies?(): boolean;
  /** What is wrong; undefined when all is well. */
  check(endpoint: "healthz" | "livez" | "readyz"): Promise<string | undefined> | string | undefined;
}

const healthcheck = gauge("kubernetes_healthcheck", {
  help: "This metric records the result of a single healthcheck.",
  labels: ["name", "type"],
  stability: "STABLE",
});
const healthchecks = counter("kubernetes_healthchecks_total", {
  help: "This metric records the results of all healthcheck.",
  labels: ["name", "status", "type"],
  stability: "STABLE",
});

const startTime = gauge("process_start_time_seconds", {
  help: "Start time of the process since unix epoch in seconds.",
});

/** What checks have found so far, whoever asked: a page of metrics of its own. Upstream: component-base/metrics/prometheus/slis */
export class HealthResults {
  readonly #metrics = new Metrics();
  readonly #last = counts(healthcheck);
  readonly #total = counts(healthchecks);

  constructor(startedAtMs: number) {
    const start = { metric: startTime, value: startedAtMs / 1000 };
    this.#metrics.from(() => [...this.#last.readings(), ...this.#total.readings(), start]);
  }

  note(name: string, endpoint: string, error: string | undefined): string | undefined {
    this.#last.at([name, endpoint]).value = Number(error === undefined);
    this.#total.at([name, error === undefined ? "success" : "error", endpoint]).value++;
    return error;
  }

  render(): Promise<string> {
    return this.#metrics.render();
  }
}

/** One check alone is answered in other words than all of them. */
function ok(): ApiResponse {
  return { kind: "raw", status: 200, headers: { "content-type": "text/plain; charset=utf-8" }, body: "ok" };
}

export async function health(
  request: ApiRequest,
  endpoint: "healthz" | "livez" | "readyz",
  checks: readonly HealthCheck[],
  results: HealthResults,
): Promise<ApiResponse> {
  const mine = checks.filter((check) => check.on.includes(endpoint) && check.applies?.() !== false);
  const single = request.path.slice(endpoint.length + 2);
  if (request.path.length > endpoint.length + 1) {
    const check = mine.find(({ name }) => name === single);
    if (check === undefined) return text(404, "404 page not found\n");
    const error = results.note(check.name, endpoint, await check.check(endpoint));
    return error === undefined ? ok() : text(500, `internal server error: ${error}\n`);
  }
  const excluded = new Set(request.query.getAll("exclude"));
  const unknown = [...excluded].filter((name) => !mine.some((check) => check.name === name));
  const lines: string[] = [];
  let failed = false;
  for (const { name, check } of mine) {
    if (excluded.has(name)) {
      lines.push(`[+]${name} excluded: ok\n`);
      continue;
    }
    if (results.note(name, endpoint, await check(endpoint)) === undefined) lines.push(`[+]${name} ok\n`);
    else {
      failed = true;
      lines.push(`[-]${name} failed: reason withheld\n`);
    }
  }
  if (unknown.length > 0)
    lines.push(
      `warn: some health checks cannot be excluded: no matches for ${unknown.map((name) => JSON.stringify(name)).join(",")}\n`,
    );
  if (failed) return text(500, `${lines.join("")}${endpoint} check failed\n`);
  if (request.query.has("verbose")) return text(200, `${lines.join("")}${endpoint} check passed\n`);
  return text(200, "ok");
}
