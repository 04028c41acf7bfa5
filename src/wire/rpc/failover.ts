/** Sends requests to whichever of several servers responds. Upstream: the round robin of go.etcd.io/etcd/client/v3 */
import type { ClientRequest, HttpClient } from "../../world/net.ts";

/** The errors of a request that no server has seen: no other server can have acted on it either. */
const NOT_SENT = new Set([
  "ECONNREFUSED",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENOENT",
  "ENOTFOUND",
  "EAI_AGAIN",
  "ETIMEDOUT",
]);

/** Several servers behind one client: the next is tried where one can't be reached, and stays in use as long as it can. */
export function failover(clients: readonly HttpClient[]): HttpClient {
  if (clients.length === 1) return clients[0]!;
  let current = 0;
  const attempt = async <T>(call: (client: HttpClient) => Promise<T>, request: ClientRequest): Promise<T> => {
    for (let tries = 1; ; tries++) {
      const chosen = current;
      try {
        return await call(clients[chosen]!);
      } catch (error) {
        if (current === chosen) current = (chosen + 1) % clients.length;
        const { code } = error as { code?: string };
        if (tries >= clients.length || request.signal?.aborted || !NOT_SENT.has(code ?? "")) throw error;
      }
    }
  };
  const close = async () => {
    await Promise.all(clients.map((client) => client.close()));
  };
  return {
    request: (request) => attempt((client) => client.request(request), request),
    upgrade: (request) => attempt((client) => client.upgrade(request), request),
    close,
    [Symbol.asyncDispose]: close,
  };
}
