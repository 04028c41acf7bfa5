/** The address of a node's kubelet. Upstream: pkg/kubelet/client. */
import { hostPort } from "../../base/host-port.ts";
import { StatusError } from "../../machinery/status.ts";
import type { Services } from "../registry/context.ts";
import type { Target } from "./relay.ts";

const DEFAULT_PORT = 10250;
/** `--kubelet-preferred-address-types` */
const PREFERRED = ["Hostname", "InternalDNS", "InternalIP", "ExternalDNS", "ExternalIP"];

export async function kubeletOf({ cluster, options }: Services, nodeName: string, port?: number): Promise<Target> {
  const node = cluster.get("nodes", "", nodeName) ?? (await cluster.live("nodes", "", nodeName));
  if (node === undefined)
    throw new StatusError("NotFound", `nodes ${JSON.stringify(nodeName)} not found`, { name: nodeName, kind: "nodes" });
  const addresses: readonly { type: string; address: string }[] = node.status?.addresses ?? [];
  // A host name resolves only where a resolver knows it; an address always leads there.
  const order = options.kubelet?.addressTypes ?? ["InternalIP", "ExternalIP", ...PREFERRED];
  const address = order
    .map((type) => addresses.find((one) => one.type === type)?.address)
    .find((found) => found !== undefined);
  if (address === undefined)
    throw new StatusError("Unknown", `no preferred addresses found; known addresses: []`, {}, { code: 500 });
  const number = port ?? (node.status?.daemonEndpoints?.kubeletEndpoint?.Port || DEFAULT_PORT);
  return {
    base: `https://${hostPort(address, number)}`,
    tls: options.kubelet?.tls ?? { insecureSkipVerify: true },
    refusal: (words, method, url) => broken(`${method === "GET" ? "Get" : "Post"} ${JSON.stringify(url)}: ${words}`),
  };
}

/** A plain 500 with these words, as upstream has it. */
function broken(words: string): StatusError {
  return new StatusError("Unknown", words, {}, { code: 500 });
}
