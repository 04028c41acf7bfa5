/** Listening on TCP or a unix socket, with or without TLS, for both plain byte streams and HTTP. */
import { unlinkSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { createSecureContext, createServer as createTlsServer, type Server as TlsServer } from "node:tls";
import type { Address, ListenOptions, ServerTls } from "../net.ts";
import { peerOf } from "./byte-stream.ts";

export interface Acceptor {
  readonly address: Address;
  /** The sockets that are open now. */
  readonly sockets: ReadonlySet<Socket>;
  reload(tls: ServerTls): void;
  /** Takes no more connections. */
  stop(): void;
}

/** As etcd's listeners. */
const HANDSHAKE_MS = 10_000;
const PLAIN_HTTP = "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";

/** `onSocket` gets each connection when it can be read: after the handshake with TLS. */
export async function accept(
  options: ListenOptions & { readonly protocols?: readonly string[] },
  onSocket: (socket: Socket, asksForCertificate: boolean) => void,
): Promise<Acceptor> {
  let tls = options.tls;
  let server: Server;
  const sockets = new Set<Socket>();
  const refused = (error: unknown, { remoteAddress = "", remotePort = 0 }: Socket) =>
    tls?.onRefused?.(error, { host: remoteAddress, port: remotePort });
  let secure: TlsServer | undefined;
  if (tls) {
    secure = createTlsServer({
      ...tlsOptions(tls),
      handshakeTimeout: HANDSHAKE_MS,
      noDelay: true,
      ALPNProtocols: options.protocols ? [...options.protocols] : undefined,
      // Asked for by name first, so that `reload` reaches these too.
      SNICallback: (name, done) => {
        const found = tls?.byName?.get(name);
        done(null, found && tls ? createSecureContext({ ...secureContext(tls), ...found }) : undefined);
      },
    });
    secure.on("secureConnection", (socket: Socket) => {
      const asks = asksForCertificate(tls!);
      if (tls?.check === undefined) return onSocket(socket, asks);
      tls.check(peerOf(socket, asks)).then(
        () => socket.destroyed || onSocket(socket, asks),
        (error: unknown) => {
          refused(error, socket);
          socket.destroy();
        },
      );
    });
    secure.on("tlsClientError", (error: NodeJS.ErrnoException, socket: Socket) => {
      refused(error, socket);
      // Who speaks plain HTTP is told so, below the TLS that never came about.
      const below = [...sockets].find((one) => one.remotePort === socket.remotePort && one.remotePort !== undefined);
      if (error.code !== "ERR_SSL_HTTP_REQUEST" || below === undefined) return socket.destroy();
      return below.end(PLAIN_HTTP, () => socket.destroy());
    });
    server = tls.current === undefined ? secure : renewing(secure, () => tls!, refused);
  } else {
    server = createServer({ noDelay: true }, (socket) => onSocket(socket, false));
  }
  server.on("connection", (socket: Socket) => {
    socket.on("error", () => {}); // The reader of the socket hears of it; without one it is nobody's.
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  await listen(server, options);
  const bound = server.address();
  return {
    address:
      typeof bound === "object" && bound !== null
        ? { host: bound.address, port: bound.port }
        : { host: options.path ?? "", port: 0 },
    sockets,
    reload(next) {
      tls = next;
      secure?.setSecureContext(secureContext(next));
    },
    stop: () => void server.close(),
  };
}

/** In front of a TLS server: each connection waits until the certificate is the one of now. */
function renewing(secure: TlsServer, tls: () => ServerTls, refused: (error: unknown, socket: Socket) => void): Server {
  let { cert, key } = tls();
  return createServer({ noDelay: true, pauseOnConnect: true }, (socket) => {
    tls().current!()
      .then((now) => {
        if (now.cert !== cert || now.key !== key) {
          secure.setSecureContext(secureContext({ ...tls(), ...now }));
          ({ cert, key } = now);
        }
        secure.emit("connection", socket);
      })
      .catch((error: unknown) => {
        refused(error, socket);
        socket.destroy();
      });
  });
}

function secureContext({ cert, key, clientCa, verifiedByCaller, bounds }: ServerTls) {
  return {
    cert,
    key,
    ca: clientCa,
    ...(verifiedByCaller === true && clientCa !== undefined && { crl: LIST_OF_NOBODY }),
    minVersion: "TLSv1.2" as const,
    ...bounds,
  };
}

/** What an authority that signed nothing revoked: since nothing is known of the others, OpenSSL verifies no chain, and Node shows all of it. */
const LIST_OF_NOBODY = `-----BEGIN X509 CRL-----
MIGpMFECAQEwCgYIKoZIzj0EAwIwEDEOMAwGA1UEAwwFb3RoZXIXDTI2MTEyMzIx
NDc0MFoYDzIxMjYxMDMwMjE0NzQwWqAOMAwwCgYDVR0UBAMCAQEwCgYIKoZIzj0E
AwIDSAAwRQIhAOW/LMjxh4nD8rxvMcji3PO2K0o85ejap270hnkj4BvCAiBU5nHZ
/aCtzQHplOMsZJLo+AbL/qzm5CIcttC0I6tmSA==
-----END X509 CRL-----`;

/** Without an authority those that the system trusts sign for clients. */
function asksForCertificate({ clientCa, requireClientCert }: ServerTls): boolean {
  return clientCa !== undefined || requireClientCert === true;
}

function tlsOptions(tls: ServerTls) {
  return {
    ...secureContext(tls),
    requestCert: asksForCertificate(tls),
    // Otherwise the handler decides: a stranger may still be anonymous.
    rejectUnauthorized: tls.requireClientCert ?? false,
  };
}

async function listen(server: Server, { host, port, path }: ListenOptions): Promise<void> {
  const target = path === undefined ? { host, port: port ?? 0 } : { path };
  try {
    await listenOnce(server, target);
  } catch (error) {
    if (path === undefined || (error as NodeJS.ErrnoException).code !== "EADDRINUSE" || (await answers(path)))
      throw error;
    unlinkSync(path); // Left behind by a process that was killed.
    await listenOnce(server, target);
  }
  server.on("error", () => {}); // From here on: a failed accept, as when the process is out of descriptors. The next may work.
}

function listenOnce(server: Server, target: { host?: string; port?: number; path?: string }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ ...target, backlog: 4096 }, () => {
      server.off("error", reject);
      resolve();
    });
  });
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(path);
    probe.on("error", () => resolve(false));
    probe.on("connect", () => {
      probe.destroy();
      resolve(true);
    });
  });
}
