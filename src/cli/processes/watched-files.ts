/** Files that are reloaded when they change: certificates and configuration that are replaced while a server runs. */
import { dirname } from "node:path";
import type { Logger } from "../../observe/log.ts";
import type { World } from "../../world/world.ts";
import { every } from "../../world/time.ts";

/** Files that belong together, and what is to be done once they have changed. */
export interface WatchedFiles {
  readonly what: string;
  readonly paths: readonly string[];
  /** Reads them and takes over what they say. What it throws is told, and tried again at the next change. */
  apply(): Promise<void>;
}

/** A hint from the system is enough to look; without one it is looked from time to time. */
const LOOK_EVERY_MS = 60_000;
/** Files are written one after the other, as a certificate and its key. */
const SETTLE_MS = 100;

/** Until the signal: files are as they were when this was called. */
export async function watchFiles(
  { fs, clock }: Pick<World, "fs" | "clock">,
  all: readonly WatchedFiles[],
  log: Logger,
  signal: AbortSignal,
): Promise<void> {
  const watched = all.map((one) => ({ ...one, paths: one.paths.filter((path) => path !== "") }));
  const contents = new Map<WatchedFiles, string>();
  for (const one of watched) contents.set(one, await read(one));
  let looking = false;
  let again = false;

  async function read({ paths }: WatchedFiles): Promise<string> {
    const texts: string[] = [];
    for (const path of paths) {
      try {
        texts.push(Buffer.from(await fs.readFile(path)).toString());
      } catch {
        texts.push(""); // Between two names: the next look finds it.
      }
    }
    return JSON.stringify(texts);
  }

  async function look(): Promise<void> {
    if (looking) {
      again = true;
      return;
    }
    looking = true;
    try {
      do {
        again = false;
        for (const one of watched) {
          const now = await read(one);
          if (signal.aborted || now === contents.get(one)) continue;
          contents.set(one, now);
          try {
            await one.apply();
            log.info("Files were read again", { what: one.what });
          } catch (error) {
            log.error("Files changed and can't be used", error, { what: one.what });
          }
        }
      } while (again as boolean);
    } finally {
      looking = false;
    }
  }

  const folders = new Set(watched.flatMap(({ paths }) => paths.map((path) => dirname(path))));
  let timer: Disposable | undefined;
  const hints = [...folders].flatMap((folder) => {
    try {
      return [
        fs.watch(folder, () => {
          timer?.[Symbol.dispose]();
          timer = clock.after(SETTLE_MS, () => void look());
        }),
      ];
    } catch {
      return []; // No such folder: only looking helps.
    }
  });
  try {
    await every(clock, LOOK_EVERY_MS, signal, look);
  } finally {
    timer?.[Symbol.dispose]();
    for (const hint of hints) hint[Symbol.dispose]();
  }
}
