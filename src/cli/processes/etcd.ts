/** Turns the flags of `etcd` into a member. Upstream: server/embed/config.go, server/etcdmain */
import type { Component } from "../../base/component-group.ts";
import { parseAutoCompaction } from "../../etcd/auto-compaction.ts";
import type { Failpoints } from "../../etcd/failpoints.ts";
import { featuresOf } from "../../etcd/features.ts";
import { createEtcd } from "../../etcd/server.ts";
import type { Logger } from "../../observe/log.ts";
import { createZapLogger, ZAP_LEVELS, type ZapLevel } from "../../observe/zap.ts";
import type { File, Fs } from "../../world/fs.ts";
import type { World } from "../../world/world.ts";
import { CommandError } from "../command.ts";
import { parseDuration, type Parsed, parseFlags, type Values } from "../flags.ts";
import { etcdFlags } from "../flags/etcd.ts";
import { logWriter, parseRotation } from "./log-outputs.ts";
import { processMetrics } from "./process-metrics.ts";
import { securityOptions } from "./etcd-security.ts";
import { clusteringOf } from "./etcd-clustering.ts";
import { readText } from "./files.ts";

type Options = Values<typeof etcdFlags>;

export interface EtcdParsed extends Parsed<typeof etcdFlags> {
  /** Variables that look as if they were meant for etcd, and name no flag. */
  readonly unknown: readonly string[];
}

/** Lines in zap's form, where the flags say. */
export function etcdLog({ clock }: Pick<World, "clock">, options: Options): Logger {
  const { "log-level": level, "log-format": format, "log-outputs": outputs } = options;
  if (!(ZAP_LEVELS as readonly string[]).includes(level))
    throw new CommandError(`unrecognized level: ${JSON.stringify(level)}`);
  if (format !== "json" && format !== "console")
    throw new CommandError(`unknown log format: ${format}, supported values json, console`);
  const rotation = options["enable-log-rotation"] ? parseRotation(options["log-rotation-config-json"]) : undefined;
  return createZapLogger({ clock, format, level: level as ZapLevel, write: logWriter(clock, outputs, rotation) });
}

/** Flags, and what stands in their place: a configuration file alone, or else `ETCD_*` variables for those that are not set. */
export async function etcdOptions(
  { fs, host }: Pick<World, "fs" | "host">,
  parsed: Parsed<typeof etcdFlags>,
): Promise<EtcdParsed> {
  const variable = (name: string) => `ETCD_${name.toUpperCase().replaceAll("-", "_")}`;
  const configFile = parsed.values["config-file"] || host.environment[variable("config-file")] || "";
  if (configFile !== "") {
    const { parse } = await import("yaml"); // Most members are told by flags, and wait for nothing they don't use.
    return { ...parseFlags(etcdFlags, wordsOf(parse(await readText(fs, configFile)), configFile)), unknown: [] };
  }
  const known = new Set([...Object.keys(etcdFlags).map(variable), "ETCD_VERIFY"]);
  const unknown = Object.keys(host.environment).filter((name) => name.startsWith("ETCD_") && !known.has(name));
  const words: string[] = [];
  for (const name of Object.keys(etcdFlags)) {
    const value = host.environment[variable(name)];
    if (value === undefined || value === "") continue;
    if (parsed.set.has(name))
      throw new CommandError(
        `conflicting environment variable ${JSON.stringify(variable(name))} is shadowed by corresponding command-line flag (either unset environment variable or disable flag)`,
      );
    words.push(`--${name}=${value}`);
  }
  if (words.length === 0) return { ...parsed, unknown };
  const fromEnvironment = parseFlags(etcdFlags, words);
  const set = new Set([...parsed.set, ...fromEnvironment.set]);
  const values = { ...parsed.values } as Record<string, unknown>;
  for (const name of fromEnvironment.set) values[name] = fromEnvironment.values[name as keyof Options];
  return {
    ...parsed,
    unknown,
    set,
    values: values as Options,
    ignored: [...parsed.ignored, ...fromEnvironment.ignored],
  };
}

/** A section's names are the flags' without what tells clients from peers; upstream tells them apart by no rule. */
function inSection(section: unknown, whose: "client" | "peer"): unknown {
  if (typeof section !== "object" || section === null) return section;
  return Object.fromEntries(
    Object.entries(section).map(([name, value]) => {
      if (name === "allowed-cn" || name === "allowed-hostname") return [`${whose}-cert-${name}`, value];
      if (name === "skip-client-san-verification") return [`peer-${name}`, whose === "peer" ? value : null];
      return [whose === "peer" ? `peer-${name}` : name, value];
    }),
  );
}

/** The file has the flags' names as keys; securities stand in a section each, and durations may be nanoseconds. */
function wordsOf(document: unknown, path: string): string[] {
  if (typeof document !== "object" || document === null || Array.isArray(document))
    throw new CommandError(`${path}: a configuration file is a YAML mapping`);
  return Object.entries(document).flatMap(([name, value]): string[] => {
    if (value === null || value === undefined) return [];
    if (name === "client-transport-security") return wordsOf(inSection(value, "client"), path);
    if (name === "peer-transport-security") return wordsOf(inSection(value, "peer"), path);
    if (!(name in etcdFlags)) return [];
    const flag = etcdFlags[name as keyof Options];
    const text = flag.type === "duration" && typeof value === "number" ? `${value}ns` : String(value);
    return [`--${name}=${text}`];
  });
}

