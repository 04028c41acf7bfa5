/** `t8s etcd dump-logs DIR`: a member's log as text, with the flags and the output of upstream's etcd-dump-logs. */
import { CommandError, defineCommand } from "../command.ts";
import { etcdDumpLogsFlags } from "../flags/etcd-dump-logs.ts";

export const etcdDumpLogs = defineCommand({
  name: "etcd dump-logs",
  usage: "DATA-DIR",
  about: "Print a member's log as text: term, index, type and request of each entry.",
  flags: etcdDumpLogsFlags,
  async run({ world, out, err }, values, [word, ...folders], { set: given }) {
    const [dataDir] = word === "dump-logs" ? folders : [word];
    if (dataDir === undefined || folders.length > 1) throw new CommandError("Must provide data-dir argument");
    const hasIndex = given.has("start-index");
    if (values["start-snap"] !== "" && hasIndex)
      throw new CommandError("start-snap and start-index flags cannot be used together.");
    const [{ dumpLogs, ENTRY_TYPES }, { etcdCodec }] = await Promise.all([
      import("../../etcd/tools/dump-logs.ts"),
      import("../../protocols/etcd/connect.ts"),
    ]);
    const entryType = values["entry-type"];
    for (const name of entryType.split(","))
      if (name !== "" && ENTRY_TYPES[name] === undefined)
        err(
          `[${name}] is not a valid entry-type, ignored.\nPlease set entry-type to one or more of the following:\n${Object.keys(ENTRY_TYPES).join(", ")}\n`,
        );
    const text = dumpLogs(world.fs, etcdCodec(), {
      dataDir,
      walDir: values["wal-dir"],
      startIndex: hasIndex ? values["start-index"] : undefined,
      startSnap: values["start-snap"],
      entryType,
    });
    for await (const piece of text) out(piece);
    return 0;
  },
});
