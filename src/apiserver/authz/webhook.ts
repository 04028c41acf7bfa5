/** Asks a webhook to authorize a request, and caches the answer for a while. Upstream: plugin/pkg/authorizer/webhook. */
import type { Metrics } from "../../observe/metrics.ts";
import { counter, histogram } from "../../observe/metrics.ts";
import type { Clock } from "../../world/world.ts";
import type { ReviewClient, ReviewResult } from "../review-client.ts";
import type { Answer, Attributes, Authorizer, Decision } from "./authorizer.ts";
import { NO_OPINION } from "./authorizer.ts";
import type { ReviewSpec } from "./review-spec.ts";
import { reviewSpec } from "./review-spec.ts";

export interface WebhookAuthorizerOptions {
  /** Empty for the one of the flags. */
  readonly name: string;
  readonly client: ReviewClient;
  readonly version: "v1" | "v1beta1";
  readonly authorizedTtlMs: number;
  readonly unauthorizedTtlMs: number;
  readonly failurePolicy: "NoOpinion" | "Deny";
  /** Whether the webhook is to be asked at all. */
  readonly matches?: (spec: ReviewSpec) => boolean | { readonly error: string };
  readonly clock: Clock;
  readonly metrics: Metrics;
}

const evaluations = counter("apiserver_authorization_webhook_evaluations_total", {
  help: "Round-trips to authorization webhooks.",
  labels: ["name", "result"],
  stability: "BETA",
});
const duration = histogram("apiserver_authorization_webhook_duration_seconds", {
  help: "Request latency in seconds.",
  labels: ["name", "result"],
  stability: "BETA",
  buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
});
const failOpen = counter("apiserver_authorization_webhook_evaluations_fail_open_total", {
  help: "NoOpinion results due to webhook timeout or error.",
  labels: ["name", "result"],
  stability: "BETA",
});

const conditionErrors = counter("apiserver_authorization_match_condition_evaluation_errors_total", {
  help: "Total number of errors when an authorization webhook encounters a match condition error split by authorizer type and name.",
  labels: ["type", "name"],
});
const conditionExclusions = counter("apiserver_authorization_match_condition_exclusions_total", {
  help: "Total number of exclusions when an authorization webhook is skipped because match conditions exclude it.",
  labels: ["type", "name"],
});
const conditionSeconds = histogram("apiserver_authorization_match_condition_evaluation_seconds", {
  help: "Authorization match condition evaluation time in seconds, split by authorizer type and name.",
  labels: ["type", "name"],
  buckets: [0.001, 0.005, 0.01, 0.025, 0.1, 0.2, 0.25],
});

const REMEMBERED_MAX = 8192;
/** Longer questions are asked each time: they would fill the memory with what one client makes up. */
const REMEMBERED_LENGTH_MAX = 10_000;

export function webhookAuthorizer(options: WebhookAuthorizerOptions): Authorizer {
  const { clock, metrics, name } = options;
  const known = new Map<string, { readonly decision: Decision; readonly untilMs: number }>();
  const onError = (error: string): Decision => ({
    decision: options.failurePolicy === "Deny" ? "deny" : "no opinion",
    reason: "",
    error,
  });

  async function ask(spec: ReviewSpec, key: string, mayRemember: boolean): Promise<Decision> {
    let outcome = "";
    const observe = (result: ReviewResult, ms: number): void => {
      outcome = !("error" in result) ? "success" : result.timedOut ? "timeout" : "error";
      metrics.add(evaluations, { name, result: outcome });
      metrics.observe(duration, { name, result: outcome }, ms / 1000);
    };
    const result = await options.client.review(
      {
        kind: "SubjectAccessReview",
        apiVersion: `authorization.k8s.io/${options.version}`,
        metadata: {},
        spec: options.version === "v1" ? spec : asBeta(spec),
        status: { allowed: false },
      },
      observe,
    );
    if ("error" in result) {
      if (options.failurePolicy === "NoOpinion") metrics.add(failOpen, { name, result: outcome });
      return onError(result.error);
    }
    const { allowed, denied, reason = "" } = (result.answer["status"] ?? {}) as any;
    const decision = decisionOf(allowed === true, denied === true, String(reason));
    const ttlMs = allowed === true ? options.authorizedTtlMs : options.unauthorizedTtlMs;
    if (mayRemember && ttlMs > 0) {
      if (known.size >= REMEMBERED_MAX) known.clear();
      known.set(key, { decision, untilMs: clock.monotonic() + ttlMs });
    }
    return decision;
  }

  function isMeant(spec: ReviewSpec): boolean | { readonly error: string } {
    if (options.matches === undefined) return true;
    const labels = { type: "Webhook", name };
    const started = clock.monotonic();
    const matches = options.matches(spec);
    metrics.observe(conditionSeconds, labels, (clock.monotonic() - started) / 1000);
    if (typeof matches === "object") metrics.add(conditionErrors, labels);
    else if (!matches) metrics.add(conditionExclusions, labels);
    return matches;
  }

  return {
    authorize(attributes): Answer {
      const spec = reviewSpec(attributes);
      const matches = isMeant(spec);
      if (typeof matches === "object") return onError(matches.error);
      if (!matches) return NO_OPINION;
      const key = JSON.stringify(spec);
      const before = known.get(key);
      if (before !== undefined && before.untilMs > clock.monotonic()) return before.decision;
      return ask(spec, key, isShort(attributes));
    },
    rulesFor: () => ({
      rules: [],
      incomplete: true,
      error: "webhook authorizer does not support user rule resolution",
    }),
  };
}

function decisionOf(allowed: boolean, denied: boolean, reason: string): Decision {
  if (denied && allowed)
    return {
      decision: "deny",
      reason,
      error: "webhook subject access review returned both allow and deny response",
    };
  return { decision: denied ? "deny" : allowed ? "allow" : "no opinion", reason };
}

function isShort({ namespace, verb, group, version, resource, subresource, name, path }: Attributes): boolean {
  const parts = [namespace, verb, group, version, resource, subresource, name, path];
  return parts.reduce((sum, part) => sum + part.length, 0) < REMEMBERED_LENGTH_MAX;
}

/** The beta version says `group` where the later one says `groups`. */
function asBeta({ groups, ...spec }: ReviewSpec): object {
  return { ...spec, ...(groups && { group: groups }) };
}
