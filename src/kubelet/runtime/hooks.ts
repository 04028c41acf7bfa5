/** Runs postStart and preStop handlers. Upstream: pkg/kubelet/lifecycle/handlers.go */
import { hostPort } from "../../base/host-port.ts";
import type { LifecycleHandler, Pod } from "../../api/generated/core.v1.ts";
import { sleep } from "../../world/time.ts";
import type { AnyContainer } from "../pod.ts";
import { resolvePort } from "../probes/prober.ts";
import type { RuntimeContext } from "./context.ts";

export async function runHook(
  context: RuntimeContext,
  handler: LifecycleHandler,
  target: {
    readonly containerId: string;
    readonly container: AnyContainer | undefined;
    readonly podIP: string;
    readonly pod: Pod | undefined;
  },
  signal?: AbortSignal,
): Promise<void> {
  if (handler.exec) {
    const command = handler.exec.command ?? [];
    const answer = await context.cri.runtime.ExecSync(
      { container_id: target.containerId, cmd: command, timeout: 0 },
      signal === undefined ? {} : { signal },
    );
    if (answer.exit_code !== 0) {
      const output = Buffer.concat([answer.stdout, answer.stderr]).toString("utf8");
      throw new Error(`command '${command.join(" ")}' exited with ${answer.exit_code}: ${output}`);
    }
    return;
  }
  if (handler.httpGet) {
    const { host = "", port, path = "", scheme = "HTTP", httpHeaders = [] } = handler.httpGet;
    if (!context.cri.usesFiles) return; // Containers without a network answer everything.
    const address = host === "" ? target.podIP : host;
    const number = resolvePort(port, target.container?.ports ?? []);
    const base = `${scheme.toLowerCase()}://${hostPort(address, number)}`;
    await using client = context.world.net.httpClient({ base, version: "1.1", tls: { insecureSkipVerify: true } });
    const response = await client.request({
      method: "GET",
      path: path.startsWith("/") ? path : `/${path}`,
      headers: {
        "user-agent": "kube-lifecycle/1.36",
        accept: "*/*",
        ...Object.fromEntries(httpHeaders.map(({ name, value }) => [name.toLowerCase(), value])),
      },
      ...(signal && { signal }),
    });
    for await (const _chunk of response.body); // Any status is good; the body is read so that the connection ends well.
    return;
  }
  if (handler.sleep) await sleep(context.world.clock, handler.sleep.seconds * 1000, signal);
}
