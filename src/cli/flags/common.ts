import type { Flags } from "../flags.ts";

/** What every command that finds a cluster takes. */
export const clusterFlags = {
  name: { type: "string", default: "default", help: "The cluster's name." },
  "data-dir": {
    type: "string",
    default: "",
    help: "Where the cluster keeps everything. Empty means /var/lib/typernetes/NAME for root, $XDG_DATA_HOME/typernetes/NAME otherwise.",
  },
} as const satisfies Flags;

export const logFlags = {
  v: { type: "int", short: "v", default: 0, help: "Number for the log level verbosity." },
  "logging-format": {
    type: "string",
    default: "text",
    help: 'Sets the log format. Permitted formats: "json", "text".',
  },
} as const satisfies Flags;
