/**
 * Unpacked images of the process runtime: one folder for each chain of layers, and an index from names to folders. A name that was never loaded
 * stands for this machine's own files.
 */
import { createHash } from "node:crypto";
import { gunzipSync } from "node:zlib";
import type { World } from "../../../world/world.ts";

export interface UnpackedImage {
  /** `sha256:…` of the configuration. */
  readonly id: string;
  readonly names: readonly string[];
  readonly root: string;
  readonly sizeBytes: number;
  readonly config: {
    readonly Entrypoint?: readonly string[] | null;
    readonly Cmd?: readonly string[] | null;
    readonly Env?: readonly string[] | null;
    readonly WorkingDir?: string;
    readonly User?: string;
    readonly StopSignal?: string;
  };
}

type Files = Pick<World, "fs" | "host">;
const indexPath = (dir: string): string => `${dir}/index.json`;

/** `nginx` -> `docker.io/library/nginx:latest`. */
export function normalizeName(name: string): string {
  const [first = "", ...rest] = name.split("/");
  const hasRegistry = rest.length > 0 && (/[.:]/.test(first) || first === "localhost");
  const path = hasRegistry ? name : rest.length === 0 ? `docker.io/library/${name}` : `docker.io/${name}`;
  return path.includes("@") || /:[^/]*$/.test(path) ? path : `${path}:latest`;
}

export async function readImages({ fs }: Pick<World, "fs">, dir: string): Promise<readonly UnpackedImage[]> {
  if ((await fs.stat(indexPath(dir))) === undefined) return [];
  return JSON.parse(Buffer.from(await fs.readFile(indexPath(dir))).toString()) as UnpackedImage[];
}

export async function removeImage(world: Pick<World, "fs">, dir: string, id: string): Promise<void> {
  const images = await readImages(world, dir);
  await world.fs.writeFile(indexPath(dir), JSON.stringify(images.filter((image) => image.id !== id)), { atomic: true });
  await world.fs.remove(`${dir}/${id.replace("sha256:", "")}`);
}

interface Descriptor {
  readonly digest: string;
  readonly mediaType?: string;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly platform?: { readonly architecture: string; readonly os: string };
}
interface Manifest {
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
}

/** Loads an OCI archive, or one of `docker save`. Returns the names that it holds. */
export async function loadArchive(world: Files, dir: string, archive: string): Promise<readonly string[]> {
  const { fs } = world;
  const scratch = `${dir}/loading-${createHash("sha256").update(archive).digest("hex").slice(0, 8)}`;
  await fs.remove(scratch);
  await fs.mkdir(scratch, { recursive: true });
  try {
    await untar(world, archive, scratch);
    const json = async <T>(path: string): Promise<T> =>
      JSON.parse(Buffer.from(await fs.readFile(`${scratch}/${path}`)).toString()) as T;
    const blob = (digest: string) => `blobs/${digest.replace(":", "/")}`;
    const names: string[] = [];
    if ((await fs.stat(`${scratch}/index.json`)) !== undefined) {
      const index = await json<{ readonly manifests: readonly Descriptor[] }>("index.json");
      for (const entry of index.manifests) {
        const name =
          entry.annotations?.["io.containerd.image.name"] ?? entry.annotations?.["org.opencontainers.image.ref.name"];
        if (name === undefined) continue;
        let manifest = await json<Manifest & { readonly manifests?: readonly Descriptor[] }>(blob(entry.digest));
        const own = manifest.manifests?.find(
          ({ platform }) =>
            platform?.os === "linux" && platform.architecture === (world.host.arch === "arm64" ? "arm64" : "amd64"),
        );
        if (own !== undefined) manifest = await json<Manifest>(blob(own.digest));
        names.push(
          await add(
            world,
            dir,
            name,
            `${scratch}/${blob(manifest.config.digest)}`,
            manifest.layers.map(({ digest }) => `${scratch}/${blob(digest)}`),
          ),
        );
      }
    } else if ((await fs.stat(`${scratch}/manifest.json`)) !== undefined) {
      for (const { Config, RepoTags, Layers } of await json<
        readonly {
          readonly Config: string;
          readonly RepoTags: readonly string[] | null;
          readonly Layers: readonly string[];
        }[]
      >("manifest.json")) {
        for (const name of RepoTags ?? [])
          names.push(
            await add(
              world,
              dir,
              name,
              `${scratch}/${Config}`,
              Layers.map((layer) => `${scratch}/${layer}`),
            ),
          );
      }
    } else throw new Error(`${archive} is neither an OCI archive (index.json) nor a docker archive (manifest.json)`);
    return names;
  } finally {
    await fs.remove(scratch);
  }
}

async function add(
  world: Files,
  dir: string,
  givenName: string,
  configPath: string,
  layers: readonly string[],
): Promise<string> {
  const { fs } = world;
  const name = normalizeName(givenName);
  const bytes = await fs.readFile(configPath);
  const hash = createHash("sha256").update(bytes).digest("hex");
  const id = `sha256:${hash}`;
  const root = `${dir}/${hash}`;
  const images = await readImages(world, dir);
  let sizeBytes = images.find((image) => image.id === id)?.sizeBytes ?? 0;
  if ((await fs.stat(root)) === undefined) {
    const unpacked = `${root}.new`;
    await fs.remove(unpacked);
    await fs.mkdir(unpacked, { recursive: true });
    for (const layer of layers) {
      sizeBytes += (await fs.stat(layer))?.sizeBytes ?? 0;
      await untar(world, layer, unpacked);
      await applyWhiteouts(world, unpacked);
    }
    await fs.rename(unpacked, root);
  }
  const { config = {} } = JSON.parse(Buffer.from(bytes).toString()) as { readonly config?: UnpackedImage["config"] };
  const others = images
    .map((image) => ({ ...image, names: image.names.filter((other) => other !== name) }))
    .filter((image) => image.id !== id && image.names.length > 0);
  const before = images.find((image) => image.id === id)?.names ?? [];
  await fs.writeFile(
    indexPath(dir),
    JSON.stringify([...others, { id, names: [...new Set([...before, name])], root, sizeBytes, config }], null, 2),
    { atomic: true },
  );
  return name;
}

/** By the machine's tar: it knows every dialect. Layers may be compressed. */
async function untar({ fs, host }: Files, archive: string, into: string): Promise<void> {
  const file = await fs.open(archive, {});
  const head = await file.read(0, 2);
  await file.close();
  const options = ["-x", "-C", into, ...(host.uid === 0 ? ["--numeric-owner"] : ["--no-same-owner"])];
  const gzipped = head[0] === 0x1f && head[1] === 0x8b;
  const { code, stderr } = gzipped
    ? await host.exec("tar", [...options, "-f", "-"], { stdin: gunzipSync(await fs.readFile(archive)) })
    : await host.exec("tar", [...options, "-f", archive]);
  if (code !== 0) throw new Error(`tar: ${Buffer.from(stderr).toString().trim()}`);
}

/** `.wh.name` in a layer removes `name` of those below it. */
async function applyWhiteouts({ fs, host }: Files, root: string): Promise<void> {
  const { stdout } = await host.exec("find", [root, "-name", ".wh.*"]);
  for (const path of Buffer.from(stdout)
    .toString()
    .split("\n")
    .filter((line) => line !== "")) {
    const slash = path.lastIndexOf("/");
    const hidden = path.slice(slash + 5);
    if (hidden !== ".wh..opq") await fs.remove(`${path.slice(0, slash)}/${hidden}`);
    await fs.remove(path);
  }
}
