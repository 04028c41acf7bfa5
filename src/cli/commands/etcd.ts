/** `t8s etcd` and `bin/etcd`: one member in a process of its own. */
import { ComponentGroup } from "../../base/component-group.ts";
import { deferred } from "../../base/deferred.ts";
import { CommandError, defineCommand } from "../command.ts";
import type { Flags } from "../flags.ts";
import { etcdFlags } from "../flags/etcd.ts";
import { refuse } from "../processes/process.ts";
import { ETCD_VERSION, goArch } from "../version.ts";

export const etcd = defineCommand({
  name: "etcd",
  program: "etcd",
  version: `etcd Version: ${ETCD_VERSION}\nGit SHA: t8s\nGo Version: none (Node ${process.version})\nGo OS/Arch: ${process.platform}/${goArch(process.arch)}`,
  usage: "[flags]",
  about: "Run one etcd member alone, with upstream's flags, ports and files.",
  flags: etcdFlags,
  diesBySignal: true,
  async run({ world, signal }, _, positional, fromFlags) {
    if (positional.length > 0) throw new CommandError(`'${positional[0]}' is not a valid flag`);
    const { etcdLog, etcdMember, etcdOptions } = await import("../processes/etcd.ts");
    const { etcdFailpoints } = await import("../processes/etcd-failpoints.ts");
    const parsed = await etcdOptions(world, fromFlags);
    const { values } = parsed;
    refuse(etcdFlags, parsed);
    const log = etcdLog(world, values);
    log.info("Running: ", { args: process.argv.slice(1) });
    for (const name of parsed.unknown) log.warn("unrecognized environment variable", { "environment-variable": name });
    for (const flag of parsed.ignored) {
      const why = (etcdFlags as Flags)[flag]?.ignored;
      log.warn("A flag has no effect here", { flag: `--${flag}`, ...(typeof why === "string" && { reason: why }) });
    }
    const failpoints = etcdFailpoints(world);
    await using group = new ComponentGroup();
    if (failpoints?.server !== undefined) await group.start(failpoints.server);
    const member = await etcdMember(world, values, log, failpoints?.points.points);
    const ended = deferred();
    await group.start({
      name: member.name,
      async run(stop, ready) {
        await member.run(stop, ready);
        // A member that the cluster has removed ends by itself, in order.
        ended.resolve();
        ready();
      },
    });
    await Promise.race([group.wait(signal), ended.promise]);
    if (signal.aborted) log.info("received signal; shutting down");
    return 0;
  },
});
