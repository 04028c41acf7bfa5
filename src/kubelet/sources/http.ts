/** Manifests from a URL. Upstream: pkg/kubelet/config/http.go */
import type { Logger } from "../../observe/log.ts";
import { pause } from "../../world/time.ts";
import type { World } from "../../world/world.ts";
import type { Source } from "./source.ts";
import { parseManifest, staticPod } from "./static-pod.ts";

export function httpSource(
  world: Pick<World, "net" | "clock">,
  log: Logger,
  options: { readonly url: string; readonly nodeName: string; readonly everyMs: number },
): Source {
  return {
    name: "http",
    async run(signal, onPods) {
      const url = new URL(options.url);
      let before: string | undefined;
      while (!signal.aborted) {
        try {
          await using client = world.net.httpClient({ base: url.origin, version: "1.1" });
          const response = await client.request({ method: "GET", path: `${url.pathname}${url.search}`, signal });
          const chunks: Uint8Array[] = [];
          for await (const chunk of response.body) chunks.push(chunk);
          if (response.status !== 200) throw new Error(`${options.url}: ${response.status}`);
          const text = Buffer.concat(chunks).toString("utf8");
          if (text !== before) {
            const seen = new Date(world.clock.now()).toISOString();
            onPods(
              parseManifest(text).map((manifest) =>
                staticPod(manifest, { kind: "http", place: options.url }, options.nodeName, seen),
              ),
            );
            before = text;
          }
        } catch (error) {
          if (signal.aborted) return;
          log.error("Failed to read pods from URL", error, { url: options.url });
        }
        if (!(await pause(world.clock, options.everyMs, signal))) return;
      }
    },
  };
}
