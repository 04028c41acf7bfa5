/**
 * Logs, exec, attach and port-forward, which are forwarded to the kubelet of the pod's node.
 * Upstream: pkg/registry/core/pod/rest, pkg/registry/core/pod/strategy.go.
 */
import { isAllowed, resourceAttributes } from "../authz/authorizer.ts";
import { acceptWebSocket, isWebSocketRequest } from "../../wire/websocket/websocket.ts";
import type { Exchange } from "../../world/net.ts";
import { containersOf } from "../../api/core/v1/pod/validation/containers-of.ts";
import type { Pod } from "../../api/generated/core.v1.ts";
import { badRequest, forbidden, internalError, StatusError, type Reason } from "../../machinery/status.ts";
import { remoteCommandOptions } from "../../wire/streaming/remote-command.ts";
import type { Services, WriteContext } from "../registry/context.ts";
import type { Resource } from "../../machinery/resource.ts";
import { admissionRequest } from "../registry/create.ts";
import { get } from "../registry/read.ts";
import type { SpecialSubresource } from "../registry/specials/index.ts";
import type { ApiRequest } from "../request.ts";
import { kubeletOf } from "./kubelet.ts";
import { logQuery } from "./log-options.ts";
import { relay, type Target } from "./relay.ts";
import { isTunnel, isVersion5, translate, tunnel, type StreamRequest } from "./translate.ts";
import { counter } from "../../observe/metrics.ts";
import { isTrue } from "../request-info.ts";
import { writeContext } from "../handlers/options.ts";

const logUses = counter("kube_apiserver_pod_logs_insecure_backend_total", {
  help: "Total number of requests for pods/logs sliced by usage type: enforce_tls, skip_tls_allowed, skip_tls_denied",
  labels: ["usage"],
});
export const logTlsFailures = counter("kube_apiserver_pod_logs_backend_tls_failure_total", {
  help: "Total number of requests for pods/logs that failed due to kubelet server TLS verification",
});

export const podLog: SpecialSubresource = {
  verbs: ["get"],
  async handle(services, request, pods, namespace) {
    // Who asks for it takes the log of whoever answers at the node's address.
    const unchecked = isTrue(request.query.get("insecureSkipTLSVerifyBackend"));
    services.metrics.add(logUses, { usage: unchecked ? "skip_tls_allowed" : "enforce_tls" });
    const streams = services.featureGates.get("PodLogsQuerySplitStreams") === true;
    const query = logQuery(request.query, request.info.name, { streams });
    const pod = (await get(services, pods, namespace, request.info.name, "")).view(pods) as Pod;
    const container = containerOf(pod, request.query.get("container") ?? "");
    // Nobody has run it yet: there is nothing to tell.
    if (!pod.spec.nodeName) return { kind: "raw", status: 204, headers: {}, body: "" };
    const path = `/containerLogs/${encode(namespace)}/${encode(pod.metadata.name)}/${encode(container)}`;
    const kubelet = await kubeletOf(services, pod.spec.nodeName, "pods");
    const { ca: _, ...trusting } = { ...kubelet.tls, insecureSkipVerify: true };
    const target: Target = {
      ...(unchecked ? { ...kubelet, tls: trusting } : kubelet),
      refusal(words, method, url) {
        if (/certificate|unable to verify|altnames|signature/i.test(words)) services.metrics.add(logTlsFailures, {});
        return kubelet.refusal!(words, method, url);
      },
    };
    const { exchange } = request;
    const inMessages = exchange !== undefined && isWebSocketRequest(exchange);
    const answer = await relay(services, request, target, withQuery(path, query), { upgrades: false, anonymous: true });
    if (answer.kind !== "raw") return answer;
    const { location } = answer.headers;
    if (answer.status >= 300 && answer.status < 400 && location !== undefined)
      throw kubelet.refusal!("redirects forbidden", "GET", new URL(String(location), target.base).href);
    if (answer.status < 200 || answer.status > 206)
      throw refusedLog(pod.metadata.name, answer.status, await textOf(answer.body));
    if (!inMessages)
      return { kind: "raw", status: 200, headers: { "content-type": "text/plain" }, body: soFar(answer.body) };
    await sendInMessages(exchange, answer.body);
    return { kind: "taken" };
  },
};

