/** What can be wrong with the flags of an API server beyond their types, in upstream's words. Upstream: pkg/server/options/{server_run_options,serving}.go */
import { isIP } from "node:net";
import { RE2JS } from "re2js";
import { GO_NAMES } from "../../etcd/tls/cipher-suites.ts";
import { KUBERNETES_VERSION } from "../version.ts";

interface Checked {
  readonly "bind-address": string;
  readonly "advertise-address": string;
  readonly "cors-allowed-origins": readonly string[];
  readonly "strict-transport-security-directives": readonly string[];
  readonly "kubernetes-service-node-port": number;
  readonly "service-node-port-range": string;
  readonly "service-cluster-ip-range": string;
  readonly "emulated-version": readonly string[];
  readonly "min-compatibility-version": readonly string[];
  readonly "emulation-forward-compatible": boolean;
  readonly "runtime-config-emulation-forward-compatible": boolean;
  readonly "tls-cipher-suites": readonly string[];
  readonly "tls-min-version": string;
}

const CORS_HELP =
  "List of allowed origins for CORS, comma separated. An allowed origin can be a regular expression to support subdomain matching. If this list is empty CORS will not be enabled. Please ensure each expression matches the entire hostname by anchoring to the start with '^' or including the '//' prefix, and by anchoring to the end with '$' or including the ':' port separator suffix. Examples of valid expressions are '//example\\.com(:|$)' and '^https://example\\.com(:|$)'";

export function checkServer(values: Checked): readonly string[] {
  return [
    ...addressErrors(values),
    ...versionErrors(values),
    ...values["cors-allowed-origins"].flatMap(corsError),
    ...values["strict-transport-security-directives"].flatMap(directiveError),
    ...nodePortErrors(values["kubernetes-service-node-port"], values["service-node-port-range"]),
    ...rangeErrors(values["service-cluster-ip-range"]),
    ...tlsErrors(values),
  ];
}

function addressErrors(values: Checked): string[] {
  return (["bind-address", "advertise-address"] as const).flatMap((flag) =>
    values[flag] === "" || isIP(values[flag]) !== 0
      ? []
      : [
          `invalid argument ${JSON.stringify(values[flag])} for "--${flag}" flag: failed to parse IP: ${JSON.stringify(values[flag])}`,
        ],
  );
}

/** How far back upstream can pretend to be. */
const EMULATED_MIN = [1, 33] as const;

/** A server that is asked to be an older one would have to serve what that one served: it says that it can't. */
function versionErrors(values: Checked): string[] {
  const own = /(\d+)\.(\d+)\.(\d+)/.exec(KUBERNETES_VERSION)!;
  const [major, minor] = [Number(own[1]), Number(own[2])];
  const errors: string[] = [];
  const versionOf = (words: readonly string[]): readonly [number, number] | undefined => {
    const word = words.at(-1);
    if (word === undefined) return undefined;
    const [component, text] = word.includes("=") ? (word.split("=") as [string, string]) : ["kube", word];
    const found = /^v?(\d+)\.(\d+)$/.exec(text);
    if (component !== "kube") errors.push(`component not registered: ${component}`);
    else if (found === null) errors.push(`could not parse ${JSON.stringify(text)} as version`);
    else return [Number(found[1]), Number(found[2])];
    return undefined;
  };
  const between = ([a, b]: readonly [number, number]) => a === major && b >= EMULATED_MIN[1] && b <= minor;
  const emulated = versionOf(values["emulated-version"]);
  const isOlder = emulated !== undefined && emulated.join(".") !== `${major}.${minor}`;
  if (emulated !== undefined && !between(emulated))
    errors.push(
      `emulation version ${emulated.join(".")} is not between [${EMULATED_MIN.join(".")}, ${own[1]}.${own[2]}.0]`,
    );
  else if (isOlder)
    errors.push(`--emulated-version ${emulated.join(".")} is not supported: this server is of ${major}.${minor} alone`);
  const compatible = versionOf(values["min-compatibility-version"]);
  if (compatible !== undefined && !between(compatible))
    errors.push(
      `minCompatibilityVersion version ${compatible.join(".")} is not between [${EMULATED_MIN.join(".")}, ${major}.${minor}]`,
    );
  const forward = [
    ["emulation-forward-compatible", "EmulationForwardCompatible"],
    ["runtime-config-emulation-forward-compatible", "RuntimeConfigEmulationForwardCompatible"],
  ] as const;
  for (const [flag, name] of forward)
    if (values[flag] && !isOlder)
      errors.push(
        `ServerRunOptions.${name} cannot be set to true if the emulation version is the same as the binary version`,
      );
  return errors;
}

function corsError(origin: string): string[] {
  if (origin === "") return [`empty value in --cors-allowed-origins, help: ${CORS_HELP}`];
  const wrong = (why: string) => [
    `--cors-allowed-origins has an invalid regular expression: ${why}, help: ${CORS_HELP}`,
  ];
  try {
    RE2JS.compile(origin);
  } catch (error) {
    return wrong((error as Error).message);
  }
  const pinned = /\^|\/\//.test(origin) && /[$:]/.test(origin);
  return pinned ? [] : wrong("regular expression does not pin to start/end of host in the origin header");
}

function directiveError(directive: string): string[] {
  if (directive.trim() === "") return ["empty value in strict-transport-security-directives"];
  if (directive === "includeSubDomains" || directive === "preload" || /^max-age=[^=]*$/.test(directive)) return [];
  return [
    "--strict-transport-security-directives invalid, allowed values: max-age=expireTime, includeSubDomains, preload. see https://tools.ietf.org/html/rfc6797#section-6.1 for more information",
  ];
}

function nodePortErrors(port: number, range: string): string[] {
  const [from = 0, to = from] = range.split("-").map(Number);
  if (to < from)
    return [
      `invalid argument ${JSON.stringify(range)} for "--service-node-port-range" flag: end port cannot be less than start port: ${range}`,
    ];
  const errors: string[] = [];
  if (port < 0 || port > 65_535)
    errors.push(
      `--kubernetes-service-node-port ${port} must be between 0 and 65535, inclusive. If 0, the Kubernetes master service will be of type ClusterIP`,
    );
  if (port > 0 && (port < from || port > to))
    errors.push(`kubernetes service node port range ${range} doesn't contain ${port}`);
  return errors;
}

function rangeErrors(ranges: string): string[] {
  return ranges.split(",").flatMap((range, i) => {
    const [address = "", bits = ""] = range.trim().split("/");
    const width = isIP(address) === 6 ? 128 : 32;
    const good = isIP(address) !== 0 && /^\d+$/.test(bits) && Number(bits) <= width;
    return good ? [] : [`service-cluster-ip-range[${i}] is not a valid cidr`];
  });
}

const VERSIONS = ["", "VersionTLS10", "VersionTLS11", "VersionTLS12", "VersionTLS13"];

function tlsErrors(values: Checked): string[] {
  const unknown = values["tls-cipher-suites"].find((name) => !GO_NAMES.includes(name));
  const version = values["tls-min-version"];
  return [
    ...(VERSIONS.includes(version) ? [] : [`unknown tls version ${JSON.stringify(version)}`]),
    ...(unknown === undefined ? [] : [`Cipher suite ${unknown} not supported or doesn't exist`]),
  ];
}
