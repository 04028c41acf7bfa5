/**
 * `/statusz` and `/flagz`: what runs here, since when, and how it was started, for people in words and for programs as objects.
 * Upstream: pkg/server/{statusz,flagz}
 */
import { parseAccept } from "../../machinery/codec/content.ts";
import { encodeYaml } from "../../machinery/codec/yaml.ts";
import { formatTime } from "../../machinery/meta/time.ts";
import { StatusError } from "../../machinery/status.ts";
import { isPretty } from "../negotiation.ts";
import type { ApiRequest, ApiResponse } from "../request.ts";
import { VERSION } from "../version.ts";

const COMPONENT = "apiserver";
const GROUP = "config.k8s.io";
/** The older one still answers, with a warning. */
const VERSIONS = ["v1beta1", "v1alpha1"];
/** What isn't there to look into the server. */
const NOT_LISTED = new Set(["/apis", "/api", "/openid", "/openapi", "/.well-known"]);
const TAKEN = ["application/json", "application/yaml", "text/plain"];

export interface StatuszOptions {
  readonly now: number;
  readonly startedAt: number;
  readonly paths: readonly string[];
}

export function statusz(request: ApiRequest, { now, startedAt, paths }: StatuszOptions): ApiResponse {
  const uptime = Math.max(0, Math.floor((now - startedAt) / 1000));
  const binaryVersion = VERSION.gitVersion.replace(/^v|[-+].*$/g, "");
  const emulationVersion = `${VERSION.emulationMajor}.${VERSION.emulationMinor}`;
  const folders = [...new Set(paths.map((path) => `/${path.split("/")[1] ?? ""}`))]
    .filter((folder) => folder !== "/" && !NOT_LISTED.has(folder))
    .sort();
  const text = () => `
Started: ${unixDate(startedAt)}
Up: ${Math.floor(uptime / 3600)} hr ${String(Math.floor(uptime / 60) % 60).padStart(2, "0")} min ${String(uptime % 60).padStart(2, "0")} sec
Go version: ${VERSION.goVersion}
Binary version: ${binaryVersion}
Emulation version: ${emulationVersion}
Paths: ${folders.join(" ")}
`;
  return page(request, "Statusz", text, {
    startTime: formatTime(startedAt),
    uptimeSeconds: uptime,
    goVersion: VERSION.goVersion,
    binaryVersion,
    emulationVersion,
    paths: folders,
  });
}

export function flagz(request: ApiRequest, flags: Readonly<Record<string, string>>): ApiResponse {
  const sorted = Object.entries(flags).sort(([a], [b]) => (a < b ? -1 : 1));
  const text = () => sorted.map(([name, value]) => `${name}=${value}\n`).join("");
  return page(request, "Flagz", text, sorted.length === 0 ? {} : { flags: Object.fromEntries(sorted) });
}

function page(request: ApiRequest, kind: "Statusz" | "Flagz", text: () => string, content: object): ApiResponse {
  const path = kind.toLowerCase();
  const wanted = wantedForm(request, kind);
  if (wanted === undefined)
    throw new StatusError("NotAcceptable", `only the following media types are accepted: ${TAKEN.join(", ")}`);
  if (wanted === "text") {
    const warning =
      "Warning: This endpoint is not meant to be machine parseable, has no formatting compatibility guarantees and is for debugging purposes only.";
    const body = `\n${COMPONENT} ${path}\n${warning}\n${text()}`;
    return { kind: "raw", status: 200, headers: { "content-type": "text/plain; charset=utf-8" }, body };
  }
  const { type, version, pretty } = wanted;
  const object = { kind, apiVersion: `${GROUP}/${version}`, metadata: { name: COMPONENT }, ...content };
  if (version !== VERSIONS[0])
    request.responseHeaders.set(
      "warning",
      `299 - "This version of the ${path} endpoint is deprecated. Please use a newer version."`,
    );
  const body =
    type === "application/yaml"
      ? encodeYaml(object)
      : pretty
        ? JSON.stringify(object, undefined, 2)
        : `${JSON.stringify(object)}\n`;
  return { kind: "raw", status: 200, headers: { "content-type": `${type};g=${GROUP};v=${version};as=${kind}` }, body };
}

interface Structured {
  readonly type: string;
  readonly version: string;
  readonly pretty: boolean;
}

/** The first clause that can be met. Objects have to be asked for by their kind. */
function wantedForm(request: ApiRequest, kind: string): "text" | Structured | undefined {
  const header = request.header("accept") ?? "";
  if (header.trim() === "") return "text";
  for (const { type, parameters } of parseAccept(header))
    for (const known of TAKEN) {
      if (type !== known && type !== "*/*" && type !== `${known.split("/")[0]}/*`) continue;
      const { as = "", g: group = "", v: version = "" } = parameters;
      if (as === "" && group === "" && version === "") {
        if (known === "text/plain") return "text";
        continue;
      }
      if (known === "text/plain" || as !== kind || group !== GROUP || !VERSIONS.includes(version)) continue;
      return { type: known, version, pretty: isPretty(request, parameters) };
    }
  return undefined;
}

/** As `date` prints it. */
function unixDate(ms: number): string {
  const [day = "", date = "", month = "", year = "", time = ""] = new Date(ms)
    .toUTCString()
    .replace(",", "")
    .split(" ");
  return `${day} ${month} ${date.replace(/^0/, " ")} ${time} UTC ${year}`;
}
