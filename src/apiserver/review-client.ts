/**
 * Posts reviews to a webhook whose URL and credentials are in a kubeconfig, with retries where they can help.
 * Upstream: staging/src/k8s.io/apiserver/pkg/util/webhook
 */
import { syntaxError } from "../machinery/codec/json-text.ts";
import { formatDuration } from "../machinery/meta/time.ts";
import { deadline, sleep } from "../world/time.ts";
import type { ClientTls, Net } from "../world/net.ts";
import type { Clock, Random } from "../world/world.ts";

/** A webhook's address and what is shown to it, from a kubeconfig. */
export interface ReviewTarget {
  readonly server: string;
  readonly tls: ClientTls;
  readonly token?: string | (() => string | undefined | Promise<string | undefined>);
}

export type ReviewResult =
  | { readonly answer: Readonly<Record<string, unknown>>; readonly status: number }
  | { readonly error: string; readonly timedOut: boolean; readonly status: number };

/** A review, and what the answer to it is to be. */
export interface Expected {
  readonly apiVersion: string;
  readonly kind: string;
  readonly [field: string]: unknown;
}

export interface ReviewClient {
  review(review: Expected, observe?: (result: ReviewResult, ms: number) => void): Promise<ReviewResult>;
}

const TRIES = 5;
const FIRST_WAIT_MS = 500;
const GROWTH = 1.5;
const JITTER = 0.2;
const ANSWER_MAX = 3 * 1024 * 1024;

export function reviewClient(
  { server, tls, token }: ReviewTarget,
  deps: { readonly net: Net; readonly clock: Clock; readonly random: Random },
  timeoutMs = 30_000,
  retry: { readonly firstWaitMs: number; readonly always: boolean } = { firstWaitMs: FIRST_WAIT_MS, always: false },
): ReviewClient {
  const { origin, pathname } = new URL(server);
  // As client-go: the time that there is replaces what a query of the address says.
  const path = `${pathname}?timeout=${formatDuration(timeoutMs * 1_000_000)}`;
  const http = deps.net.httpClient({ base: origin, tls });

  async function once(body: string, { kind: expected, apiVersion }: Expected): Promise<ReviewResult> {
    let status = 0;
    using limit = deadline(deps.clock, timeoutMs);
    try {
      const bearer = typeof token === "function" ? await token() : token;
      const response = await http.request({
        method: "POST",
        path,
        headers: {
          "content-type": "application/json",
          accept: "application/json, */*",
          ...(bearer !== undefined && { authorization: `Bearer ${bearer}` }),
        },
        body,
        signal: limit.signal,
      });
      ({ status } = response);
      const text = await read(response.body);
      if (status < 200 || status > 299) return { error: refused(status, text), timedOut: status === 504, status };
      if (text === "") {
        const type = response.headers["content-type"] ?? "application/json";
        return {
          error: `0-length response with status code: ${status} and content type: ${type}`,
          timedOut: false,
          status,
        };
      }
      const wrong = syntaxError(text);
      if (wrong !== undefined)
        return { error: `couldn't get version/kind; json parse error: ${wrong}`, timedOut: false, status };
      const answer = JSON.parse(text) as Record<string, unknown>;
      const nameOf = (said: unknown, what: unknown) => `${String(said).split("/").at(-1)!}.${what}`;
      const wanted = nameOf(apiVersion, expected);
      const got = nameOf(answer["apiVersion"] ?? apiVersion, answer["kind"] ?? expected);
      if (got !== wanted)
        return { error: `converting (${got}) to (${wanted}): unknown conversion`, timedOut: false, status };
      return { answer, status };
    } catch (error) {
      const timedOut = limit.signal.aborted;
      const words = timedOut
        ? "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
        : error instanceof Error
          ? error.message
          : String(error);
      return { error: `Post "${origin}${path}": ${words}`, timedOut, status };
    }
  }

  return {
    async review(review, observe) {
      const body = JSON.stringify(review);
      for (let attempt = 1, waitMs = retry.firstWaitMs; ; attempt++, waitMs *= GROWTH) {
        const started = deps.clock.monotonic();
        const result = await once(body, review);
        observe?.(result, deps.clock.monotonic() - started);
        if (!("error" in result) || attempt === TRIES || !(retry.always || mayHelpToRetry(result))) return result;
        await sleep(deps.clock, waitMs * (1 + JITTER * deps.random.next()));
      }
    },
  };
}

/** Connections that were cut, and servers that are overwhelmed or broken, may answer yet; who isn't there, or is too slow, is not asked again. */
function mayHelpToRetry({ status, error, timedOut }: { status: number; error: string; timedOut: boolean }): boolean {
  return (
    (!timedOut && status === 0 && /ECONNRESET|hang up|reset/i.test(error)) ||
    status === 500 ||
    status === 504 ||
    status === 429
  );
}

function refused(status: number, text: string): string {
  try {
    const { message } = JSON.parse(text) as { readonly message?: unknown };
    if (typeof message === "string" && message !== "") return message;
  } catch {
    // Not a Status: the code says it.
  }
  return status === 500 || status === 503
    ? `an error on the server (${JSON.stringify(text.slice(0, 2048))}) has prevented the request from succeeding`
    : `the server responded with the status code ${status}`;
}

async function read(body: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    if (size > ANSWER_MAX) throw new Error("the answer is too large");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}
