/** The versions that we report, each with the upstream version that it stands for. */
import { readFileSync } from "node:fs";
import type { Host } from "../world/host.ts";

const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
  readonly version: string;
};

export const KUBERNETES_VERSION = "v1.36.2+t8s.0";
export const ETCD_VERSION = "3.7.0";

/** What `t8s version` prints. */
export const versionText = `t8s ${version} (Kubernetes ${KUBERNETES_VERSION}, etcd ${ETCD_VERSION}, Node ${process.version})`;

/**
 * `kube-scheduler/v1.36.2 (linux/amd64) kubernetes/t8s-0.1.0`, as upstream's clients say who they are. The part before the first `/` is the manager in
 * the managed fields of what they write.
 */
export function userAgent({ platform, arch }: Pick<Host, "platform" | "arch">, component: string): string {
  return `${component}/v1.36.2 (${platform}/${goArch(arch)}) kubernetes/t8s-${version}`;
}

export const goArch = (arch: string): string => ({ x64: "amd64", ia32: "386" })[arch] ?? arch;
