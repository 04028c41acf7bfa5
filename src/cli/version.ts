import { readFileSync } from "node:fs";

const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
  readonly version: string;
};

/** What `t8s version` prints. */
export const versionText = `t8s ${version} (Kubernetes v1.36.2+t8s.0, etcd 3.7.0, Node ${process.version})`;
