/** Upstream's end-to-end tests and what they need, built by Go from upstream's modules into the cache; or those of a folder given in `T8S_E2E_BIN`. */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const VERSION = "1.36.2";
const KUBERNETES = "k8s.io/kubernetes";
/** Modules that live in Kubernetes' own repository, and that its go.mod therefore names without a version. */
const STAGED =
  "api apiextensions-apiserver apimachinery apiserver cli-runtime client-go cloud-provider cluster-bootstrap code-generator component-base component-helpers controller-manager cri-api cri-client cri-streaming csi-translation-lib dynamic-resource-allocation endpointslice externaljwt kms kube-aggregator kube-controller-manager kube-proxy kube-scheduler kubectl kubelet metrics mount-utils pod-security-admission sample-apiserver streaming";

/** What is built, in the order of how much depends on it. */
const PROGRAMS: Readonly<Record<string, { readonly of: string; readonly isTest?: boolean }>> = {
  "e2e.test": { of: `${KUBERNETES}/test/e2e`, isTest: true },
  ginkgo: { of: "github.com/onsi/ginkgo/v2/ginkgo" },
  agnhost: { of: `${KUBERNETES}/test/images/agnhost` },
  nonewprivs: { of: `${KUBERNETES}/test/images/nonewprivs` },
  "sample-apiserver": { of: "k8s.io/sample-apiserver" },
  etcd: { of: "go.etcd.io/etcd/server/v3" },
};
const NEEDED = ["e2e.test", "ginkgo", "agnhost"];

/** The folder with the programs. Throws where they are neither there nor can be built. */
export function programs(root: string): string {
  const given = process.env["T8S_E2E_BIN"];
  const folder = given ?? join(root, "node_modules/.cache/conformance");
  const missing = Object.keys(PROGRAMS).filter((name) => !existsSync(join(folder, name)));
  if (given !== undefined) {
    const needed = missing.filter((name) => NEEDED.includes(name));
    if (needed.length > 0) throw new Error(`T8S_E2E_BIN has no ${needed.join(", ")}`);
  } else if (missing.length > 0) build(folder, missing);
  return folder;
}

function build(folder: string, names: readonly string[]): void {
  const scratch = mkdtempSync(join(tmpdir(), "t8s-conformance-"));
  try {
    mkdirSync(folder, { recursive: true });
    const minor = VERSION.slice(2);
    const replaced = STAGED.split(" ").map((name) => `\tk8s.io/${name} => k8s.io/${name} v0.${minor}\n`);
    const required = STAGED.split(" ").map((name) => `\tk8s.io/${name} v0.${minor}\n`);
    writeFileSync(
      join(scratch, "go.mod"),
      `module build\ngo 1.26.0\ngodebug default=go1.26\nrequire (\n\t${KUBERNETES} v${VERSION}\n${required.join("")})\nreplace (\n${replaced.join("")})\n`,
    );
    const version = ["gitVersion=v1.36.2", "gitMajor=1", "gitMinor=36"].map((is) => `-X k8s.io/component-base/version.${is}`); // prettier-ignore
    for (const name of names) {
      const { of, isTest } = PROGRAMS[name]!;
      console.log(`building ${name}`);
      const verb = isTest === true ? ["test", "-c"] : ["build"];
      const flags = ["-mod=mod", "-trimpath", "-ldflags", `-s -w ${version.join(" ")}`, "-o", join(folder, name), of];
      execFileSync("go", [...verb, ...flags], {
        cwd: scratch,
        env: { ...process.env, CGO_ENABLED: "0" },
        stdio: ["ignore", "inherit", "inherit"],
      });
    }
  } finally {
    rmSync(scratch, { recursive: true });
  }
}
