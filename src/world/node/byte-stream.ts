/** Node's sockets as byte streams. */
import type { Duplex } from "node:stream";
import { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import { atTurnsEnd, inSlices } from "./turn.ts";
import type { ByteChannel, ByteSink, ByteStream, Peer } from "../net.ts";
import { ByteQueue } from "./byte-queue.ts";

/** A socket (TCP, unix, TLS, or one that HTTP handed over) as a byte stream. */
export function byteStream(socket: Duplex, peer: Peer): ByteStream {
  let corked = false;
  let drain: { promise: Promise<void>; resolve(): void; reject(error: unknown): void } | undefined;
  let failure: unknown;
  const incoming = new ByteQueue(socket, (cause) => failure ?? cause ?? broken("the connection was closed"));
  socket.on("drain", () => {
    drain?.resolve();
    drain = undefined;
  });
  const closed = new Promise<void>((resolve) => {
    socket.once("close", () => {
      failure ??= socket.errored ?? broken("the connection is closed");
      drain?.reject(failure);
      drain = undefined;
      resolve();
    });
  });
  const uncork = () => {
    corked = false;
    socket.uncork();
  };
  return {
    peer,
    write(data) {
      if (failure || socket.destroyed || socket.writableEnded)
        return quietly(Promise.reject(failure ?? socket.errored ?? broken("the connection is closed")));
      if (!corked) {
        // Everything that one turn of work writes leaves in one packet.
        corked = true;
        socket.cork();
        process.nextTick(uncork);
      }
      if (socket.write(data)) return Promise.resolve();
      if (!drain) {
        let resolve!: () => void;
        let reject!: (error: unknown) => void;
        const promise = new Promise<void>((yes, no) => {
          resolve = yes;
          reject = no;
        });
        drain = { promise: quietly(promise), resolve, reject };
      }
      return drain.promise;
    },
    end: () => void socket.end(),
    destroy(error) {
      failure ??= error;
      socket.destroy(error);
    },
    closed,
    attach: (sink) => channelOf(socket, sink),
    [Symbol.asyncIterator]: () => incoming[Symbol.asyncIterator](),
  };
}

function channelOf(socket: Duplex, sink: ByteSink): ByteChannel {
  const isSystems = socket instanceof Socket;
  /** What is encrypted is copied, always. */
  const encrypts = socket instanceof TLSSocket;
  let isCopied = false;
  let flushing = false;
  const flush = () => {
    flushing = false;
    if (!socket.destroyed) sink.onFlush();
  };
  socket.on("data", (chunk: Buffer) => sink.onData(chunk));
  socket.on("end", () => sink.onEnd());
  const drain = () => {
    if (!socket.destroyed) sink.onDrain();
  };
  socket.on("drain", () => inSlices(drain));
  socket.on("close", () => sink.onClose(socket.errored ?? undefined));
  return {
    flushSoon() {
      if (flushing) return;
      flushing = true;
      atTurnsEnd(flush); // Answers to many requests leave together.
    },
    write(chunks) {
      if (socket.destroyed || socket.writableEnded) return true; // It goes nowhere.
      isCopied = encrypts && socket.writableLength === 0 && !socket.connecting;
      if (chunks.length === 1) return socket.write(chunks[0]!);
      socket.cork();
      for (const chunk of chunks) socket.write(chunk);
      socket.uncork();
      return !socket.writableNeedDrain;
    },
    /** A socket of the system's tries at once, and counts what the system didn't take. One that encrypts has done so when nothing was before it. */
    get hasLeft() {
      return isCopied || (isSystems && socket.writableLength === 0);
    },
    copies: encrypts,
    pause: () => void socket.pause(),
    resume: () => void socket.resume(),
  };
}

/** A writer that does not await its writes learns of a broken connection by reading: the ignored rejection must not end the process. */
function quietly(promise: Promise<void>): Promise<void> {
  promise.catch(() => {});
  return promise;
}

export function broken(message: string): Error {
  return Object.assign(new Error(message), { code: "ECONNRESET" });
}

/** Made once a connection; every request on it shares the object. `clientCa` says whether a certificate was asked for. */
export function peerOf(socket: Socket, asksForCertificate: boolean): Peer {
  const address = { host: socket.remoteAddress ?? "", port: socket.remotePort ?? 0 };
  if (!asksForCertificate || !(socket instanceof TLSSocket)) return { address };
  const chain: Uint8Array[] = [];
  let certificate = socket.getPeerCertificate(true);
  while (certificate?.raw && !chain.some((seen) => Buffer.compare(seen, certificate.raw) === 0)) {
    chain.push(certificate.raw);
    certificate = certificate.issuerCertificate;
  }
  if (chain.length === 0) return { address };
  const error = socket.authorized ? undefined : String(socket.authorizationError ?? "not verified");
  return { address, certificate: { der: chain[0]!, chain, authorized: socket.authorized, ...(error && { error }) } };
}
