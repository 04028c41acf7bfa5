/** The files of configMap, secret, downwardAPI and projected volumes. Pure. Upstream: pkg/volume/{configmap,secret,downwardapi,projected} */
import type { ConfigMap, DownwardAPIVolumeFile, KeyToPath, Pod, Secret } from "../../api/generated/core.v1.ts";
import { findContainer } from "../pod.ts";
import { fieldValue, resourceValue } from "../runtime/downward.ts";
import type { DownwardContext } from "../runtime/downward.ts";
import type { ProjectedFile } from "./atomic-writer.ts";

export interface KeySource {
  readonly items?: readonly KeyToPath[] | undefined;
  readonly optional?: boolean | undefined;
  readonly defaultMode: number;
}

export function configMapFiles(map: ConfigMap | undefined, source: KeySource): ReadonlyMap<string, ProjectedFile> {
  const data = new Map<string, Uint8Array>();
  for (const [key, text] of Object.entries(map?.data ?? {})) data.set(key, Buffer.from(text));
  for (const [key, base64] of Object.entries(map?.binaryData ?? {})) data.set(key, Buffer.from(base64, "base64"));
  return select(data, source, (key) => `configmap references non-existent config key: ${key}`);
}

export function secretFiles(secret: Secret | undefined, source: KeySource): ReadonlyMap<string, ProjectedFile> {
  const data = new Map<string, Uint8Array>();
  for (const [key, base64] of Object.entries(secret?.data ?? {})) data.set(key, Buffer.from(base64, "base64"));
  return select(data, source, (key) => `references non-existent secret key: ${key}`);
}

function select(
  data: ReadonlyMap<string, Uint8Array>,
  source: KeySource,
  missing: (key: string) => string,
): ReadonlyMap<string, ProjectedFile> {
  const files = new Map<string, ProjectedFile>();
  if (source.items === undefined || source.items.length === 0) {
    for (const [key, bytes] of data) files.set(key, { data: bytes, mode: source.defaultMode });
    return files;
  }
  for (const { key, path, mode } of source.items) {
    const bytes = data.get(key);
    if (bytes !== undefined) files.set(path, { data: bytes, mode: mode ?? source.defaultMode });
    else if (source.optional !== true) throw new Error(missing(key));
  }
  return files;
}

export function downwardFiles(
  pod: Pod,
  items: readonly DownwardAPIVolumeFile[],
  defaultMode: number,
  context: DownwardContext,
): ReadonlyMap<string, ProjectedFile> {
  const files = new Map<string, ProjectedFile>();
  for (const { path, mode, fieldRef, resourceFieldRef } of items) {
    let text = "";
    if (fieldRef) text = fieldValue(pod, fieldRef.fieldPath, context);
    else if (resourceFieldRef) {
      const container = findContainer(pod, resourceFieldRef.containerName ?? "")?.container;
      if (container === undefined) throw new Error(`container ${resourceFieldRef.containerName ?? ""} not found`);
      text = resourceValue(pod, container, resourceFieldRef, context);
    }
    files.set(path, { data: Buffer.from(text), mode: mode ?? defaultMode });
  }
  return files;
}
