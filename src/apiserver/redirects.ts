/** A call to a webhook that follows where it is sent, as Go's client does. Upstream: net/http (Client.do, redirectBehavior). */
import type { ClientRequest, HttpClientOptions, HttpResponse } from "../world/net.ts";
import type { WebhookClients } from "./webhook-clients.ts";

const REDIRECTS_MAX = 10;

interface Call {
  readonly options: HttpClientOptions;
  readonly request: ClientRequest;
}

/** What `read` makes of the last answer. `identity` names what is shown besides. */
export async function callFollowing<T>(
  webhooks: WebhookClients,
  first: Call,
  identity: string,
  /** Told why there is no answer. */
  lost: (error: unknown) => never,
  read: (response: HttpResponse) => Promise<T>,
): Promise<T> {
  let call = first;
  for (let hops = 0; ; hops++) {
    if (hops > REDIRECTS_MAX) lost(new Error(`stopped after ${REDIRECTS_MAX} redirects`));
    const outcome = await webhooks.use(call.options, identity, async (client) => {
      const response = await client.request(call.request).catch(lost);
      const next = nextCall(call, response);
      if (next === undefined) return { next: undefined, value: await read(response) };
      for await (const _ of response.body); // The connection is kept.
      return { next, value: undefined };
    });
    if (outcome.next === undefined) return outcome.value;
    call = outcome.next;
  }
}

/** Where an answer sends the caller; undefined where it is the answer. Pure. */
export function nextCall({ options, request }: Call, { status, headers }: Pick<HttpResponse, "status" | "headers">) {
  if (![301, 302, 303, 307, 308].includes(status) || headers["location"] === undefined) return undefined;
  const url = new URL(String(headers["location"]), new URL(request.path, options.base));
  const base = url.origin;
  const path = url.pathname + url.search;
  // What shows who calls is for the first server alone.
  const { authorization: _authorization, ...others } = request.headers ?? {};
  const headersThere = base === new URL(options.base).origin ? (request.headers ?? {}) : others;
  if (status >= 307) return { options: { ...options, base }, request: { ...request, headers: headersThere, path } };
  // The older ones ask for what is there, with nothing in hand.
  const { body: _body, ...rest } = { ...request, headers: headersThere };
  const method = request.method === "HEAD" ? "HEAD" : "GET";
  return { options: { ...options, base }, request: { ...rest, method, path } };
}
