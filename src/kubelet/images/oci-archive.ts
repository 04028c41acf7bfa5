/** Images as OCI archives (the tar files that `ctr images import` and `t8s image load` read), built without a build tool: tar, sha256 and JSON. */
import { createHash } from "node:crypto";

export interface TarEntry {
  readonly path: string;
  readonly data?: Uint8Array;
  readonly mode?: number;
  readonly linkTo?: string;
  readonly dir?: boolean;
}

/** A ustar archive; entries in the given order, times zero, so that the same input gives the same bytes. */
export function tar(entries: readonly TarEntry[]): Uint8Array {
  const parts: Uint8Array[] = [];
  for (const { path, data = new Uint8Array(0), mode, linkTo, dir } of entries) {
    const header = Buffer.alloc(512);
    header.write(dir === true && !path.endsWith("/") ? `${path}/` : path, 0, 100);
    header.write(
      `${(mode ?? (linkTo !== undefined ? 0o777 : dir === true ? 0o755 : 0o644)).toString(8).padStart(7, "0")}\0`,
      100,
    );
    header.write("0000000\0", 108);
    header.write("0000000\0", 116);
    header.write(`${(linkTo === undefined ? data.length : 0).toString(8).padStart(11, "0")}\0`, 124);
    header.write("00000000000\0", 136);
    header.write("        ", 148);
    header.write(linkTo !== undefined ? "2" : dir === true ? "5" : "0", 156);
    if (linkTo !== undefined) header.write(linkTo, 157, 100);
    header.write("ustar\0" + "00", 257);
    const sum = header.reduce((total, byte) => total + byte, 0);
    header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
    parts.push(header);
    if (linkTo === undefined && data.length > 0) parts.push(data, Buffer.alloc((512 - (data.length % 512)) % 512));
  }
  parts.push(Buffer.alloc(1024));
  return Buffer.concat(parts);
}

export interface Image {
  /** `registry.k8s.io/pause:3.10` */
  readonly names: readonly string[];
  readonly architecture: "amd64" | "arm64";
  /** Uncompressed tars, lowest first. */
  readonly layers: readonly Uint8Array[];
  readonly config: {
    readonly Entrypoint?: readonly string[];
    readonly Cmd?: readonly string[];
    readonly Env?: readonly string[];
    readonly User?: string;
    readonly WorkingDir?: string;
    readonly ExposedPorts?: Readonly<Record<string, object>>;
    readonly StopSignal?: string;
    readonly Labels?: Readonly<Record<string, string>>;
  };
}

export function ociArchive(images: readonly Image[]): Uint8Array {
  const blobs = new Map<string, Uint8Array>();
  const put = (data: Uint8Array) => {
    const digest = createHash("sha256").update(data).digest("hex");
    blobs.set(digest, data);
    return { digest: `sha256:${digest}`, size: data.length };
  };
  const json = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
  const manifests = images.flatMap(({ names, architecture, layers, config }) => {
    const stored = layers.map(put);
    const image = put(
      json({
        created: "1970-01-01T00:00:00Z",
        architecture,
        os: "linux",
        config,
        rootfs: { type: "layers", diff_ids: stored.map(({ digest }) => digest) },
      }),
    );
    const manifest = put(
      json({
        schemaVersion: 2,
        mediaType: "application/vnd.oci.image.manifest.v1+json",
        config: { mediaType: "application/vnd.oci.image.config.v1+json", ...image },
        layers: stored.map((layer) => ({ mediaType: "application/vnd.oci.image.layer.v1.tar", ...layer })),
      }),
    );
    return names.map((name) => ({
      mediaType: "application/vnd.oci.image.manifest.v1+json",
      ...manifest,
      annotations: {
        "io.containerd.image.name": name,
        "org.opencontainers.image.ref.name": name.slice(name.lastIndexOf(":") + 1),
      },
    }));
  });
  return tar([
    { path: "oci-layout", data: json({ imageLayoutVersion: "1.0.0" }) },
    {
      path: "index.json",
      data: json({ schemaVersion: 2, mediaType: "application/vnd.oci.image.index.v1+json", manifests }),
    },
    { path: "blobs", dir: true },
    { path: "blobs/sha256", dir: true },
    ...[...blobs]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([digest, data]) => ({ path: `blobs/sha256/${digest}`, data })),
  ]);
}
