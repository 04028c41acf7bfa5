/** A path of the node itself. Upstream: pkg/volume/hostpath */
import type { VolumeKind } from "./volume.ts";

const WANTED: Readonly<Record<string, readonly [kind: string, words: string]>> = {
  Directory: ["dir", "a directory"],
  DirectoryOrCreate: ["dir", "a directory"],
  File: ["file", "a file"],
  FileOrCreate: ["file", "a file"],
  Socket: ["socket", "a socket file"],
  CharDevice: ["char", "a character device"],
  BlockDevice: ["block", "a block device"],
};

export const hostPath: VolumeKind = {
  field: "hostPath",
  plugin: "kubernetes.io~host-path",
  refreshes: false,
  async setUp(context, _pod, volume) {
    const { path = "", type = "" } = volume.hostPath ?? {};
    if (type === "" || !context.writesFiles) return path;
    const { fs } = context.world;
    const [kind, words] = WANTED[type] ?? ["", `of type ${type}`];
    let found = await fs.stat(path);
    if (found === undefined && type === "DirectoryOrCreate") await fs.mkdir(path, { recursive: true, mode: 0o755 });
    if (found === undefined && type === "FileOrCreate") await fs.writeFile(path, "", { mode: 0o644 });
    found ??= await fs.stat(path);
    if (found?.kind !== kind) throw new Error(`hostPath type check failed: ${path} is not ${words}`);
    return path;
  },
};
