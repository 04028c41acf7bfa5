/**
 * Connects a member with the others: the ports where they reach it, and what it requests from them.
 * Upstream: server/embed/etcd.go (configurePeerListeners)
 */
import type { Codec } from "../wire/rpc/codec.ts";
import type { HttpHandler, Listener } from "../world/net.ts";
import { peerTls, requestTimeoutMs } from "./cluster/bootstrap.ts";
import { remotes } from "./cluster/remote.ts";
import type { MemberDeps } from "./member.ts";
import type { EtcdOptions } from "./options.ts";
import { createPeerTransport } from "./peer/http-transport.ts";
import { leaseForwarder } from "./peer/lease-client.ts";
import type { EtcdDeps } from "./server.ts";
import { addressOf } from "./serving.ts";

export interface PeerPorts extends AsyncDisposable {
  /** What answers from now on; before that everyone is asked to come again. */
  serve(handle: HttpHandler): void;
}

export async function listenToPeers(options: EtcdOptions, deps: EtcdDeps): Promise<PeerPorts> {
  let handle: HttpHandler = (exchange) => exchange.respond(503, {});
  const listeners: Listener[] = [];
  const close = async () => {
    await Promise.all(listeners.map((listener) => listener.close()));
  };
  try {
    for (const url of options.listenPeerUrls) {
      const address = addressOf(url, options.peerTls, 2380);
      listeners.push(await deps.net.serveHttp({ ...address, http1Only: true }, (exchange) => handle(exchange)));
      deps.log.info("serving peer traffic", { address: url });
    }
  } catch (error) {
    await close();
    throw error;
  }
  return {
    serve(one) {
      handle = one;
    },
    [Symbol.asyncDispose]: close,
  };
}

/** The ways to other members, for one that can be reached itself. */
export function clustering(
  options: EtcdOptions,
  deps: EtcdDeps,
  codec: Codec,
): Pick<MemberDeps, "transport" | "remotes" | "leases"> {
  if (options.listenPeerUrls.length === 0) return {};
  const asked = remotes({ ...peerTls(options), requestTimeoutMs: requestTimeoutMs(options) }, deps);
  return {
    remotes: asked,
    leases: leaseForwarder(asked, codec),
    transport: (known) =>
      createPeerTransport(
        {
          ...known,
          ...peerTls(options),
          advertisedUrls: options.initialAdvertisePeerUrls,
          electionTimeoutMs: options.electionTimeoutMs,
          readTimeoutMs: options.raftReadTimeoutMs,
          writeTimeoutMs: options.raftWriteTimeoutMs,
        },
        deps,
      ),
  };
}
