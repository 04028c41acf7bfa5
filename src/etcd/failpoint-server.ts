/**
 * Points are turned on and off over HTTP: `GET /` lists them, `GET /name` and `GET /name/count` tell of one, `PUT /name` sets its terms from the
 * body, `DELETE /name` turns it off. `PUT /failpoints` sets several.
 *
 * Upstream: go.etcd.io/gofail/runtime/http.go
 */
import type { Exchange, HttpHandler } from "../world/net.ts";
import { FAILPOINTS, type FailpointSwitch } from "./failpoints.ts";

const TEXT = { "content-type": "text/plain; charset=utf-8", "x-content-type-options": "nosniff" } as const;

export function failpointHandler(points: FailpointSwitch): HttpHandler {
  return async (exchange) => {
    const { method, url } = exchange.request;
    const key = url.slice(1);
    switch (method) {
      case "PUT": {
        const terms = await bodyOf(exchange);
        return attempt(exchange, 400, "fail to set failpoint", () => {
          if (key.toLowerCase() === "failpoints") points.setAll(terms);
          else points.set(key, terms);
          exchange.respond(204, {});
        });
      }
      case "GET":
        if (key === "")
          return exchange.respond(
            200,
            TEXT,
            FAILPOINTS.map((name) => `${name}=${points.get(name)?.text ?? ""}\n`).join(""),
          );
        return attempt(exchange, 404, "failed to GET", () => {
          const name = key.replace(/\/count$/, "");
          const point = points.get(name);
          if (point === undefined) throw new Error("failpoint: failpoint is disabled");
          exchange.respond(200, TEXT, name === key ? `${point.text}\n` : String(point.strikes));
        });
      case "DELETE":
        return attempt(exchange, 400, "failed to delete failpoint", () => {
          points.clear(key);
          exchange.respond(204, {});
        });
      default:
        exchange.respond(405, { ...TEXT, allow: "DELETE, GET, PUT" }, "Method not allowed\n");
    }
  };
}

function attempt(exchange: Exchange, status: number, what: string, run: () => void): void {
  try {
    run();
  } catch (error) {
    exchange.respond(status, TEXT, `${what}: ${(error as Error).message}\n`);
  }
}

async function bodyOf({ request }: Exchange): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of request.body) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}