/** A log that breaks off ends: what there was of it is worth having. */
async function* soFar(body: AsyncIterable<Uint8Array> | Uint8Array | string): AsyncGenerator<Uint8Array> {
  if (typeof body === "string" || body instanceof Uint8Array) return yield Buffer.from(body);
  try {
    yield* body;
  } catch {
    return;
  }
}

const BASE64 = "base64.binary.k8s.io";

/** A log over a WebSocket: a message for each piece. Upstream: k8s.io/streaming/pkg/httpstream/wsstream (Reader) */
async function sendInMessages(
  exchange: Exchange,
  body: AsyncIterable<Uint8Array> | Uint8Array | string,
): Promise<void> {
  const socket = acceptWebSocket(exchange, ["binary.k8s.io", BASE64]);
  if (socket === undefined) return;
  let isOpen = true;
  void socket.closed.then(() => (isOpen = false));
  // Tells the client that somebody is there.
  await socket.send(socket.protocol === BASE64 ? "" : new Uint8Array(0));
  const pieces = typeof body === "string" || body instanceof Uint8Array ? [Buffer.from(body)] : body;
  try {
    for await (const piece of pieces) {
      if (!isOpen) break;
      if (piece.length === 0) continue;
      await socket.send(socket.protocol === BASE64 ? Buffer.from(piece).toString("base64") : piece);
    }
  } finally {
    socket.close();
  }
}

/** What the kubelet said in plain words becomes a Status. Upstream: pkg/registry/generic/rest/response_checker.go */
function refusedLog(name: string, code: number, words: string): StatusError {
  if (code === 400) return badRequest(words);
  if (code === 500) return internalError(words);
  const about = `( pods/log ${name})`;
  const details = { name, kind: "pods/log" };
  const [reason, message] = REFUSALS[code] ?? [
    "Unknown",
    `the server responded with the status code ${code} but did not return more information`,
  ];
  return new StatusError(reason, `${code === 403 ? words : message} ${about}`, details, { code });
}

const REFUSALS: Readonly<Record<number, readonly [reason: Reason, message: string]>> = {
  401: ["Unauthorized", "the server has asked for the client to provide credentials"],
  403: ["Forbidden", ""],
  404: ["NotFound", "the server could not find the requested resource"],
  405: ["MethodNotAllowed", "the server does not allow this method on the requested resource"],
  409: ["Conflict", "the server reported a conflict"],
  422: ["Invalid", "the server rejected our request due to an error in our request"],
  429: ["TooManyRequests", "the server has received too many requests and has asked us to try again later"],
  503: ["ServiceUnavailable", "the server is currently unable to handle the request"],
  504: [
    "Timeout",
    "the server was unable to return a response in the time allotted, but may still be processing the request",
  ],
};

const WORDS_MAX = 10 * 1024;

async function textOf(body: Uint8Array | string | AsyncIterable<Uint8Array>): Promise<string> {
  if (typeof body === "string") return body;
  if (body instanceof Uint8Array) return Buffer.from(body).toString("utf8");
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of body) {
    chunks.push(chunk);
    length += chunk.length;
    if (length > WORDS_MAX) break;
  }
  return Buffer.concat(chunks).subarray(0, WORDS_MAX).toString("utf8");
}

/** The object that admission sees of a connection: what the query says, in the types of the kind. */
export function optionsOf(kind: "exec" | "attach" | "portforward", query: URLSearchParams): Record<string, unknown> {
  if (kind === "portforward") {
    const ports = query.getAll("ports").map(Number);
    return { kind: "PodPortForwardOptions", apiVersion: "v1", ...(ports.length > 0 && { ports }) };
  }
  const isSet = (name: string) => query.has(name) && !/^(false|0)$/i.test(query.get(name)!);
  const flags = ["stdin", "stdout", "stderr", "tty"].filter(isSet);
  const container = query.get("container");
  const command = query.getAll("command");
  return {
    kind: kind === "exec" ? "PodExecOptions" : "PodAttachOptions",
    apiVersion: "v1",
    ...Object.fromEntries(flags.map((name) => [name, true])),
    ...(container !== null && container !== "" && { container }),
    ...(kind === "exec" && { command }),
  };
}

