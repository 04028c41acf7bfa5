/**
 * h2spec, the public conformance suite of HTTP/2, for the tests that run it: built once by Go, where there is Go and the module proxy, into
 * `node_modules/.cache`. Prints where it is, or exits 1 with the reason.
 *
 *     sh tools/node.sh tools/h2spec.ts
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const MODULE = "github.com/summerwind/h2spec";
/** It is older than Go's modules, so what it needs is said here. */
const GO_MOD = `module build
go 1.21
require (
	${MODULE} v2.2.1+incompatible
	github.com/spf13/cobra v1.10.2
	github.com/fatih/color v1.19.0
	golang.org/x/net v0.62.0
)
`;

/** The program where it has been built before, or is on the path. */
export function h2spec(root = process.cwd()): string | undefined {
  const folders = [join(root, "node_modules/.cache/h2spec"), ...(process.env["PATH"] ?? "").split(":")];
  return folders.map((folder) => join(folder, "h2spec")).find((file) => existsSync(file));
}

function build(root: string): void {
  const folder = join(root, "node_modules/.cache/h2spec");
  const scratch = mkdtempSync(join(tmpdir(), "t8s-h2spec-"));
  try {
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(scratch, "go.mod"), GO_MOD);
    execFileSync("go", ["build", "-mod=mod", "-o", join(folder, "h2spec"), `${MODULE}/cmd/h2spec`], {
      cwd: scratch,
      stdio: ["ignore", "inherit", "inherit"],
    });
  } finally {
    rmSync(scratch, { recursive: true });
  }
}

if (process.argv[1] === import.meta.filename) {
  try {
    if (h2spec() === undefined) build(process.cwd());
  } catch (error) {
    console.error(`h2spec could not be built: ${error instanceof Error ? error.message : String(error)}`);
    process.exit(1);
  }
  console.log(h2spec());
}
