/** `t8s etcd`, and `bin/etcd`: one member, alone in its process. */
import { ComponentGroup } from "../../base/component-group.ts";
import { CommandError, defineCommand } from "../command.ts";
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
  async run({ world, signal, logger }, _, positional, fromFlags) {
    if (positional.length > 0) throw new CommandError(`'${positional[0]}' is not a valid flag`);
    const { etcdMember, etcdOptions } = await import("../processes/etcd.ts");
    const parsed = await etcdOptions(world, fromFlags);
    const { values } = parsed;
    refuse(etcdFlags, parsed);
    const format = values["log-format"] === "console" ? "text" : "json";
    const log = logger({ verbosity: values["log-level"] === "debug" ? 4 : 0, format }).with({ component: "etcd" });
    for (const flag of parsed.ignored) log.info("A flag has no effect here", { flag: `--${flag}` });
    await using group = new ComponentGroup();
    await group.start(await etcdMember(world, values, log));
    await group.wait(signal);
    return 0;
  },
});
