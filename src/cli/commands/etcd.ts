/** `t8s etcd`: one member, alone in its process. */
import { ComponentGroup } from "../../base/component-group.ts";
import { createEtcd } from "../../etcd/server.ts";
import type { Logger } from "../../observe/log.ts";
import { Metrics } from "../../observe/metrics.ts";
import type { ServerTls } from "../../world/net.ts";
import type { World } from "../../world/world.ts";
import type { Values } from "../flags.ts";
import { CommandError, defineCommand } from "../command.ts";
import { etcdFlags } from "../flags/etcd.ts";

export const etcd = defineCommand({
  name: "etcd",
  usage: "[flags]",
  about: "Run one etcd member alone, with upstream's flags, ports and files.",
  flags: etcdFlags,
  async run({ world, signal, logger }, values, positional) {
    if (positional.length > 0) throw new CommandError(`'${positional[0]}' is not a valid flag`);
    const format = values["log-format"] === "console" ? "text" : "json";
    const verbosity = values["log-level"] === "debug" ? 4 : 0;
    await etcdCommand(world, { ...values, log: logger({ verbosity, format }) }, signal);
    return 0;
  },
});

export async function etcdCommand(
  world: World,
  options: Values<typeof etcdFlags> & { readonly log: Logger },
  signal: AbortSignal,
): Promise<void> {
  const clientTls = await clientTlsOf(world, options);
  const etcd = createEtcd(
    {
      name: options.name,
      dataDir: options["data-dir"] || `${options.name}.etcd`,
      walDir: options["wal-dir"],
      listenClientUrls: options["listen-client-urls"],
      advertiseClientUrls: options["advertise-client-urls"],
      initialAdvertisePeerUrls: options["initial-advertise-peer-urls"],
      initialClusterToken: options["initial-cluster-token"],
      snapshotCount: options["snapshot-count"],
      heartbeatIntervalMs: options["heartbeat-interval"],
      electionTimeoutMs: options["election-timeout"],
      quotaBackendBytes: options["quota-backend-bytes"] || 2 * 1024 ** 3,
      maxTxnOps: options["max-txn-ops"],
      maxRequestBytes: options["max-request-bytes"],
      watchProgressNotifyIntervalMs: options["watch-progress-notify-interval"],
      compactionBatchLimit: options["compaction-batch-limit"],
      ...(clientTls && { clientTls }),
    },
    { ...world, log: options.log, metrics: new Metrics() },
  );
  await using group = new ComponentGroup();
  await group.start(etcd);
  await group.wait(signal);
}

async function clientTlsOf({ fs }: World, options: Values<typeof etcdFlags>): Promise<ServerTls | undefined> {
  if (options["cert-file"] === "" || options["key-file"] === "") return undefined;
  const read = async (path: string) => Buffer.from(await fs.readFile(path)).toString();
  return {
    cert: await read(options["cert-file"]),
    key: await read(options["key-file"]),
    ...(options["trusted-ca-file"] !== "" && { clientCa: await read(options["trusted-ca-file"]) }),
    requireClientCert: options["client-cert-auth"],
  };
}
