/** The address of a node's kubelet. Upstream: pkg/kubelet/client. */
import { goQuote } from "../../base/go-quote.ts";
import { hostPort } from "../../base/host-port.ts";
import { StatusError } from "../../machinery/status.ts";
import type { Services } from "../registry/context.ts";
import type { Target } from "./relay.ts";

const DEFAULT_PORT = 10250;
/** `--kubelet-preferred-address-types` */
const PREFERRED = ["Hostname", "InternalDNS", "InternalIP", "ExternalDNS", "ExternalIP"];

export interface Kubelet extends Target {
  readonly host: string;
  readonly port: number;
  /** What its node declares to know. */
  readonly features: readonly string[];
}

/** `resource` is what the request is about: upstream says that it was that which wasn't found. */
export async function kubeletOf({ cluster, options }: Services, nodeName: string, resource: string): Promise<Kubelet> {
  const node = cluster.get("nodes", "", nodeName) ?? (await cluster.live("nodes", "", nodeName));
  if (node === undefined)
    throw new StatusError("NotFound", `${resource} ${goQuote(nodeName)} not found`, {
      name: nodeName,
      kind: resource,
    });
  const addresses: readonly { type: string; address: string }[] = node.status?.addresses ?? [];
  // A host name resolves only where a resolver knows it; an address always leads there.
  const order = options.kubelet?.addressTypes ?? ["InternalIP", "ExternalIP", ...PREFERRED];
  const address = order
    .map((type) => addresses.find((one) => one.type === type)?.address)
    .find((found) => found !== undefined);
  if (address === undefined)
    throw new StatusError("Unknown", `no preferred addresses found; known addresses: []`, {}, { code: 500 });
  const port: number = node.status?.daemonEndpoints?.kubeletEndpoint?.Port || DEFAULT_PORT;
  return {
    base: `https://${hostPort(address, port)}`,
    host: address,
    port,
    features: node.status?.declaredFeatures ?? [],
    tls: options.kubelet?.tls ?? { insecureSkipVerify: true },
    refusal: (words, method, url) => broken(`${method === "GET" ? "Get" : "Post"} ${JSON.stringify(url)}: ${words}`),
  };
}

/** A plain 500 with these words, as upstream has it. */
function broken(words: string): StatusError {
  return new StatusError("Unknown", words, {}, { code: 500 });
}
