/** Counts of authentication attempts. Every request passes here, so they are plain numbers. Upstream: pkg/endpoints/filters/metrics.go */
import type { Metrics, Reading } from "../../observe/metrics.ts";
import { counter, Distribution, histogram } from "../../observe/metrics.ts";

const BUCKETS = Array.from({ length: 15 }, (_, i) => 0.001 * 2 ** i);

const users = counter("authenticated_user_requests", {
  help: "Counter of authenticated requests broken out by username.",
  labels: ["username"],
});
const authentications = counter("authentication_attempts", {
  help: "Counter of authenticated attempts.",
  labels: ["result"],
});
const authenticationSeconds = histogram("authentication_duration_seconds", {
  help: "Authentication duration in seconds broken out by result.",
  labels: ["result"],
  buckets: BUCKETS,
});
const authorizations = counter("authorization_attempts_total", {
  help: "Counter of authorization attempts broken down by result. It can be either 'allowed', 'denied', 'no-opinion' or 'error'.",
  labels: ["result"],
});
const authorizationSeconds = histogram("authorization_duration_seconds", {
  help: "Authorization duration in seconds broken out by result.",
  labels: ["result"],
  buckets: BUCKETS,
});
const filterSeconds = histogram("apiserver_request_filter_duration_seconds", {
  help: "Request filter latency distribution in seconds, for each filter type",
  labels: ["filter"],
  buckets: [0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 5, 10, 15, 30],
});
const certificateSeconds = histogram("apiserver_client_certificate_expiration_seconds", {
  help: "Distribution of the remaining lifetime on the certificate used to authenticate a request.",
  buckets: [0, 1800, 3600, 7200, 21600, 43200, 86400, 172800, 345600, 604800, 2592000, 7776000, 15552000, 31104000],
});
const handshakes = counter("apiserver_tls_handshake_errors_total", {
  help: "Number of requests dropped with 'TLS handshake error from' error",
});
const tokenUses = {
  legacy_tokens: "Cumulative legacy service account tokens used",
  stale_tokens: "Cumulative stale projected service account tokens used",
  legacy_manual_token_uses: "Cumulative manually created legacy tokens used",
  legacy_auto_token_uses: "Cumulative auto-generated legacy tokens used",
  invalid_legacy_auto_token_uses: "Cumulative invalid auto-generated legacy tokens used",
  valid_tokens: "Cumulative valid projected service account tokens used",
} as const;
export type TokenUse = keyof typeof tokenUses;
const tokenCounters = (Object.keys(tokenUses) as TokenUse[]).map(
  (use) => [use, counter(`serviceaccount_${use}_total`, { help: tokenUses[use] })] as const,
);
const impersonationSeconds = histogram("apiserver_impersonation_attempts_duration_seconds", {
  help: "Latency of impersonation attempts in seconds split by mode and decision.",
  labels: ["mode", "decision"],
  buckets: BUCKETS,
});
const impersonations = counter("apiserver_impersonation_attempts_total", {
  help: "Total number of impersonation attempts split by mode and decision.",
  labels: ["mode", "decision"],
});

export type Proof = "success" | "failure" | "error";
export type Verdict = "allowed" | "denied" | "no-opinion" | "error";

export class AccessMetrics {
  readonly #metrics: Metrics;
  readonly #users = new Map<string, number>();
  readonly #proofs = new Map<Proof, Distribution>();
  readonly #verdicts = new Map<Verdict, Distribution>();

  readonly #filters = new Map<string, Distribution>();
  readonly #certificates = new Distribution(certificateSeconds.buckets!);
  readonly #tokens = new Map<TokenUse, number>();
  #handshakes = 0;

  constructor(metrics: Metrics) {
    this.#metrics = metrics;
    metrics.from(() => this.#readings());
  }

  authenticated(result: Proof, user: string | undefined, ms: number): void {
    if (user !== undefined) {
      const kind = kindOfUser(user);
      this.#users.set(kind, (this.#users.get(kind) ?? 0) + 1);
    }
    observe(this.#proofs, result, ms);
    this.filter("authentication", ms);
  }
  authorized(result: Verdict, ms: number): void {
    observe(this.#verdicts, result, ms);
    this.filter("authorization", ms);
  }
  impersonated(mode: string, allowed: boolean, ms: number): void {
    const labels = { mode, decision: allowed ? "allowed" : "denied" };
    this.#metrics.add(impersonations, labels);
    this.#metrics.observe(impersonationSeconds, labels, ms / 1000);
    this.filter("constrainedimpersonation", ms);
  }
  /** What a filter took before it let a request on. */
  filter(name: string, ms: number): void {
    let known = this.#filters.get(name);
    if (known === undefined) this.#filters.set(name, (known = new Distribution(filterSeconds.buckets!)));
    known.observe(ms / 1000);
  }
  certificateEnds(inMs: number): void {
    this.#certificates.observe(inMs / 1000);
  }
  handshakeFailed(): void {
    this.#handshakes++;
  }
  token(use: TokenUse): void {
    this.#tokens.set(use, (this.#tokens.get(use) ?? 0) + 1);
  }

  *#readings(): Generator<Reading> {
    for (const [filter, value] of this.#filters) yield { metric: filterSeconds, labels: { filter }, value };
    yield { metric: certificateSeconds, value: this.#certificates };
    yield { metric: handshakes, value: this.#handshakes };
    for (const [use, metric] of tokenCounters) yield { metric, value: this.#tokens.get(use) ?? 0 };
    for (const [username, value] of this.#users) yield { metric: users, labels: { username }, value };
    for (const [result, value] of this.#proofs) {
      yield { metric: authentications, labels: { result }, value: total(value) };
      yield { metric: authenticationSeconds, labels: { result }, value };
    }
    for (const [result, value] of this.#verdicts) {
      yield { metric: authorizations, labels: { result }, value: total(value) };
      yield { metric: authorizationSeconds, labels: { result }, value };
    }
  }
}

function observe<K>(all: Map<K, Distribution>, result: K, ms: number): void {
  let known = all.get(result);
  if (known === undefined) all.set(result, (known = new Distribution(BUCKETS)));
  known.observe(ms / 1000);
}

const total = ({ counts }: Distribution): number => counts.reduce((sum, count) => sum + count, 0);

const NAMED = new Set(["admin", "client", "kube_proxy", "kubelet", "system:serviceaccount:kube-system:default"]);

/** Names are many; kinds of names are few. */
function kindOfUser(name: string): string {
  return NAMED.has(name) ? name : name.includes("@") ? "email_id" : "other";
}
