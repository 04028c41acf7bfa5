/**
 * Replaces a set of files atomically: a new time-stamped folder, then one rename of the `..data` link through which all visible names resolve. A
 * container sees the old set or the new one, never a mix.
 * Upstream: pkg/volume/util/atomic_writer.go
 */
import type { World } from "../../world/world.ts";

export interface ProjectedFile {
  readonly data: Uint8Array;
  readonly mode: number;
  readonly uid?: number | undefined;
}
export type Payload = ReadonlyMap<string, ProjectedFile>;

const DATA = "..data";

export function validatePath(path: string): void {
  if (path === "") throw new Error("invalid path: must not be empty: ");
  if (path.startsWith("/")) throw new Error(`invalid path: must be relative path: ${path}`);
  if (path.length > 4096) throw new Error(`invalid path: must be less than or equal to 4096 characters`);
  const parts = path.split("/");
  if (parts.includes("..")) throw new Error(`invalid path: must not contain '..': ${path}`);
  if (parts[0]!.startsWith("..")) throw new Error(`invalid path: must not start with '..': ${path}`);
  if (parts.some((part) => part.length > 255))
    throw new Error("invalid path: filenames must be less than or equal to 255 characters");
}

/** False when the folder shows that payload already. */
export async function writeAtomically(
  world: Pick<World, "fs" | "clock" | "random">,
  dir: string,
  payload: Payload,
  ownership: (dir: string) => Promise<void> = async () => {},
): Promise<boolean> {
  const { fs } = world;
  for (const path of payload.keys()) validatePath(path);
  const oldName = (await fs.lstat(`${dir}/${DATA}`)) === undefined ? undefined : await fs.readlink(`${dir}/${DATA}`);
  const oldPaths = oldName === undefined ? [] : await filesUnder(fs, `${dir}/${oldName}`, "");
  if (oldName !== undefined && (await isSame(fs, `${dir}/${oldName}`, oldPaths, payload))) return false;

  const stamp = new Date(world.clock.now()).toISOString().slice(0, 19).replace(/[-:T]/g, "_");
  const newName = `..${stamp}.${Math.floor(world.random.next() * 1e10)}`;
  const newDir = `${dir}/${newName}`;
  await fs.mkdir(newDir);
  await fs.chmod(newDir, 0o755);
  for (const [path, file] of payload) {
    const slash = path.lastIndexOf("/");
    if (slash > 0) await fs.mkdir(`${newDir}/${path.slice(0, slash)}`, { recursive: true });
    await fs.writeFile(`${newDir}/${path}`, file.data, { mode: file.mode });
    await fs.chmod(`${newDir}/${path}`, file.mode); // The umask does not apply to volumes.
    if (file.uid !== undefined) await fs.chown(`${newDir}/${path}`, file.uid, -1);
  }
  await ownership(dir);
  const link = `${dir}/${DATA}`;
  await fs.remove(`${link}_tmp`);
  await fs.symlink(newName, `${link}_tmp`);
  await fs.rename(`${link}_tmp`, link);

  const visible = new Set([...payload.keys()].map((path) => path.split("/")[0]!));
  for (const name of visible)
    if ((await fs.lstat(`${dir}/${name}`)) === undefined) await fs.symlink(`${DATA}/${name}`, `${dir}/${name}`);
  for (const path of oldPaths) {
    const name = path.split("/")[0]!;
    if (!visible.has(name)) await fs.remove(`${dir}/${name}`);
  }
  if (oldName !== undefined) await fs.remove(`${dir}/${oldName}`);
  return true;
}

async function isSame(fs: World["fs"], dir: string, paths: readonly string[], payload: Payload): Promise<boolean> {
  if (paths.length !== payload.size) return false;
  for (const path of paths) {
    const wanted = payload.get(path);
    if (wanted === undefined) return false;
    if (Buffer.compare(Buffer.from(await fs.readFile(`${dir}/${path}`)), Buffer.from(wanted.data)) !== 0) return false;
  }
  return true;
}

async function filesUnder(fs: World["fs"], root: string, below: string): Promise<readonly string[]> {
  const files: string[] = [];
  for (const name of await fs.list(below === "" ? root : `${root}/${below}`)) {
    const path = below === "" ? name : `${below}/${name}`;
    if ((await fs.lstat(`${root}/${path}`))?.kind === "dir") files.push(...(await filesUnder(fs, root, path)));
    else files.push(path);
  }
  return files;
}