/** Asks admission about a connection, by what it sees of it. */
export async function admitConnection(
  services: Services,
  request: ApiRequest,
  resource: Resource,
  subresource: string,
  namespace: string,
  options: Record<string, unknown>,
): Promise<void> {
  const context: WriteContext = writeContext(services, request, "CreateOptions");
  const { name } = request.info;
  const admission = admissionRequest(context, resource, subresource, "CONNECT", namespace, name, options, undefined);
  await services.admission.admit(admission);
  await services.admission.validate(admission);
}

export function podStream(kind: "exec" | "attach" | "portforward"): SpecialSubresource {
  return {
    verbs: ["get", "create"],
    connects: true,
    async handle(services, request, pods, namespace) {
      const { name } = request.info;
      await mayCreate(services, request, namespace, kind);
      await admitConnection(services, request, pods, kind, namespace, optionsOf(kind, request.query));
      const pod = (await get(services, pods, namespace, name, "")).view(pods) as Pod;
      const query = new URLSearchParams();
      let path: string;
      if (kind === "portforward") {
        path = `/portForward/${encode(namespace)}/${encode(name)}`;
        const ports = request.query.getAll("ports");
        for (const port of ports) if (!/^\d+$/.test(port)) throw badRequest(noPort(port));
        if (ports.length > 0) query.set("port", ports.join(","));
      } else {
        const container = containerOf(pod, request.query.get("container") ?? "");
        path = `/${kind}/${encode(namespace)}/${encode(name)}/${encode(container)}`;
        // The kubelet's own names: input, output, error.
        for (const [ours, theirs] of [
          ["stdin", "input"],
          ["stdout", "output"],
          ["stderr", "error"],
          ["tty", "tty"],
        ] as const)
          if (isTrue(request.query.get(ours))) query.set(theirs, "1");
        if (kind === "exec") for (const command of request.query.getAll("command")) query.append("command", command);
      }
      query.sort(); // As Go writes them.
      const kubelet = await kubeletOf(services, nodeOf(pod), "pods");
      const address = withQuery(path, query);
      const stream: StreamRequest = { services, request, kubelet, path: address };
      if (!kubelet.features.includes("ExtendWebSocketsToKubelet")) {
        if (
          kind === "portforward"
            ? isTunnel(request) && services.featureGates.get("PortForwardWebsockets") !== false
            : false
        )
          return tunnel(stream);
        if (
          kind !== "portforward" &&
          isVersion5(request) &&
          services.featureGates.get("TranslateStreamCloseWebsocketRequests") !== false
        )
          return translate(stream, remoteCommandOptions(query));
      }
      return relay(services, request, kubelet, address, { upgradeRequired: true });
    },
  };
}

/** A WebSocket begins with GET, and yet runs a command: it takes the right to create as well. */
async function mayCreate(
  { authorizer }: Services,
  request: ApiRequest,
  namespace: string,
  subresource: string,
): Promise<void> {
  if (request.info.verb !== "get") return;
  const attributes = resourceAttributes({
    user: request.user!,
    verb: "create",
    group: "",
    version: "v1",
    resource: "pods",
    subresource,
    namespace,
    name: request.info.name,
  });
  if (!(await isAllowed(authorizer, attributes))) throw forbidden({ group: "", plural: "pods" }, request.info.name, "");
}

function nodeOf(pod: Pod): string {
  const node = pod.spec.nodeName ?? "";
  if (node === "") throw badRequest(`pod ${pod.metadata.name} does not have a host assigned`);
  return node;
}

/** The one that is asked for, or the only one there is. */
export function containerOf({ metadata: { name }, spec }: Pick<Pod, "metadata" | "spec">, asked: string): string {
  const main = spec.containers ?? [];
  const all = containersOf(spec, "").map(({ container }) => container.name);
  if (asked !== "") {
    if (!all.includes(asked)) throw badRequest(`container ${asked} is not valid for pod ${name}`);
    return asked;
  }
  if (main.length === 1) return main[0]!.name;
  if (main.length === 0) throw badRequest(`a container name must be specified for pod ${name}`);
  throw badRequest(`a container name must be specified for pod ${name}, choose one of: [${all.join(" ")}]`);
}

const noPort = (port: string) =>
  `cannot convert to []int32: strconv.ParseUint: parsing ${JSON.stringify(port)}: invalid syntax`;

const encode = encodeURIComponent;

function withQuery(path: string, query: URLSearchParams): string {
  const text = query.toString();
  return text === "" ? path : `${path}?${text}`;
}
