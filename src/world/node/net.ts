/** Sockets of this machine. */
import { createSocket } from "node:dgram";
import { isIPv6 } from "node:net";
import type { DatagramSocket, Listener, Net } from "../net.ts";
import { byteStream, peerOf } from "./byte-stream.ts";
import { httpClient, openSocket, tlsOptions } from "./http-client.ts";
import { type Engines, serveHttp, type OnHandlerError } from "./http-server.ts";
import { accept } from "./listener.ts";

export function nodeNet(onHandlerError: OnHandlerError, engines: Engines): Net {
  return {
    async listen(options, onStream): Promise<Listener> {
      const acceptor = await accept(options, (socket, asksForCertificate) =>
        onStream(byteStream(socket, peerOf(socket, asksForCertificate))),
      );
      const close = async (graceMs = 0) => {
        acceptor.stop();
        const ends = [...acceptor.sockets].map((socket) => new Promise((resolve) => socket.once("close", resolve)));
        if (graceMs > 0 && ends.length > 0) {
          let timer: NodeJS.Timeout | undefined;
          await Promise.race([Promise.all(ends), new Promise((resolve) => (timer = setTimeout(resolve, graceMs)))]);
          clearTimeout(timer);
        }
        for (const socket of acceptor.sockets) socket.destroy();
        await Promise.all(ends);
      };
      return { address: acceptor.address, reload: acceptor.reload, close, [Symbol.asyncDispose]: () => close() };
    },
    async connect({ host = "localhost", port = 0, path, tls, signal }) {
      const socket = await openSocket(
        path === undefined ? { host, port } : { path },
        tls && { ...tlsOptions(tls), ...(await tls.current?.()) },
        30_000,
        signal,
      );
      return byteStream(socket, { address: { host: socket.remoteAddress ?? "", port: socket.remotePort ?? 0 } });
    },
    serveHttp: (options, handle) => serveHttp(options, handle, onHandlerError, engines),
    httpClient: (options) => httpClient(options, engines.http2),
    datagrams({ host, port }, onMessage) {
      return new Promise<DatagramSocket>((resolve, reject) => {
        const socket = createSocket({ type: isIPv6(host) ? "udp6" : "udp4", recvBufferSize: 1 << 20 });
        socket.once("error", reject);
        socket.bind({ address: host, port }, () => {
          socket.off("error", reject);
          socket.on("error", () => {}); // An ICMP answer to some earlier datagram: datagrams may get lost.
          const bound = socket.address();
          const close = () => new Promise<void>((done) => socket.close(() => done()));
          resolve({
            address: { host: bound.address, port: bound.port },
            send: (data, to) => socket.send(data, to.port, to.host, () => {}),
            [Symbol.asyncDispose]: close,
          });
        });
        socket.on("message", (data, from) => onMessage(data, { host: from.address, port: from.port }));
      });
    },
  };
}
