/** Administrator access to a running cluster, from its state and certificates on disk. */
import { join } from "node:path";
import { createClient } from "../client/create-client.ts";
import type { Client } from "../client/client.ts";
import { httpsTransport } from "../client/https.ts";
import { type Kubeconfig, singleContext } from "../client/kubeconfig.ts";
import type { World } from "../world/world.ts";
import { CommandError } from "./command.ts";
import { contextOf } from "./kubeconfig-file.ts";
import { readState } from "./state.ts";
import { userAgent } from "./version.ts";

async function credentials(world: Pick<World, "fs">, name: string, dir: string) {
  const state = await readState(world, dir);
  if (state === undefined) throw new CommandError(`cluster ${name} is not running (t8s up --name ${name} starts it)`);
  const read = async (file: string) => Buffer.from(await world.fs.readFile(join(dir, "pki", file))).toString();
  return { state, ca: await read("ca.crt"), cert: await read("admin.crt"), key: await read("admin.key") };
}

export async function adminKubeconfig(world: Pick<World, "fs">, name: string, dir: string): Promise<Kubeconfig> {
  const { state, ca, cert, key } = await credentials(world, name, dir);
  return singleContext(contextOf(name), { server: state.server, ca }, { cert, key });
}

export async function adminClient(
  world: Pick<World, "fs" | "net" | "clock" | "host">,
  name: string,
  dir: string,
): Promise<Client> {
  const { state, ca, cert, key } = await credentials(world, name, dir);
  return createClient(
    httpsTransport(world, { server: state.server, ca, cert, key, userAgent: userAgent(world.host, "t8s") }),
  );
}
