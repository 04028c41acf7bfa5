/** Asks the server in bytes, without a socket. */
import type { Exchange, Headers } from "../../world/net.ts";
import type { Harness } from "./harness.ts";

const TOKEN = "secret";
/** Options of a server that `ask` is the administrator of. */
export const ASKABLE = { staticTokens: new Map([[TOKEN, { name: "admin", groups: ["system:masters"] }]]) };

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Buffer;
}

export interface Asked {
  readonly headers?: Headers;
  readonly body?: string | Uint8Array;
  /** Called when an answer begins that is streamed. */
  onOpen?(): void;
  /** Called with all that was streamed so far. */
  onStream?(chunks: readonly Buffer[]): void;
  readonly signal?: AbortSignal;
}

export function ask(harness: Harness, method: string, url: string, asked: Asked = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const exchange: Exchange = {
      request: {
        method,
        url,
        headers: { authorization: `Bearer ${TOKEN}`, ...asked.headers },
        httpVersion: "1.1",
        body: (async function* () {
          if (asked.body !== undefined) yield Buffer.from(asked.body);
        })(),
        peer: { address: { host: "127.0.0.1", port: 1 } },
        encrypted: true,
        signal: asked.signal ?? new AbortController().signal,
      },
      respond: (status, headers, body = "") =>
        resolve({ status, headers, body: Buffer.from(method === "HEAD" ? "" : body) }),
      stream(status, headers) {
        asked.onOpen?.();
        return {
          write(data) {
            chunks.push(Buffer.from(data));
            asked.onStream?.(chunks);
            return true;
          },
          drained: Promise.resolve(),
          queuedBytes: 0,
          end: () => resolve({ status, headers, body: Buffer.concat(chunks) }),
          destroy: () => reject(new Error("cut short")),
        };
      },
      upgrade: () => {
        throw new Error("no upgrade here");
      },
    };
    Promise.resolve(harness.server.handler(exchange)).catch(reject);
  });
}
