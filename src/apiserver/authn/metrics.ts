/** How requests fared at the door, counted in plain numbers: every request passes here. Upstream: pkg/endpoints/filters/metrics.go */
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
  }
  authorized(result: Verdict, ms: number): void {
    observe(this.#verdicts, result, ms);
  }
  impersonated(mode: string, allowed: boolean): void {
    this.#metrics.add(impersonations, { mode, decision: allowed ? "allowed" : "denied" });
  }

  *#readings(): Generator<Reading> {
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
