/** Health: `/health` answers in JSON; `/livez` and `/readyz` consist of named checks. Upstream: server/etcdserver/api/etcdhttp/health.go */
import type { Logger } from "../../observe/log.ts";
import type { Exchange } from "../../world/net.ts";
import { RpcError } from "../../wire/rpc/service.ts";
import { applyRange } from "../apply/range.ts";
import type { Member } from "../member.ts";
import * as counted from "../metrics.ts";
import { isGet, notFound, TEXT_HEADERS } from "./answers.ts";

const NUL = new Uint8Array(1);

/** What stops a read of any key, with nobody's permission asked: undefined where nothing does. */
async function whyNoRead(member: Member, serializable: boolean): Promise<string | undefined> {
  try {
    if (member.closing.aborted) throw member.closing.reason;
    if (!serializable) await member.linearizable();
    applyRange(member.store, { key: NUL, range_end: NUL, keys_only: true, limit: 1 }, undefined);
    return undefined;
  } catch (error) {
    if (error instanceof RpcError) return error.message;
    throw error;
  }
}

export async function answerHealth(
  exchange: Exchange,
  member: Member,
  log: Logger,
  query: URLSearchParams,
): Promise<void> {
  if (!isGet(exchange)) return;
  const excluded = query.getAll("exclude");
  const serializable = query.get("serializable") === "true";
  const reason = await whyUnhealthy(member, excluded, serializable);
  const body = JSON.stringify({ health: reason === undefined ? "true" : "false", reason: reason ?? "" });
  if (reason === undefined) {
    member.metrics.add(counted.healthSuccess, {});
    log.v(1).info("/health OK", { "status-code": 200 });
    // Not JSON's type: upstream's is what Go guesses from the body.
    return exchange.respond(200, { "content-type": TEXT_HEADERS["content-type"] }, body);
  }
  member.metrics.add(counted.healthFailures, {});
  log.warn("/health error", { output: body, "status-code": 503 });
  exchange.respond(503, TEXT_HEADERS, `${body}\n`);
}

async function whyUnhealthy(
  member: Member,
  excluded: readonly string[],
  serializable: boolean,
): Promise<string | undefined> {
  const alarm = member.alarms.raised.find((raised) => !excluded.includes(raised.alarm));
  if (alarm !== undefined) return `ALARM ${alarm.alarm}`;
  if (!serializable && member.leader === 0n) return "RAFT NO LEADER";
  const failure = await whyNoRead(member, serializable);
  return failure === undefined ? undefined : `RANGE ERROR:${failure}`;
}

/** Named checks, each of which is fine or tells why not. */
const CHECKS: Readonly<Record<string, (member: Member) => Promise<string | undefined> | string | undefined>> = {
  data_corruption: (member) => (member.alarms.has("CORRUPT") ? "alarm activated: CORRUPT" : undefined),
  serializable_read: (member) => whyNoRead(member, true),
  linearizable_read: (member) => whyNoRead(member, false),
  non_learner: (member) => (member.isLearner ? "not supported for learner" : undefined),
};
const CHECKS_OF = {
  livez: ["serializable_read"],
  readyz: ["data_corruption", "serializable_read", "linearizable_read", "non_learner"],
} as const;

/** Answers `/livez`, `/readyz` and the single checks below them, and other paths with a 404. */
export async function answerChecks(exchange: Exchange, member: Member, log: Logger, url: URL): Promise<void> {
  const match = /^\/(livez|readyz)(?:\/([a-z_]+))?$/.exec(url.pathname);
  if (match === null) return notFound(exchange);
  const kind = match[1] as keyof typeof CHECKS_OF;
  const only = match[2];
  const names: readonly string[] = CHECKS_OF[kind];
  if (only !== undefined && !names.includes(only)) return notFound(exchange);
  if (!isGet(exchange)) return;
  const excluded = url.searchParams.getAll("exclude").filter((name) => name !== "");
  const missing = excluded.filter((name) => !names.includes(name));
  if (missing.length > 0 && only === undefined)
    log.warn("some health checks cannot be excluded", {
      "missing-health-checks": missing.map((name) => JSON.stringify(name)).join(","),
    });
  let failed = false;
  let lines = "";
  for (const name of only === undefined ? names.filter((name) => !excluded.includes(name)) : [only]) {
    const failure = await CHECKS[name]!(member);
    failed ||= failure !== undefined;
    lines += failure === undefined ? `[+]${name} ok\n` : `[-]${name} failed: ${failure}\n`;
    const status = failure === undefined ? "success" : "error";
    member.metrics.set(counted.healthcheck, { type: kind, name }, failure === undefined ? 1 : 0);
    member.metrics.add(counted.healthchecks, { type: kind, name, status });
  }
  if (!failed) return exchange.respond(200, TEXT_HEADERS, url.searchParams.has("verbose") ? `${lines}ok\n` : "ok\n");
  log.warn("Health check error", { path: url.pathname, reason: lines, "status-code": 503 });
  exchange.respond(503, TEXT_HEADERS, `${lines}\n`);
}
