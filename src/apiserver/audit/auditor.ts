/** The audit of a server: its policy and its backends, as the flags configure them. Upstream: pkg/server/options/audit.go */
import type { Logger } from "../../observe/log.ts";
import type { Metrics } from "../../observe/metrics.ts";
import type { World } from "../../world/world.ts";
import type { UserInfo } from "../authn/user.ts";
import type { RequestInfo } from "../request-info.ts";
import type { ReviewTarget } from "../review-client.ts";
import { reviewClient } from "../review-client.ts";
import type { Backend, BatchOptions, Mode, TruncateOptions } from "./backends.ts";
import { logBackend, truncating, union, webhookBackend, withMode } from "./backends.ts";
import type { AuditEvent } from "./event.ts";
import type { LogFileOptions } from "./log-file.ts";
import { LogFile } from "./log-file.ts";
import { auditErrors, auditEvents, auditLevels, auditRejected } from "./metrics.ts";
import type { Policy, Verdict } from "./policy.ts";
import { evaluator } from "./policy.ts";

export interface AuditOptions {
  readonly policy: Policy;
  readonly log?: {
    /** A file, or what takes the lines. */
    readonly to: LogFileOptions | ((line: string) => void);
    readonly format: "json" | "legacy";
    readonly mode: Mode;
    readonly batch: BatchOptions;
    readonly truncate?: TruncateOptions;
  };
  readonly webhook?: {
    readonly target: ReviewTarget;
    readonly firstWaitMs: number;
    readonly mode: Mode;
    readonly batch: BatchOptions;
    readonly truncate?: TruncateOptions;
  };
}

export interface AuditDeps extends Pick<World, "clock" | "random" | "net" | "fs"> {
  readonly log: Logger;
  readonly metrics: Metrics;
}

export class Auditor {
  readonly #metrics: Metrics;
  readonly #evaluate: (info: RequestInfo, user: UserInfo | undefined) => Verdict;
  readonly #options: AuditOptions;
  readonly #deps: AuditDeps;
  #backend: Backend | undefined;

  constructor(options: AuditOptions, deps: AuditDeps) {
    this.#options = options;
    this.#deps = deps;
    this.#metrics = deps.metrics;
    this.#evaluate = evaluator(options.policy);
    deps.metrics.declare(auditEvents, auditErrors, auditLevels, auditRejected);
  }

  /** Opens the files: nothing is audited before. */
  async open(): Promise<void> {
    const { log, webhook } = this.#options;
    const backends: Backend[] = [];
    if (log !== undefined) {
      const { to } = log;
      const out = typeof to === "function" ? { write: to, close: async () => {} } : await LogFile.open(to, this.#deps);
      backends.push(
        wrapped(
          this.#deps,
          withMode(this.#deps, logBackend(this.#deps, out, log.format), log.mode, log.batch),
          log.truncate,
        ),
      );
    }
    if (webhook !== undefined) {
      const client = reviewClient(webhook.target, this.#deps, undefined, {
        firstWaitMs: webhook.firstWaitMs,
        always: true,
      });
      const backend = withMode(this.#deps, webhookBackend(this.#deps, client), webhook.mode, webhook.batch);
      backends.push(wrapped(this.#deps, backend, webhook.truncate));
    }
    if (backends.length > 0) this.#backend = union(backends);
  }

  async close(): Promise<void> {
    const backend = this.#backend;
    this.#backend = undefined;
    await backend?.close();
  }

  verdict(info: RequestInfo, user: UserInfo | undefined): Verdict {
    const verdict = this.#evaluate(info, user);
    this.#metrics.add(auditLevels, { level: verdict.level });
    return verdict;
  }

  process(event: AuditEvent): boolean | Promise<boolean> {
    this.#metrics.add(auditEvents, {});
    return this.#backend?.process([event]) ?? true;
  }

  rejected(): void {
    this.#metrics.add(auditRejected, {});
  }
}

const wrapped = (deps: AuditDeps, backend: Backend, truncate: TruncateOptions | undefined): Backend =>
  truncate === undefined ? backend : truncating(deps, backend, truncate);
