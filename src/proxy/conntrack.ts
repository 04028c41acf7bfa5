/**
 * Removes stale UDP flows. The kernel's connection table would keep sending the packets of an existing flow to an endpoint that is gone, so after a
 * sync in which a UDP port's endpoints changed, such flows are deleted.
 * Upstream: pkg/proxy/conntrack
 */
import type { Logger } from "../observe/log.ts";
import type { Host } from "../world/host.ts";
import type { Model } from "./backends/backend.ts";

export interface Flow {
  readonly destination: string;
  readonly destinationPort: number;
  readonly replySource: string;
}

/** Flows of UDP services that lead to nobody who serves. Flows of services without endpoints are left. */
export function staleFlows(model: Model, flows: readonly Flow[]): readonly Flow[] {
  const byAddress = new Map<string, ReadonlySet<string>>();
  const byNodePort = new Map<number, ReadonlySet<string>>();
  for (const ports of model.values()) {
    for (const { port, all } of ports) {
      const serving = new Set(all.filter((endpoint) => endpoint.serving).map((endpoint) => endpoint.ip));
      if (port.protocol !== "udp" || serving.size === 0) continue;
      for (const ip of [port.clusterIp, ...port.loadBalancerIps, ...port.externalIps])
        byAddress.set(`${ip}|${port.port}`, serving);
      if (port.nodePort !== 0) byNodePort.set(port.nodePort, serving);
    }
  }
  return flows.filter((flow) => {
    const serving =
      byAddress.get(`${flow.destination}|${flow.destinationPort}`) ?? byNodePort.get(flow.destinationPort);
    return serving !== undefined && !serving.has(flow.replySource);
  });
}

/** Reads `conntrack -L` lines: the first src/dst/sport/dport is the original direction, the second the reply. */
export function parseFlows(text: string): readonly Flow[] {
  return text.split("\n").flatMap((line) => {
    const pairs = [...line.matchAll(/\b(src|dst|dport)=(\S+)/g)];
    const values = (name: string) => pairs.filter(([, key]) => key === name).map(([, , value]) => value!);
    const [destination] = values("dst");
    const [destinationPort] = values("dport");
    const [, replySource] = values("src");
    if (destination === undefined || destinationPort === undefined || replySource === undefined) return [];
    return [{ destination, destinationPort: Number(destinationPort), replySource }];
  });
}

export async function cleanConntrack(host: Host, model: Model, family: 4 | 6, log: Logger): Promise<void> {
  if (![...model.values()].some((ports) => ports.some(({ port }) => port.protocol === "udp"))) return;
  if ((await host.which("conntrack")) === undefined) return;
  const listed = await host.exec("conntrack", ["-L", "-p", "udp", "-f", `ipv${family}`]);
  if (listed.code !== 0) return;
  for (const flow of staleFlows(model, parseFlows(Buffer.from(listed.stdout).toString()))) {
    log.v(4).info("Deleting a stale UDP flow", { ...flow });
    await host.exec("conntrack", [
      "-D",
      "-p",
      "udp",
      "--orig-dst",
      flow.destination,
      "--orig-port-dst",
      String(flow.destinationPort),
      "--reply-src",
      flow.replySource,
    ]);
  }
}
