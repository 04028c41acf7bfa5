/** A folder of manifests, or one file. Upstream: pkg/kubelet/config/file.go */
import type { Pod } from "../../api/generated/core.v1.ts";
import type { Logger } from "../../observe/log.ts";
import { pause } from "../../world/time.ts";
import type { World } from "../../world/world.ts";
import type { Source } from "./source.ts";
import { parseManifest, staticPod } from "./static-pod.ts";

const SIZE_MAX = 10 * 2 ** 20;

export function fileSource(
  world: Pick<World, "fs" | "clock">,
  log: Logger,
  options: { readonly path: string; readonly nodeName: string; readonly everyMs: number },
): Source {
  const seen = new Map<string, Pod>();
  const read = async (): Promise<readonly Pod[]> => {
    const { fs, clock } = world;
    const found = await fs.stat(options.path);
    if (found === undefined) return [];
    const files =
      found.kind === "dir"
        ? (await fs.list(options.path)).filter((name) => !name.startsWith(".")).map((name) => `${options.path}/${name}`)
        : [options.path];
    const pods: Pod[] = [];
    for (const file of files) {
      const stat = await fs.stat(file);
      if (stat?.kind !== "file" || stat.sizeBytes > SIZE_MAX) continue;
      try {
        const text = Buffer.from(await fs.readFile(file)).toString("utf8");
        for (const manifest of parseManifest(text)) {
          const pod = staticPod(
            manifest,
            { kind: "file", place: file },
            options.nodeName,
            new Date(clock.now()).toISOString(),
          );
          // The same pod as before stays the same object: `config.seen` tells when it was first seen.
          const known = seen.get(pod.metadata.uid) ?? pod;
          seen.set(pod.metadata.uid, known);
          pods.push(known);
        }
      } catch (error) {
        log.error("Can't process manifest file", error, { path: file });
      }
    }
    return pods;
  };
  return {
    name: "file",
    async run(signal, onPods) {
      let changed: (() => void) | undefined;
      using _watch =
        (await world.fs.stat(options.path)) === undefined ? undefined : world.fs.watch(options.path, () => changed?.());
      while (!signal.aborted) {
        onPods(await read());
        const wake = new AbortController();
        changed = () => wake.abort();
        await pause(world.clock, options.everyMs, AbortSignal.any([signal, wake.signal]));
      }
    },
  };
}
