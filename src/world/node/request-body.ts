/** What requests over `node:http` and `node:http2` have in common: sending the body, abortion by a signal, and trailers. */
import type { ClientRequest as Http1Request } from "node:http";
import type { ClientHttp2Stream } from "node:http2";
import type { Readable } from "node:stream";
import type { ClientRequest, Headers } from "../net.ts";

export function abortWith(
  signal: AbortSignal,
  until: { once(event: "close", listener: () => void): unknown },
  abort: (reason: Error) => void,
): void {
  const onAbort = () =>
    abort(signal.reason instanceof Error ? signal.reason : new Error("aborted", { cause: signal.reason }));
  signal.addEventListener("abort", onAbort, { once: true });
  until.once("close", () => signal.removeEventListener("abort", onAbort));
}

export function sendBody(
  sent: Http1Request | ClientHttp2Stream,
  body: ClientRequest["body"],
  cut: (error: Error) => void,
): void {
  if (body === undefined || typeof body === "string" || body instanceof Uint8Array) return void sent.end(body);
  void (async () => {
    try {
      for await (const chunk of body) {
        if (sent.destroyed) return;
        if (!sent.write(chunk)) await room(sent);
      }
      sent.end();
    } catch (error) {
      cut(error instanceof Error ? error : new Error(String(error)));
    }
  })();
}

function room(sent: Http1Request | ClientHttp2Stream): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      sent.off("drain", done);
      sent.off("close", done);
      resolve();
    };
    sent.on("drain", done);
    sent.on("close", done);
  });
}

/** Trailers, with the end of the body. A body cut short has none; its reader has the error. */
export function trailersOf(source: Readable, trailers: () => Headers): Promise<Headers> {
  return new Promise((resolve) => {
    source.once("end", () => resolve(trailers()));
    source.once("close", () => resolve(trailers()));
  });
}
