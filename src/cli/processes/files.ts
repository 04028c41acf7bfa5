/** Files that flags name. */
import type { Fs } from "../../world/fs.ts";
import { CommandError } from "../command.ts";

/** The text of a file that must be there. */
export async function readText(fs: Pick<Fs, "readFile">, path: string): Promise<string> {
  try {
    return Buffer.from(await fs.readFile(path)).toString("utf8");
  } catch (error) {
    const { code } = error as { readonly code?: string };
    throw new CommandError(
      `open ${path}: ${code === "ENOENT" ? "no such file or directory" : (error as Error).message}`,
    );
  }
}

/** As `readText`; undefined for an empty path. */
export async function readOptional(fs: Pick<Fs, "readFile">, path: string): Promise<string | undefined> {
  return path === "" ? undefined : await readText(fs, path);
}

/** A certificate and its key: both, or neither. */
export async function readPair(
  fs: Pick<Fs, "readFile">,
  certFlag: readonly [flag: string, path: string],
  keyFlag: readonly [flag: string, path: string],
): Promise<{ readonly cert: string; readonly key: string } | undefined> {
  const [cert, key] = [await readOptional(fs, certFlag[1]), await readOptional(fs, keyFlag[1])];
  if (cert === undefined && key === undefined) return undefined;
  if (cert === undefined || key === undefined)
    throw new CommandError(`--${certFlag[0]} and --${keyFlag[0]} go together: one of them is missing`);
  return { cert, key };
}
