/** `t8s etcd snapshot|hashkv|defrag …` and `bin/etcdutl`: offline work on etcd's files, with upstream's flags and output. */
import { CommandError, defineCommand, type CommandContext } from "../command.ts";
import { etcdutlFlags } from "../flags/etcdutl.ts";
import type { EtcdClient } from "../../protocols/etcd/client.ts";
import type { Values } from "../flags.ts";
import { ETCD_VERSION } from "../version.ts";

type Given = Values<typeof etcdutlFlags>;
/** A line of headers and of cells, or names and values as Go's JSON has them. */
interface Output {
  readonly table: readonly (readonly [header: string, cell: string])[];
  readonly fields: readonly (readonly [name: string, value: string | number])[];
  readonly json: object;
}

/** The words that make `t8s etcd` this command. */
export const ETCDUTL_WORDS: readonly string[] = ["snapshot", "hashkv", "defrag", "put"];

export const etcdutl = defineCommand({
  name: "etcdutl",
  program: "etcdutl",
  usage: "snapshot save|status|restore FILE | hashkv FILE | defrag --data-dir DIR | put KEY VALUE | version",
  about: "Look into, restore and tidy etcd's files.",
  flags: etcdutlFlags,
  async run(context, values, positional) {
    const [word, ...rest] = positional;
    switch (word) {
      case "snapshot":
        return snapshot(context, values, rest);
      case "hashkv":
        return hashkv(context, values, rest);
      case "defrag":
        return defrag(context, values);
      case "put":
        return put(context, values, rest);
      case "version":
        context.out(`etcdutl version: ${ETCD_VERSION}\nAPI version: ${ETCD_VERSION.replace(/\.\d+$/, "")}\n`);
        return 0;
      default:
        throw new CommandError(`unknown command ${JSON.stringify(word ?? "")} for "etcdutl"`);
    }
  },
});

async function snapshot(context: CommandContext, values: Given, [word, ...files]: readonly string[]): Promise<number> {
  if (word !== "save" && word !== "status" && word !== "restore")
    throw new CommandError(`unknown command ${JSON.stringify(word ?? "")} for "etcdutl snapshot"`);
  if (files.length !== 1) {
    context.err(`Error: snapshot ${word} requires exactly one argument\n`);
    return 128;
  }
  const [path] = files as [string];
  if (word === "save") return save(context, values, path);
  if (word === "restore") return restore(context, values, path);
  await mustExist(context, path);
  const { snapshotStatus } = await import("../../etcd/tools/status.ts");
  const { hash, revision, totalKey, totalSize, version } = await snapshotStatus(context.world.fs, path);
  return print(context, values, {
    table: [
      ["hash", hash.toString(16)],
      ["revision", String(revision)],
      ["total keys", String(totalKey)],
      ["total size", humanBytes(totalSize)],
      ["version", version],
    ],
    fields: [
      ["Hash", hash],
      ["Revision", revision],
      ["Keys", totalKey],
      ["Size", totalSize],
      ["Version", version],
    ],
    json: { hash, revision, totalKey, totalSize, version },
  });
}

async function save({ world, out }: CommandContext, values: Given, path: string): Promise<number> {
  if (values.endpoints.length !== 1)
    throw new CommandError(
      "snapshot must be requested to one selected node, not multiple [" + values.endpoints.join(" ") + "]",
    );
  const { saveSnapshot } = await import("../../etcd/tools/save.ts");
  await using client = await connect(world, values);
  const version = await saveSnapshot(world.fs, client, path);
  out(`Snapshot saved at ${path}\n`);
  if (version !== "") out(`Server version ${version}\n`);
  return 0;
}

/** Upstream's etcdctl puts as well, but can't say how many versions to keep. */
async function put({ world, out }: CommandContext, values: Given, words: readonly string[]): Promise<number> {
  if (words.length !== 2) throw new CommandError("put command needs 2 arguments: a key and a value");
  const [key, value] = words.map((word) => Buffer.from(word));
  const { keepVersions } = await import("../../protocols/etcd/client.ts");
  await using client = await connect(world, values);
  const versions = values["keep-versions"];
  await client.kv.Put({ key: key!, value: value! }, versions > 0 ? keepVersions(versions) : undefined);
  out("OK\n");
  return 0;
}

async function connect(world: CommandContext["world"], values: Given): Promise<EtcdClient & AsyncDisposable> {
  const { connectEtcd } = await import("../../protocols/etcd/connect.ts");
  const read = async (file: string) => Buffer.from(await world.fs.readFile(file)).toString();
  const hasTls = values.cacert !== "" || values.cert !== "" || values.endpoints.some((url) => url.startsWith("https:"));
  const endpoints = values.endpoints.map((url) =>
    url.includes("://") ? url : `${hasTls ? "https" : "http"}://${url}`,
  );
  const client = connectEtcd(world, {
    endpoints,
    ...(hasTls && {
      tls: {
        ...(values.cacert !== "" && { ca: await read(values.cacert) }),
        ...(values.cert !== "" && { cert: await read(values.cert), key: await read(values.key) }),
      },
    }),
  });
  return { ...client, [Symbol.asyncDispose]: () => client.close() };
}

