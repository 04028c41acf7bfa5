/** Counts requests under way, and sends new ones elsewhere once the server ends. Upstream: pkg/server/filters/{waitgroup,with_retry_after,goaway}.go */
import type { Random } from "../../world/world.ts";
import type { Lifecycle } from "../lifecycle.ts";
import type { ApiRequest, Filter } from "../request.ts";
import { text } from "../request.ts";
import { isLongRunning } from "../request-info.ts";

const EXEMPT = ["/readyz", "/livez", "/healthz", "/metrics"];

export function untilShutdown(lifecycle: Lifecycle): Filter {
  return (request, next) => {
    // What this process asks of itself ends with its parts, which end before their server.
    if (request.exchange === undefined) return next(request);
    if (lifecycle.closed && !isExempt(request)) return Promise.resolve(refuse(lifecycle));
    if (!isLongRunning(request.info)) {
      lifecycle.begin();
      request.atEnd.push(() => lifecycle.end());
      return next(request);
    }
    return next(request).then((response) => {
      if (response.kind === "watch") {
        const { watcher } = response;
        request.atEnd.push(lifecycle.addWatch(() => watcher.close()));
      }
      return response;
    });
  };
}

function isExempt(request: ApiRequest): boolean {
  return (
    EXEMPT.some((prefix) => request.path.startsWith(prefix)) ||
    (request.header("user-agent") ?? "").startsWith("kube-apiserver/")
  );
}

function refuse({ options }: Lifecycle) {
  if (options.sendRetryAfter)
    return text(429, "The apiserver is shutting down, please try again later.\n", {
      connection: "close",
      "retry-after": "5",
    });
  return text(503, "apiserver is shutting down\n", { "retry-after": "1" });
}

/** Now and then a client on HTTP/2 is asked to connect anew, and comes to another server. */
export function goaway(chance: number, random: Random): Filter {
  return (request, next) => {
    if (request.exchange?.request.httpVersion === "2.0" && random.next() < chance)
      request.responseHeaders.set("connection", "close");
    return next(request);
  };
}
