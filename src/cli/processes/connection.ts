/**
 * How a component reaches its API server: by a kubeconfig, by an address, or by the service account files of a pod.
 * Upstream: client-go/tools/clientcmd/client_config.go
 */
import { hostPort } from "../../base/host-port.ts";
import { dirname } from "node:path";
import type { HttpsTransportOptions } from "../../client/https.ts";
import { connectionOf, parseKubeconfig } from "../../client/kubeconfig.ts";
import type { World } from "../../world/world.ts";
import { CommandError } from "../command.ts";
import { readText } from "./files.ts";

const POD_FOLDER = "/var/run/secrets/kubernetes.io/serviceaccount";

export async function connection(
  { fs, host }: Pick<World, "fs" | "host">,
  where: { readonly kubeconfig: string; readonly master?: string },
  userAgent: string,
): Promise<HttpsTransportOptions> {
  const master = where.master ?? "";
  if (where.kubeconfig === "" && master === "") return { ...(await inPod({ fs, host })), userAgent };
  let options: HttpsTransportOptions = { server: master };
  if (where.kubeconfig !== "") {
    const config = parseKubeconfig(await readText(fs, where.kubeconfig));
    try {
      const { namespace: _, ...found } = await connectionOf(config, fs, { folder: dirname(where.kubeconfig) });
      options = found;
    } catch (error) {
      throw new CommandError(`${where.kubeconfig}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  const server = master === "" ? options.server : master;
  return { ...options, server: server.includes("://") ? server : `http://${server}`, userAgent };
}

async function inPod({ fs, host }: Pick<World, "fs" | "host">): Promise<HttpsTransportOptions> {
  const { KUBERNETES_SERVICE_HOST: address, KUBERNETES_SERVICE_PORT: port } = host.environment;
  if (!address || !port || (await fs.stat(`${POD_FOLDER}/token`)) === undefined)
    throw new CommandError(
      "invalid configuration: no configuration has been provided: set --kubeconfig or --master (unable to load in-cluster configuration, KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT must be defined)",
    );
  return {
    server: `https://${hostPort(address, port)}`,
    ca: await readText(fs, `${POD_FOLDER}/ca.crt`),
    token: async () => (await readText(fs, `${POD_FOLDER}/token`)).trim(),
  };
}