async function restore(context: CommandContext, values: Given, path: string): Promise<number> {
  const bump = values["bump-revision"];
  if (bump > 0 !== values["mark-compacted"]) {
    context.err("Error: --mark-compacted required if --revision-bump > 0\n");
    return 128;
  }
  await mustExist(context, path);
  const { restoreSnapshot } = await import("../../etcd/tools/restore.ts");
  const log = context.logger({ verbosity: 0, format: "json" });
  await restoreSnapshot(
    context.world,
    {
      snapshot: path,
      name: values.name,
      dataDir: values["data-dir"] || `${values.name}.etcd`,
      walDir: values["wal-dir"],
      peerUrls: values["initial-advertise-peer-urls"],
      initialCluster: parseCluster(values["initial-cluster"]),
      initialClusterToken: values["initial-cluster-token"],
      skipHashCheck: values["skip-hash-check"],
      bumpRevision: bump,
    },
    log,
  );
  return 0;
}

/** `a=http://x,a=http://y,b=http://z`: a member may have several URLs. */
function parseCluster(text: string): { readonly name: string; readonly peerUrls: readonly string[] }[] {
  const members = new Map<string, string[]>();
  for (const part of text.split(",")) {
    const equals = part.indexOf("=");
    if (equals < 1) throw new CommandError(`empty URL given for ${JSON.stringify(part)}`);
    const name = part.slice(0, equals);
    members.set(name, [...(members.get(name) ?? []), part.slice(equals + 1)]);
  }
  return [...members].map(([name, peerUrls]) => ({ name, peerUrls }));
}

async function hashkv(context: CommandContext, values: Given, files: readonly string[]): Promise<number> {
  if (files.length !== 1) throw new CommandError(`accepts 1 arg(s), received ${files.length}`);
  const [path] = files as [string];
  await mustExist(context, path);
  const { offlineHash } = await import("../../etcd/tools/offline.ts");
  const { hash, hashRevision, compactRevision } = await offlineHash(context.world, path, values.rev);
  return print(context, values, {
    table: [
      ["hash", String(hash)],
      ["hash revision", String(hashRevision)],
      ["compact revision", String(compactRevision)],
    ],
    fields: [
      ["Hash", hash],
      ["Hash revision", hashRevision],
      ["Compact revision", compactRevision],
    ],
    json: { hash, hashRevision, compactRevision },
  });
}

async function defrag(context: CommandContext, values: Given): Promise<number> {
  const dataDir = values["data-dir"];
  if (dataDir === "") throw new CommandError('required flag(s) "data-dir" not set');
  const path = `${dataDir}/member/snap/db`;
  await mustExist(context, path);
  const [{ offlineDefragment }, { lockDataDir }] = await Promise.all([
    import("../../etcd/tools/offline.ts"),
    import("../../etcd/exclusive.ts"),
  ]);
  await using _lock = await lockDataDir(context.world, dataDir);
  const log = context.logger({ verbosity: 0, format: "json" });
  const { before, after } = await offlineDefragment(context.world, path);
  log.info("finished defragmenting directory", {
    path,
    "current-db-size-bytes-diff": after - before,
    "current-db-size-bytes": after,
  });
  return 0;
}

async function mustExist({ world }: CommandContext, path: string): Promise<void> {
  if ((await world.fs.stat(path)) === undefined) throw new CommandError(`stat ${path}: no such file or directory`);
}

function print({ out }: CommandContext, values: Given, { table, fields, json }: Output): number {
  switch (values["write-out"]) {
    case "simple":
      out(`${table.map(([, cell]) => cell).join(", ")}\n`);
      return 0;
    case "json":
      out(`${JSON.stringify(json)}\n`);
      return 0;
    case "fields":
      for (const [name, value] of fields) out(`"${name}" : ${value}\n`);
      return 0;
    case "table": {
      const widths = table.map(([header, cell]) => Math.max(header.length, cell.length));
      const line = `+${widths.map((width) => "-".repeat(width + 2)).join("+")}+\n`;
      const row = (cells: readonly string[]) => `| ${cells.join(" | ")} |\n`;
      const centred = table.map(([header], i) => centre(header.toUpperCase(), widths[i]!));
      // Numbers to the right, as upstream's table has them.
      const cells = table.map(([, cell], i) =>
        /^[0-9a-f. ]+( ?[kMG]?B)?$/.test(cell) && /^\d|B$/.test(cell) && i > 0
          ? cell.padStart(widths[i]!)
          : cell.padEnd(widths[i]!),
      );
      out(line + row(centred) + line + row(cells) + line);
      return 0;
    }
    case "protobuf":
      throw new CommandError("protobuf not supported as output format");
    default:
      throw new CommandError("unsupported output format");
  }
}

function centre(text: string, width: number): string {
  const left = Math.floor((width - text.length) / 2);
  return text.padStart(text.length + left).padEnd(width);
}

/** Upstream: dustin/go-humanize */
function humanBytes(bytes: number): string {
  if (bytes < 10) return `${bytes} B`;
  const units = ["B", "kB", "MB", "GB", "TB"];
  const power = Math.min(units.length - 1, Math.floor(Math.log(bytes) / Math.log(1000)));
  const value = Math.floor((bytes / 1000 ** power) * 10 + 0.5) / 10;
  // Go rounds a half to the even neighbour.
  const whole = value % 2 === 0.5 ? Math.floor(value) : Math.round(value);
  return `${value < 10 ? value.toFixed(1) : whole} ${units[power]}`;
}
