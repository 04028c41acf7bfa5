/**
 * Files of one volume that overlap: two with the same path, or one below another.
 * Upstream: pkg/api/pod/warnings.go (warningsForOverlappingVirtualPaths)
 */
import type { Volume, VolumeProjection } from "../../../generated/core.v1.ts";

interface File {
  readonly path: string;
  /** Where it comes from, if the volume has several sources. */
  readonly source: string;
}

export function overlapWarnings(volumes: readonly Volume[]): readonly string[] {
  return volumes.flatMap(({ name, configMap, secret, downwardAPI, projected }) => {
    const said = (what: string, overlaps: readonly string[]) =>
      overlaps.map((text) => `volume ${JSON.stringify(name)} (${what}): overlapping paths: ${text}`);
    return [
      ...said(`ConfigMap ${JSON.stringify(configMap?.name ?? "")}`, overlapsOf(filesOf(configMap?.items, ""))),
      ...said(`Secret ${JSON.stringify(secret?.secretName ?? "")}`, overlapsOf(filesOf(secret?.items, ""))),
      ...said("DownwardAPI", overlapsOf(filesOf(downwardAPI?.items, ""))),
      ...projectedWarnings(name, projected?.sources ?? [], said),
    ];
  });
}

type Said = (what: string, overlaps: readonly string[]) => readonly string[];

function projectedWarnings(name: string, sources: readonly VolumeProjection[], said: Said): readonly string[] {
  const known: File[] = [];
  return sources.flatMap((source) =>
    Object.values(source).every((one) => one === undefined)
      ? [`volume ${JSON.stringify(name)} (Projected) has no sources provided`]
      : said("Projected", overlapsOf(filesOfSource(source), known)),
  );
}

/** Only the first kind of source counts that has files to list. */
function filesOfSource(source: VolumeProjection): readonly File[] {
  const { configMap, secret, downwardAPI, serviceAccountToken, clusterTrustBundle, podCertificate } = source;
  if (configMap?.items !== undefined)
    return filesOf(configMap.items, `ConfigMap ${JSON.stringify(configMap.name ?? "")}`);
  if (secret?.items !== undefined) return filesOf(secret.items, `Secret ${JSON.stringify(secret.name ?? "")}`);
  if (downwardAPI?.items !== undefined) return filesOf(downwardAPI.items, "DownwardAPI");
  if (serviceAccountToken !== undefined) return filesOf([serviceAccountToken], "ServiceAccountToken");
  if (clusterTrustBundle !== undefined) {
    const { name, signerName = "" } = clusterTrustBundle;
    return filesOf([clusterTrustBundle], `ClusterTrustBundle ${JSON.stringify(name ?? signerName)}`);
  }
  const { certificateChainPath, keyPath, credentialBundlePath } = podCertificate ?? {};
  return [
    { path: certificateChainPath ?? "", source: "PodCertificate chain" },
    { path: keyPath ?? "", source: "PodCertificate key" },
    { path: credentialBundlePath ?? "", source: "PodCertificate credential bundle" },
  ].filter(({ path }) => path !== "");
}

const filesOf = (items: readonly { readonly path: string }[] | undefined, source: string): readonly File[] =>
  (items ?? []).map(({ path = "" }) => ({ path, source }));

/** Each file against those before it; `known` grows by them. */
function overlapsOf(files: readonly File[], known: File[] = []): readonly string[] {
  return files.flatMap(({ path, source }) => {
    const file = { path: path.replace(/\/+$/, ""), source };
    const others =
      file.path === "" ? [] : known.filter((other) => other.path !== "" && overlaps(other.path, file.path));
    known.push(file);
    return others.map((other) => `${shown(file)} with ${shown(other)}`);
  });
}

const overlaps = (a: string, b: string): boolean => `${a}/`.startsWith(`${b}/`) || `${b}/`.startsWith(`${a}/`);

const shown = ({ path, source }: File): string => `${JSON.stringify(path)}${source === "" ? "" : ` (${source})`}`;
