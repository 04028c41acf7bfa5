/** A client that costs as little as can be: requests over HTTP/2 connections, answers counted and thrown away. */
import { type ClientHttp2Session, connect, type OutgoingHttpHeaders } from "node:http2";
import { quantile } from "./report.ts";

export interface Connection {
  readonly server: string;
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

export function connections(to: Connection, count: number): readonly ClientHttp2Session[] {
  return Array.from({ length: count }, () => {
    const session = connect(to.server, {
      ca: to.ca,
      cert: to.cert,
      key: to.key,
      settings: { initialWindowSize: 1 << 20 },
    });
    session.once("connect", () => session.setLocalWindowSize(16 << 20));
    return session;
  });
}

export interface Request {
  readonly method: string;
  readonly path: string;
  readonly body?: string;
  readonly type?: string;
  readonly accept?: string;
}

/** The answer's size; an answer that isn't a success is an error that shows it. */
export function send(
  session: ClientHttp2Session,
  { method, path, body, type = "application/json", accept = "application/json" }: Request,
): Promise<number> {
  return new Promise((resolve, reject) => {
    const headers: OutgoingHttpHeaders = { ":method": method, ":path": path, accept };
    if (body !== undefined) headers["content-type"] = type;
    const stream = session.request(headers, { endStream: body === undefined });
    let status = 0;
    let size = 0;
    let text = "";
    stream.on("response", (response) => (status = Number(response[":status"])));
    stream.on("data", (chunk: Buffer) => {
      size += chunk.length;
      if (status >= 300) text += chunk.toString();
    });
    stream.on("error", reject);
    stream.on("end", () => (status < 300 ? resolve(size) : reject(new Error(`${method} ${path}: ${status} ${text}`))));
    if (body !== undefined) stream.end(body);
  });
}

export interface Load {
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
  readonly count: number;
}

/** `each` sessions' streams at once, one request after the other in each, for so many seconds. */
export async function load(
  sessions: readonly ClientHttp2Session[],
  each: number,
  seconds: number,
  next: (i: number) => Request,
): Promise<Load> {
  const latencies: number[] = [];
  let count = 0;
  const start = performance.now();
  const end = start + seconds * 1000;
  await Promise.all(
    sessions.flatMap((session) =>
      Array.from({ length: each }, async () => {
        for (;;) {
          const before = performance.now();
          if (before >= end) return;
          await send(session, next(count++));
          latencies.push(performance.now() - before);
        }
      }),
    ),
  );
  return {
    perSecond: latencies.length / seconds,
    p50: quantile(latencies, 0.5),
    p99: quantile(latencies, 0.99),
    count: latencies.length,
  };
}
