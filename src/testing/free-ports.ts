/**
 * Ports for programs that are told theirs. Not from among those that the kernel gives to whoever connects: between the look and the program's start,
 * or while a member is down, one of them may be somebody's own end of a connection.
 */
import { randomInt } from "node:crypto";
import { createServer, type Server } from "node:net";

const FIRST = 10_200;
const LAST = 19_999;

/** So many of 127.0.0.1, no two alike. */
export async function freePorts(count: number): Promise<readonly number[]> {
  const servers: Server[] = [];
  while (servers.length < count) {
    const server = createServer();
    const isFree = await new Promise<boolean>((resolve) => {
      server.once("error", () => resolve(false));
      server.listen(randomInt(FIRST, LAST), "127.0.0.1", () => resolve(true));
    });
    if (isFree) servers.push(server);
  }
  const ports = servers.map((server) => (server.address() as { readonly port: number }).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
