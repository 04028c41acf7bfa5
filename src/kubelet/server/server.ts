/** The kubelet's own API. Upstream: pkg/kubelet/server/server.go */
import type { Listener } from "../../world/net.ts";
import type { KubeletView } from "../kubelet.ts";

export async function serveKubelet(kubelet: KubeletView): Promise<Listener> {
  return kubelet.world.net.serveHttp(
    { host: kubelet.settings.address, port: kubelet.settings.port ?? 0 },
    (exchange) => {
      exchange.respond(200, {}, "ok");
    },
  );
}
