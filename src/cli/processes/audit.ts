/** Turns the audit flags into the options of a server. Upstream: staging/src/k8s.io/apiserver/pkg/server/options/audit.go */
import type { AuditOptions } from "../../apiserver/audit/auditor.ts";
import type { Mode } from "../../apiserver/audit/backends.ts";
import { parsePolicy } from "../../apiserver/audit/policy.ts";
import type { ReviewTarget } from "../../apiserver/review-client.ts";
import type { Fs } from "../../world/fs.ts";
import { CommandError } from "../command.ts";
import type { Values } from "../flags.ts";
import type { auditFlags } from "../flags/audit.ts";
import { targetOf } from "./access.ts";
import { readText } from "./files.ts";

type Options = Values<typeof auditFlags>;
const MODES: readonly string[] = ["batch", "blocking", "blocking-strict"];
const PLUGINS = ["log", "webhook"] as const;

/** Undefined where nothing is to be audited; throws what is wrong with the flags, in upstream's words. */
export async function auditOf(
  fs: Fs,
  values: Options,
  stdout: (text: string) => void,
  warn: (what: string) => void,
): Promise<AuditOptions | undefined> {
  const errors = checkAudit(values);
  if (errors.length > 0) throw new CommandError(errors.length === 1 ? errors[0]! : `[${errors.join(", ")}]`);
  const file = values["audit-policy-file"];
  if (file === "") return undefined;
  let policy;
  try {
    policy = parsePolicy(await readText(fs, file), warn);
  } catch (error) {
    throw new CommandError(`loading audit policy file: ${(error as Error).message}: from file ${file}`);
  }
  const path = values["audit-log-path"];
  const config = values["audit-webhook-config-file"];
  return {
    policy,
    ...(path !== "" && {
      log: {
        to:
          path === "-"
            ? stdout
            : {
                path,
                maxAgeDays: values["audit-log-maxage"],
                maxBackups: values["audit-log-maxbackup"],
                maxBytes: values["audit-log-maxsize"] * 1024 * 1024,
                compress: values["audit-log-compress"],
              },
        format: values["audit-log-format"] as "json" | "legacy",
        ...common(values, "log"),
      },
    }),
    ...(config !== "" && {
      webhook: {
        target: await webhookTarget(fs, config),
        firstWaitMs:
          values["audit-webhook-initial-backoff"] === 10_000
            ? values["audit-webhook-batch-initial-backoff"]
            : values["audit-webhook-initial-backoff"],
        ...common(values, "webhook"),
      },
    }),
  };
}

function common(values: Options, plugin: (typeof PLUGINS)[number]) {
  return {
    mode: values[`audit-${plugin}-mode`] as Mode,
    batch: {
      bufferSize: values[`audit-${plugin}-batch-buffer-size`],
      maxSize: values[`audit-${plugin}-batch-max-size`],
      maxWaitMs: values[`audit-${plugin}-batch-max-wait`],
      ...(values[`audit-${plugin}-batch-throttle-enable`] && {
        throttle: {
          qps: values[`audit-${plugin}-batch-throttle-qps`],
          burst: values[`audit-${plugin}-batch-throttle-burst`],
        },
      }),
    },
    ...(values[`audit-${plugin}-truncate-enabled`] && {
      truncate: {
        maxBatchSize: values[`audit-${plugin}-truncate-max-batch-size`],
        maxEventSize: values[`audit-${plugin}-truncate-max-event-size`],
      },
    }),
  };
}

function checkAudit(values: Options): string[] {
  const errors: string[] = [];
  for (const plugin of PLUGINS) {
    if (values[plugin === "log" ? "audit-log-path" : "audit-webhook-config-file"] === "") continue;
    errors.push(...checkBatch(values, plugin));
    const event = values[`audit-${plugin}-truncate-max-event-size`];
    const batch = values[`audit-${plugin}-truncate-max-batch-size`];
    if (event <= 0) errors.push(`invalid audit truncate ${plugin} max event size ${event}, must be a positive number`);
    else if (batch < event)
      errors.push(
        `invalid audit truncate ${plugin} max batch size ${batch}, must be greater than max event size (${event})`,
      );
    if (values[`audit-${plugin}-version`] !== "audit.k8s.io/v1")
      errors.push('invalid group version, allowed versions are [{"audit.k8s.io" "v1"}]');
    if (plugin === "webhook") continue;
    const format = values["audit-log-format"];
    if (format !== "json" && format !== "legacy")
      errors.push(`invalid audit log format ${format}, allowed formats are ["legacy" "json"]`);
    for (const flag of ["audit-log-maxage", "audit-log-maxbackup", "audit-log-maxsize"] as const)
      if (values[flag] < 0) errors.push(`--${flag} ${values[flag]} can't be a negative number`);
  }
  return errors;
}

function checkBatch(values: Options, plugin: (typeof PLUGINS)[number]): string[] {
  const mode = values[`audit-${plugin}-mode`];
  if (!MODES.includes(mode))
    return [`invalid audit ${plugin} mode ${mode}, allowed modes are ${JSON.stringify(MODES.join(","))}`];
  if (mode !== "batch") return [];
  const positive = (what: string, value: number) =>
    value > 0 ? [] : [`invalid audit batch ${plugin} ${what} ${value}, must be a positive number`];
  return [
    ...positive("buffer size", values[`audit-${plugin}-batch-buffer-size`]),
    ...positive("max batch size", values[`audit-${plugin}-batch-max-size`]),
    ...(values[`audit-${plugin}-batch-throttle-enable`]
      ? [
          ...positive("throttle QPS", values[`audit-${plugin}-batch-throttle-qps`]),
          ...positive("throttle burst", values[`audit-${plugin}-batch-throttle-burst`]),
        ]
      : []),
  ].slice(0, 1);
}

async function webhookTarget(fs: Fs, path: string): Promise<ReviewTarget> {
  try {
    return await targetOf(fs, path);
  } catch (error) {
    throw new CommandError(`initializing audit webhook: ${(error as Error).message}`);
  }
}
