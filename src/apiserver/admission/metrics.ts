/**
 * How long admission takes, by plugin and by webhook. Every write passes here, so the counts are plain numbers that are read when metrics are
 * scraped.
 * Upstream: apiserver/pkg/admission/metrics
 */
import type { Distribution, Metrics, Reading } from "../../observe/metrics.ts";
import { counter, histogram } from "../../observe/metrics.ts";
import { counts, distributions } from "../../observe/series.ts";
import type { Operation } from "./framework.ts";

export type Half = "admit" | "validate";

const BUCKETS = [0.005, 0.025, 0.1, 0.5, 1, 2.5];

const stepSeconds = histogram("apiserver_admission_step_admission_duration_seconds", {
  help: "Admission sub-step latency histogram in seconds, broken out for each operation and API resource and step type (validate or admit).",
  labels: ["type", "operation", "rejected"],
  stability: "STABLE",
  buckets: BUCKETS,
});
const controllerSeconds = histogram("apiserver_admission_controller_admission_duration_seconds", {
  help: "Admission controller latency histogram in seconds, identified by name and broken out for each operation and API resource and type (validate or admit).",
  labels: ["name", "type", "operation", "rejected"],
  stability: "STABLE",
  buckets: BUCKETS,
});
const webhookSeconds = histogram("apiserver_admission_webhook_admission_duration_seconds", {
  help: "Admission webhook latency histogram in seconds, identified by name and broken out for each operation and API resource and type (validate or admit).",
  labels: ["name", "type", "operation", "rejected"],
  stability: "STABLE",
  buckets: [...BUCKETS, 10, 25],
});
const webhookRequests = counter("apiserver_admission_webhook_request_total", {
  help: "Admission webhook request total, identified by name and broken out for each admission type (validating or admit) and operation. Additional labels specify whether the request was rejected or not and an HTTP status code. Codes greater than 600 are truncated to 600, to keep the metrics cardinality bounded.",
  labels: ["name", "type", "operation", "code", "rejected"],
});
const webhookRejections = counter("apiserver_admission_webhook_rejection_count", {
  help: "Admission webhook rejection count, identified by name and broken out for each admission type (validating or admit) and operation. Additional labels specify an error type (calling_webhook_error or apiserver_internal_error if an error occurred; no_error otherwise) and optionally a non-zero rejection code if the webhook rejects the request with an HTTP status code (honored by the apiserver when the code is greater or equal to 400). Codes greater than 600 are truncated to 600, to keep the metrics cardinality bounded.",
  labels: ["name", "type", "operation", "error_type", "rejection_code"],
});
const webhookFailOpens = counter("apiserver_admission_webhook_fail_open_count", {
  help: "Admission webhook fail open count, identified by name and broken out for each admission type (validating or admit).",
  labels: ["name", "type"],
});
const podSecurityEvaluations = counter("pod_security_evaluations_total", {
  help: "Number of policy evaluations that occurred, not counting ignored or exempt requests.",
  labels: ["decision", "policy_level", "policy_version", "mode", "request_operation", "resource", "subresource"],
});
const podSecurityExemptions = counter("pod_security_exemptions_total", {
  help: "Number of exempt requests, not counting ignored or out of scope requests.",
  labels: ["request_operation", "resource", "subresource"],
});
const podSecurityErrors = counter("pod_security_errors_total", {
  help: "Number of errors preventing normal evaluation. Non-fatal errors may result in the latest restricted profile being used for evaluation.",
  labels: ["fatal", "request_operation", "resource", "subresource"],
});

const CEL_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const celCompilation = histogram("apiserver_cel_compilation_duration_seconds", {
  help: "CEL compilation time in seconds.",
  stability: "BETA",
  buckets: CEL_SECONDS,
});
const celEvaluation = histogram("apiserver_cel_evaluation_duration_seconds", {
  help: "CEL evaluation time in seconds.",
  stability: "BETA",
  buckets: CEL_SECONDS,
});
const matchConditionSeconds = histogram("apiserver_admission_match_condition_evaluation_seconds", {
  help: "Admission match condition evaluation time in seconds, identified by name and broken out for each kind containing matchConditions (webhook or policy), operation and type (validate or admit).",
  labels: ["name", "kind", "type", "operation"],
  buckets: [0.001, 0.005, 0.01, 0.025, 0.1, 0.2, 0.25],
});
const matchConditionErrors = counter("apiserver_admission_match_condition_evaluation_errors_total", {
  help: "Admission match condition evaluation errors count, identified by name of resource containing the match condition and broken out for each kind containing matchConditions (webhook or policy), operation and admission type (validate or admit).",
  labels: ["name", "kind", "type", "operation"],
});
const matchConditionExclusions = counter("apiserver_admission_match_condition_exclusions_total", {
  help: "Admission match condition evaluation exclusions count, identified by name of resource containing the match condition and broken out for each kind containing matchConditions (webhook or policy), operation and admission type (validate or admit).",
  labels: ["name", "kind", "type", "operation"],
});
const policyChecks = counter("apiserver_validating_admission_policy_check_total", {
  help: "Validation admission policy check total, labeled by policy and further identified by binding and enforcement action taken.",
  labels: ["policy", "policy_binding", "error_type", "enforcement_action"],
  stability: "BETA",
});
const policyCheckSeconds = histogram("apiserver_validating_admission_policy_check_duration_seconds", {
  help: "Validation admission latency for individual validation expressions in seconds, labeled by policy and further including binding and enforcement action taken.",
  labels: ["policy", "policy_binding", "error_type", "enforcement_action"],
  stability: "BETA",
  buckets: [0.0000005, 0.001, 0.01, 0.1, 1],
});

