/**
 * What came of reading a configuration file again, and which content is in force.
 * Upstream: pkg/server/options/{authenticationconfig,authorizationconfig}/metrics
 */
import { createHash } from "node:crypto";
import type { Metrics, Reading } from "../observe/metrics.ts";
import { counter, gauge } from "../observe/metrics.ts";
import type { Clock } from "../world/world.ts";

export type Configured = "authentication" | "authorization";

const declared = (of: Configured) => ({
  reloads: counter(`apiserver_${of}_config_controller_automatic_reloads_total`, {
    help: `Total number of automatic reloads of ${of} configuration split by status and apiserver identity.`,
    labels: ["status", "apiserver_id_hash"],
    stability: "BETA",
  }),
  reloadedAt: gauge(`apiserver_${of}_config_controller_automatic_reload_last_timestamp_seconds`, {
    help: `Timestamp of the last automatic reload of ${of} configuration split by status and apiserver identity.`,
    labels: ["status", "apiserver_id_hash"],
    stability: "BETA",
  }),
  inForce: gauge(`apiserver_${of}_config_controller_last_config_info`, {
    help: `Information about the last applied ${of} configuration with hash as label, split by apiserver identity.`,
    labels: ["apiserver_id_hash", "hash"],
  }),
});

export interface ConfigurationReloads {
  /** The content of the file that the server started with. */
  started(text: string): void;
  succeeded(text: string): void;
  failed(): void;
}

export function configurationReloads(
  of: Configured,
  identity: string,
  { metrics, clock }: { readonly metrics: Metrics; readonly clock: Clock },
): ConfigurationReloads {
  const { reloads, reloadedAt, inForce } = declared(of);
  const server = hashOf(identity);
  let content: string | undefined;
  metrics.from(function* (): Generator<Reading> {
    if (content !== undefined)
      yield { metric: inForce, labels: { apiserver_id_hash: server, hash: hashOf(content) }, value: 1 };
  });
  const note = (status: "success" | "failure") => {
    const labels = { status, apiserver_id_hash: server };
    metrics.add(reloads, labels);
    metrics.set(reloadedAt, labels, clock.now() / 1000);
  };
  return {
    started: (text) => void (content = text),
    succeeded(text) {
      content = text;
      note("success");
    },
    failed: () => note("failure"),
  };
}

const hashOf = (text: string): string =>
  text === "" ? "" : `sha256:${createHash("sha256").update(text).digest("hex")}`;
