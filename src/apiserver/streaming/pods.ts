/**
 * Logs, exec, attach and port-forward, which are forwarded to the kubelet of the pod's node.
 * Upstream: pkg/registry/core/pod/rest, pkg/registry/core/pod/strategy.go.
 */
import { isAllowed, resourceAttributes } from "../authz/authorizer.ts";
import { acceptWebSocket, isWebSocketRequest } from "../../wire/websocket/websocket.ts";
import type { Exchange } from "../../world/net.ts";
import { containersOf } from "../../api/core/v1/pod/validation/containers-of.ts";
import type { Pod } from "../../api/generated/core.v1.ts";
import { badRequest, forbidden, StatusError } from "../../machinery/status.ts";
import type { Services, WriteContext } from "../registry/context.ts";
import { admissionRequest } from "../registry/create.ts";
import { get } from "../registry/read.ts";
import type { SpecialSubresource } from "../registry/specials/index.ts";
import type { ApiRequest } from "../request.ts";
import { refusal } from "../authz/authorizer.ts";
import { kubeletOf } from "./kubelet.ts";
import { logQuery } from "./log-options.ts";
import { relay, type Target } from "./relay.ts";
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
    const kubelet = await kubeletOf(services, nodeOf(pod));
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
    const answer = await relay(services, request, target, withQuery(path, query), { upgrades: !inMessages });
    if (answer.kind === "raw" && (answer.status < 200 || answer.status > 206))
      throw refusedLog(pod.metadata.name, answer.status, await textOf(answer.body));
    if (!inMessages || answer.kind !== "raw") return answer;
    await sendInMessages(exchange, answer.body);
    return { kind: "taken" };
  },
};

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
  if (code === 500) return new StatusError("InternalError", `Internal error occurred: ${words}`);
  const about = `( pods/log ${name})`;
  if (code === 401)
    return new StatusError("Unauthorized", `the server has asked for the client to provide credentials ${about}`);
  if (code === 403) return new StatusError("Forbidden", `${words} ${about}`);
  if (code === 404) return new StatusError("NotFound", `the server could not find the requested resource ${about}`);
  const message = `the server responded with the status code ${code} but did not return more information ${about}`;
  return new StatusError("Unknown", message, {}, { code });
}

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

export function podStream(kind: "exec" | "attach" | "portforward"): SpecialSubresource {
  return {
    verbs: ["get", "create"],
    connects: true,
    async handle(services, request, pods, namespace) {
      const { name } = request.info;
      await mayCreate(services, request, namespace, kind);
      const pod = (await get(services, pods, namespace, name, "")).view(pods) as Pod;
      const context: WriteContext = writeContext(services, request, "CreateOptions");
      const options = optionsOf(kind, request.query);
      const admission = admissionRequest(context, pods, kind, "CONNECT", namespace, name, options, undefined);
      await services.admission.admit(admission);
      await services.admission.validate(admission);
      const query = new URLSearchParams();
      let path: string;
      if (kind === "portforward") {
        path = `/portForward/${encode(namespace)}/${encode(name)}`;
        for (const ports of request.query.getAll("ports")) query.append("ports", ports);
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
        for (const command of request.query.getAll("command")) query.append("command", command);
      }
      const target = await kubeletOf(services, nodeOf(pod));
      return relay(services, request, target, withQuery(path, query));
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
  if (!(await isAllowed(authorizer, attributes)))
    throw forbidden({ group: "", plural: "pods" }, request.info.name, refusal(attributes));
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

const encode = encodeURIComponent;

function withQuery(path: string, query: URLSearchParams): string {
  const text = query.toString();
  return text === "" ? path : `${path}?${text}`;
}