/** Bounds the number of series. */
const CODE_MAX = 600;

type PolicyError = "no_error" | "compile_error" | "out_of_budget" | "invalid_error";

/** As upstream tells them apart: by how the message begins. */
export function policyErrorOf(message: string): PolicyError {
  if (message.startsWith("compilation")) return "compile_error";
  return message.startsWith("validation failed due to running out of cost budget") ? "out_of_budget" : "invalid_error";
}

export class AdmissionMetrics {
  readonly #steps = distributions(stepSeconds);
  readonly #controllers = distributions(controllerSeconds);
  readonly #webhooks = distributions(webhookSeconds);
  readonly #requests = counts(webhookRequests);
  readonly #rejections = counts(webhookRejections);
  readonly #failOpens = counts(webhookFailOpens);
  readonly #evaluations = counts(podSecurityEvaluations);
  readonly #exemptions = counts(podSecurityExemptions);
  readonly #errors = counts(podSecurityErrors);

  readonly #celCompilation = distributions(celCompilation);
  readonly #celEvaluation = distributions(celEvaluation);
  readonly #matchConditions = distributions(matchConditionSeconds);
  readonly #matchErrors = counts(matchConditionErrors);
  readonly #matchExclusions = counts(matchConditionExclusions);
  readonly #policyChecks = counts(policyChecks);
  readonly #policySeconds = distributions(policyCheckSeconds);

  constructor(metrics?: Metrics) {
    metrics?.from(() => this.#read());
    // Alerts look at these before anything is exempt.
    for (const operation of ["create", "update"])
      for (const resource of ["controller", "pod"]) this.#exemptions.at([operation, resource, ""]);
  }

  step(half: Half, operation: Operation, rejected: boolean, ms: number): void {
    this.#steps.at([half, operation, String(rejected)]).value.observe(ms / 1000);
  }
  /** In seconds, to be kept by who counts often. */
  controller(name: string, half: Half, operation: Operation, rejected: boolean): Distribution {
    return this.#controllers.at([name, half, operation, String(rejected)]).value;
  }
  /** `code` 0 is an answer that never came. */
  webhook(name: string, half: Half, operation: Operation, rejected: boolean, code: number, ms: number): void {
    this.#webhooks.at([name, half, operation, String(rejected)]).value.observe(ms / 1000);
    this.#requests.at([name, half, operation, String(Math.min(code, CODE_MAX)), String(rejected)]).value++;
  }
  webhookRejection(
    name: string,
    half: Half,
    operation: Operation,
    why: "calling_webhook_error" | "apiserver_internal_error" | "no_error",
    code: number,
  ): void {
    this.#rejections.at([name, half, operation, why, String(Math.min(code, CODE_MAX))]).value++;
  }
  webhookFailOpen(name: string, half: Half): void {
    this.#failOpens.at([name, half]).value++;
  }
  podSecurity(...labels: readonly string[]): void {
    this.#evaluations.at(labels).value++;
  }
  podSecurityExemption(...labels: readonly string[]): void {
    this.#exemptions.at(labels).value++;
  }
  podSecurityError(...labels: readonly string[]): void {
    this.#errors.at(labels).value++;
  }

  compiled(ms: number): void {
    this.#celCompilation.at([]).value.observe(ms / 1000);
  }
  evaluated(ms: number): void {
    this.#celEvaluation.at([]).value.observe(ms / 1000);
  }
  matchConditions(
    name: string,
    kind: "policy" | "webhook",
    half: Half,
    operation: Operation,
    result: { readonly matches: boolean } | { readonly error: string },
    ms: number,
  ): void {
    const labels = [name, kind, half, operation];
    this.evaluated(ms);
    this.#matchConditions.at(labels).value.observe(ms / 1000);
    if ("error" in result) this.#matchErrors.at(labels).value++;
    else if (!result.matches) this.#matchExclusions.at(labels).value++;
  }
  policyCheck(policy: string, binding: string, why: PolicyError, action: string, ms: number): void {
    const labels = [policy, binding, why, action];
    this.#policyChecks.at(labels).value++;
    this.#policySeconds.at(labels).value.observe(ms / 1000);
  }

  *#read(): Iterable<Reading> {
    for (const series of [
      this.#steps,
      this.#controllers,
      this.#webhooks,
      this.#requests,
      this.#rejections,
      this.#failOpens,
      this.#evaluations,
      this.#exemptions,
      this.#errors,
      this.#celCompilation,
      this.#celEvaluation,
      this.#matchConditions,
      this.#matchErrors,
      this.#matchExclusions,
      this.#policyChecks,
      this.#policySeconds,
    ])
      yield* series.readings();
  }
}
