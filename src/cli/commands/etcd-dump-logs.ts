/** `t8s etcd dump-logs DIR`: a member's log as text, with the flags and the output of upstream's etcd-dump-logs. */
import type { Host } from "../../world/host.ts";
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
    const streamDecoder = values["stream-decoder"];
    const walDir = values["wal-dir"];
    const startIndex = hasIndex ? values["start-index"] : undefined;
    if (values.raw) {
      if (values["start-snap"] !== "" || given.has("entry-type") || streamDecoder !== "")
        throw new CommandError("Flags --entry-type, --stream-decoder, --entrytype not supported in the RAW mode.");
      const { dumpRaw } = await import("../../etcd/tools/dump-raw.ts");
      const warn = (line: string) => err(`${line}\n`);
      const records = dumpRaw(world.fs, etcdCodec(), { walDir: walDir || `${dataDir}/member/wal`, startIndex, warn });
      for await (const piece of records) out(piece);
      return 0;
    }
    for (const name of entryType.split(","))
      if (name !== "" && ENTRY_TYPES[name] === undefined)
        err(
          `[${name}] is not a valid entry-type, ignored.\nPlease set entry-type to one or more of the following:\n${Object.keys(ENTRY_TYPES).join(", ")}\n`,
        );
    const decoder = streamDecoder === "" ? undefined : startDecoder(world.host, streamDecoder);
    const text = dumpLogs(world.fs, etcdCodec(), {
      dataDir,
      walDir,
      startIndex,
      startSnap: values["start-snap"],
      entryType,
      ...(decoder !== undefined && { decoder: decoder.decode }),
    });
    for await (const piece of text) out(piece);
    if (decoder === undefined) return 0;
    const { code, said } = await decoder.end();
    if (said !== "") err(`decoder stderr: ${said}`);
    return code;
  },
});

/** A program of the user's, which answers each line that it reads by one. */
function startDecoder(host: Host, command: string) {
  // Through `cat`, because a child's own stdin is a socket, and scripts that open /dev/stdin want a pipe.
  const child = host.spawn("/bin/sh", ["-c", 'cat | "$0" "$@"', ...command.split(" ")]);
  const lines = linesOf(child.stdout!);
  const said = textOf(child.stderr!);
  return {
    async decode(hex: string): Promise<string> {
      await child.write(Buffer.from(`${hex}\n`));
      const { value, done } = await lines.next();
      if (done === true) throw new CommandError("EOF");
      return value;
    },
    async end() {
      child.closeStdin();
      const { code } = await child.exited;
      return { code, said: await said };
    },
  };
}

async function* linesOf(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string, undefined> {
  let rest = "";
  for await (const chunk of chunks) {
    const lines = (rest + Buffer.from(chunk).toString()).split("\n");
    rest = lines.pop()!;
    yield* lines;
  }
  return undefined;
}

async function textOf(chunks: AsyncIterable<Uint8Array>): Promise<string> {
  let text = "";
  for await (const chunk of chunks) text += Buffer.from(chunk).toString();
  return text;
}
