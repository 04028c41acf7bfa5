/**
 * The HTTPS port of a component that serves no API: health, metrics, configuration.
 * Upstream: staging/src/k8s.io/apiserver/pkg/server/{healthz,mux}, component-base/configz
 */
import type { Component } from "../../base/component-group.ts";
import { deferred } from "../../base/deferred.ts";
import { createClient } from "../../client/create-client.ts";
import type { Client } from "../../client/client.ts";
import { httpsTransport } from "../../client/https.ts";
import type { Logger } from "../../observe/log.ts";
import type { Metrics } from "../../observe/metrics.ts";
import type { Exchange, ServerTls } from "../../world/net.ts";
import type { World } from "../../world/world.ts";
import { primaryAddress } from "../host-facts.ts";
import { connection } from "./connection.ts";
import { delegatedAuth } from "./delegated-auth.ts";
import { readOptional, readPair } from "./files.ts";
import { tlsBounds } from "./tls-bounds.ts";

export interface Check {
  readonly name: string;
  /** What is wrong; undefined when all is well. */
  check(): string | undefined;
}

interface ServingValues {
  readonly "bind-address": string;
  readonly "secure-port": number;
  readonly "cert-dir": string;
  readonly "tls-cert-file": string;
  readonly "tls-private-key-file": string;
  readonly "tls-cipher-suites": readonly string[];
  readonly "tls-min-version": string;
  readonly "client-ca-file": string;
  readonly "authentication-kubeconfig": string;
  readonly "authorization-kubeconfig": string;
  readonly "authorization-always-allow-paths": readonly string[];
}

export interface ServingOptions {
  readonly name: string;
  readonly world: World;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly userAgent: string;
  readonly values: ServingValues;
  readonly checks: readonly Check[];
  /** What /configz shows, by the name of the configuration. */
  readonly configz: Readonly<Record<string, unknown>>;
}

const TEXT = { "content-type": "text/plain; charset=utf-8", "x-content-type-options": "nosniff" };

/** Undefined for `--secure-port 0`. */
export async function servingPort(options: ServingOptions): Promise<Component | undefined> {
  const { name, world, values, log } = options;
  if (values["secure-port"] === 0) return undefined;
  const tls = await servingTls(world, name, values);
  const clients: Client[] = [];
  const client = async (kubeconfig: string): Promise<Client | undefined> => {
    if (kubeconfig === "") return undefined;
    const made = createClient(httpsTransport(world, await connection(world, { kubeconfig }, options.userAgent)));
    clients.push(made);
    return made;
  };
  const refusalOf = delegatedAuth({
    clock: world.clock,
    authentication: await client(values["authentication-kubeconfig"]),
    authorization: await client(values["authorization-kubeconfig"]),
    openPaths: values["authorization-always-allow-paths"],
  });
  return {
    name: `${name} port`,
    async run(signal, ready) {
      const listening = { host: values["bind-address"], port: values["secure-port"], tls };
      await using listener = await world.net.serveHttp(listening, async (exchange) => {
        try {
          const refusal = await refusalOf(exchange.request);
          if (refusal === undefined) await answer(options, exchange);
          else exchange.respond(refusal.status, TEXT, `${refusal.message}\n`);
        } catch (error) {
          log.error("HTTP request failed", error, { url: exchange.request.url });
          exchange.respond(500, TEXT, "Internal Server Error\n");
        }
      });
      log.info("Serving securely on", { address: `${listener.address.host}:${listener.address.port}` });
      ready();
      const stopped = deferred();
      signal.addEventListener("abort", () => stopped.resolve(), { once: true });
      if (!signal.aborted) await stopped.promise;
      await listener.close(0);
      for (const { transport } of clients) await transport.close();
    },
  };
}

/** The certificate that flags name, or one of the component's own. */
export async function servingTls(
  world: World,
  name: string,
  values: Pick<
    ServingValues,
    "bind-address" | "cert-dir" | "tls-cert-file" | "tls-private-key-file" | "client-ca-file"
  > &
    Partial<Pick<ServingValues, "tls-cipher-suites" | "tls-min-version">>,
): Promise<ServerTls> {
  const clientCa = await readOptional(world.fs, values["client-ca-file"]);
  const given = await readPair(
    world.fs,
    ["tls-cert-file", values["tls-cert-file"]],
    ["tls-private-key-file", values["tls-private-key-file"]],
  );
  const { cert, key } = given ?? (await ownPair(world, name, values["cert-dir"], values["bind-address"]));
  const bounds = tlsBounds(values);
  return { cert, key, bounds, ...(clientCa !== undefined && { clientCa }) };
}

/** `NAME.crt` and `NAME.key` of the folder, made where they are missing. */
export async function ownPair(
  world: World,
  name: string,
  dir: string,
  bindAddress: string,
  host?: string,
  names: readonly string[] = [],
  addresses: readonly string[] = [],
) {
  // Certificates that are there (envtest puts them) need no code that makes some.
  if (dir !== "" && (await world.fs.stat(`${dir}/${name}.crt`)) !== undefined)
    return (await readPair(world.fs, ["cert-dir", `${dir}/${name}.crt`], ["cert-dir", `${dir}/${name}.key`]))!;
  const { ensureServingPair } = await import("../pki.ts");
  const everywhere = bindAddress === "" || bindAddress === "0.0.0.0" || bindAddress === "::";
  const address = everywhere ? primaryAddress(world) : bindAddress;
  return await ensureServingPair(world, dir, name, {
    host: host || world.host.hostname.toLowerCase(),
    names: ["localhost", ...names],
    addresses: [...new Set(["127.0.0.1", address, ...addresses])],
  });
}

async function answer({ metrics, checks, configz }: ServingOptions, exchange: Exchange): Promise<void> {
  const { pathname, searchParams } = new URL(exchange.request.url, "http://component");
  const [root, ...rest] = pathname.slice(1).split("/");
  switch (root) {
    case "healthz":
    case "livez":
    case "readyz": {
      const only = rest.join("/");
      const mine = [{ name: "ping", check: () => undefined }, ...checks].filter(
        ({ name }) => only === "" || name === only,
      );
      if (mine.length === 0) return exchange.respond(404, TEXT, "404 page not found\n");
      const excluded = new Set(searchParams.getAll("exclude"));
      const results = mine.map(({ name, check }) => [name, excluded.has(name) ? undefined : check()] as const);
      const failed = results.some(([, why]) => why !== undefined);
      const lines = results.map(([name, why]) =>
        why === undefined
          ? `[+]${name} ${excluded.has(name) ? "excluded: " : ""}ok\n`
          : `[-]${name} failed: reason withheld\n`,
      );
      if (failed) return exchange.respond(500, TEXT, `${lines.join("")}${root} check failed\n`);
      return exchange.respond(
        200,
        TEXT,
        searchParams.has("verbose") ? `${lines.join("")}${root} check passed\n` : "ok",
      );
    }
    case "metrics":
      if (rest.length > 0) break;
      return exchange.respond(
        200,
        { "content-type": "text/plain; version=0.0.4; charset=utf-8" },
        await metrics.render(),
      );
    case "configz":
      if (rest.length > 0) break;
      return exchange.respond(200, { "content-type": "application/json" }, JSON.stringify(configz));
  }
  exchange.respond(404, TEXT, "404 page not found\n");
}