export async function etcdMember(
  world: World,
  options: Options,
  log: Logger,
  failpoints?: Failpoints,
): Promise<Component> {
  check(options);
  const dataDir = options["data-dir"] || `${options.name}.etcd`;
  const listenClientUrls = options["listen-client-urls"];
  const security = await securityOptions(
    world,
    options,
    { dataDir, listenClientUrls, listenPeerUrls: options["listen-peer-urls"] },
    log,
  );
  return createEtcd(
    {
      name: options.name,
      dataDir,
      walDir: options["wal-dir"],
      listenClientUrls,
      advertiseClientUrls: options["advertise-client-urls"],
      ...(await clusteringOf(world, options)),
      snapshotCount: options["snapshot-count"],
      heartbeatIntervalMs: options["heartbeat-interval"],
      electionTimeoutMs: options["election-timeout"],
      quotaBackendBytes: options["quota-backend-bytes"] || 2 * 1024 ** 3,
      enableV2: options["enable-v2"],
      maxTxnOps: options["max-txn-ops"],
      maxRequestBytes: options["max-request-bytes"],
      watchProgressNotifyIntervalMs: options["watch-progress-notify-interval"],
      compactionBatchLimit: options["compaction-batch-limit"],
      ...operationOf(options),
      verify: ["all", "assert"].includes(world.host.environment["ETCD_VERIFY"] ?? ""),
      ...security,
    },
    {
      ...world,
      fs: options["unsafe-no-fsync"] ? withoutSync(world.fs) : world.fs,
      log,
      metrics: processMetrics(world),
      commandLine: process.argv.slice(1),
      ...(failpoints && { failpoints }),
    },
  );
}

/** How the member is watched and looked after. */
function operationOf(options: Options) {
  if (options.metrics !== "basic" && options.metrics !== "extensive")
    throw new CommandError(`unknown metrics level: ${JSON.stringify(options.metrics)}`);
  if (options.logger !== "zap") throw new CommandError(`unknown logger option ${JSON.stringify(options.logger)}`);
  const autoCompaction = attempt(() =>
    parseAutoCompaction(options["auto-compaction-mode"], options["auto-compaction-retention"], parseDuration),
  );
  return {
    listenMetricsUrls: options["listen-metrics-urls"],
    listenClientHttpUrls: options["listen-client-http-urls"],
    http2: {
      // More than there is memory for means that there is no limit but the protocol's own.
      ...(options["max-concurrent-streams"] < 2 ** 31 && { maxConcurrentStreams: options["max-concurrent-streams"] }),
      pingAfterMs: options["grpc-keepalive-interval"],
      pingTimeoutMs: options["grpc-keepalive-timeout"],
      minPingIntervalMs: options["grpc-keepalive-min-time"],
    },
    backendBatchIntervalMs: options["backend-batch-interval"] || 100,
    backendBatchLimit: options["backend-batch-limit"] || 10_000,
    compactionSleepIntervalMs: options["compaction-sleep-interval"],
    corruptCheckTimeMs: options["corrupt-check-time"],
    compactHashCheckTimeMs: options["compact-hash-check-time"],
    bootstrapDefragThresholdMegabytes: options["bootstrap-defrag-threshold-megabytes"],
    metrics: options.metrics,
    enableGrpcGateway: options["enable-grpc-gateway"],
    enablePprof: options["enable-pprof"],
    cors: options.cors,
    hostWhitelist: options["host-whitelist"],
    logEveryRequest: options["log-level"] === "debug",
    warningApplyDurationMs: options["warning-apply-duration"],
    warningUnaryRequestDurationMs: options["warning-unary-request-duration"],
    features: attempt(() => featuresOf(options["feature-gates"])),
    ...(autoCompaction && { autoCompaction }),
  } as const;
}

function attempt<T>(run: () => T): T {
  try {
    return run();
  } catch (cause) {
    throw new CommandError((cause as Error).message, { cause });
  }
}

function check(options: Options): void {
  if (5 * options["heartbeat-interval"] > options["election-timeout"])
    throw new CommandError(
      `--election-timeout[${options["election-timeout"]}ms] should be at least as 5 times as --heartbeat-interval[${options["heartbeat-interval"]}ms]`,
    );
  if (options["election-timeout"] > 50_000)
    throw new CommandError(
      `--election-timeout[${options["election-timeout"]}ms] is too long, and should be set less than 50000ms`,
    );
}

/** The same files, nothing waited for: what was written is lost when the machine stops, not when the process does. */
function withoutSync(fs: Fs): Fs {
  const relaxed = (file: File): File => ({
    read: (position, length) => file.read(position, length),
    write: (position, chunks) => file.write(position, chunks),
    readSync: (position, length) => file.readSync(position, length),
    writeSync: (position, chunks) => file.writeSync(position, chunks),
    sync: async () => {},
    syncSync() {},
    truncate: (length) => file.truncate(length),
    size: () => file.size(),
    close: () => file.close(),
    [Symbol.asyncDispose]: () => file[Symbol.asyncDispose](),
  });
  return new Proxy(fs, {
    get(target, name) {
      if (name === "syncDir") return async () => {};
      if (name === "open")
        return async (path: string, options: Parameters<Fs["open"]>[1]) =>
          relaxed(await target.open(path, { ...options, durable: false }));
      const member: unknown = Reflect.get(target, name);
      return typeof member === "function" ? member.bind(target) : member;
    },
  });
}
