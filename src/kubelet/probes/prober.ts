/** Runs one probe of a container: a command, or a request over HTTP, TCP or gRPC. Upstream: pkg/kubelet/prober/prober.go, pkg/probe */
import { bracketed, hostPort } from "../../base/host-port.ts";
import type { ContainerPort, Pod, Probe } from "../../api/generated/core.v1.ts";
import { RpcError } from "../../wire/rpc/service.ts";
import type { HttpResponse } from "../../world/net.ts";
import { deadline } from "../../world/time.ts";
import type { World } from "../../world/world.ts";
import type { AnyContainer } from "../pod.ts";
import { expand } from "../runtime/expansion.ts";
import type { Runtime } from "../runtimes/runtime.ts";

export interface ProbeOutcome {
  readonly answer: "success" | "failure" | "warning" | "unknown";
  readonly output: string;
}

const OUTPUT_MAX = 10 * 1024;
const REDIRECTS_MAX = 10;

export interface ProbeTarget {
  readonly pod: Pod;
  readonly container: AnyContainer;
  readonly containerId: string;
  readonly podIP: string;
}

export async function probeOnce(
  world: Pick<World, "clock" | "net">,
  cri: Runtime,
  probe: Probe,
  target: ProbeTarget,
  signal: AbortSignal,
): Promise<ProbeOutcome> {
  const timeoutSeconds = probe.timeoutSeconds ?? 1;
  if (probe.exec) return probeExec(cri, probe.exec.command ?? [], target, timeoutSeconds);
  if (cri.probe !== undefined) return { answer: cri.probe(target.containerId), output: "" };
  using limit = deadline(world.clock, timeoutSeconds * 1000, signal);
  try {
    if (probe.httpGet) return await probeHttp(world, probe.httpGet, target, limit.signal);
    if (probe.tcpSocket) {
      const host = probe.tcpSocket.host ?? "";
      const port = resolvePort(probe.tcpSocket.port, target.container.ports ?? []);
      const stream = await world.net.connect({ host: host === "" ? target.podIP : host, port, signal: limit.signal });
      stream.destroy();
      return { answer: "success", output: "" };
    }
    if (probe.grpc) return await probeGrpc(world, probe.grpc, target, timeoutSeconds, limit.signal);
  } catch (error) {
    if (error instanceof PortError) return { answer: "unknown", output: error.message };
    if (!limit.signal.aborted || signal.aborted)
      return { answer: "failure", output: networkError(probe, target, error) };
    return { answer: "failure", output: timeoutText(probe, target) };
  }
  return {
    answer: "unknown",
    output: `missing probe handler for ${target.pod.metadata.name}:${target.container.name}`,
  };
}

async function probeExec(
  cri: Runtime,
  command: readonly string[],
  target: ProbeTarget,
  timeoutSeconds: number,
): Promise<ProbeOutcome> {
  const literals = new Map((target.container.env ?? []).map(({ name, value }) => [name, value ?? ""]));
  const cmd = command.map((word) => expand(word, (name) => literals.get(name)));
  try {
    const answer = await cri.runtime.ExecSync({ container_id: target.containerId, cmd, timeout: timeoutSeconds });
    const output = Buffer.concat([answer.stdout, answer.stderr]).subarray(0, OUTPUT_MAX).toString("utf8");
    return { answer: answer.exit_code === 0 ? "success" : "failure", output };
  } catch (error) {
    if (error instanceof RpcError && error.code === "DeadlineExceeded")
      return { answer: "failure", output: `command timed out: "${cmd.join(" ")}" timed out after ${timeoutSeconds}s` };
    return { answer: "unknown", output: String((error as Error).message) };
  }
}

interface HttpTarget {
  readonly base: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
}

async function probeHttp(
  world: Pick<World, "net">,
  action: NonNullable<Probe["httpGet"]>,
  target: ProbeTarget,
  signal: AbortSignal,
): Promise<ProbeOutcome> {
  const host = action.host === undefined || action.host === "" ? target.podIP : action.host;
  const port = resolvePort(action.port, target.container.ports ?? []);
  const headers: Record<string, string> = { "user-agent": "kube-probe/1.36", accept: "*/*", connection: "close" };
  for (const { name, value } of action.httpHeaders ?? []) {
    if (name.toLowerCase() === "accept" && value === "") delete headers["accept"];
    else headers[name.toLowerCase()] = value;
  }
  const path = action.path ?? "/";
  let current: HttpTarget = {
    base: `${(action.scheme ?? "HTTP").toLowerCase()}://${hostPort(host, port)}`,
    path: path.startsWith("/") ? path : `/${path}`,
    headers,
  };
  for (let redirects = 0; ; redirects++) {
    await using client = world.net.httpClient({
      base: current.base,
      version: "1.1",
      tls: { insecureSkipVerify: true },
    });
    const response = await client.request({ method: "GET", path: current.path, headers: current.headers, signal });
    const body = await readBody(response);
    const location = response.headers["location"];
    if (response.status >= 300 && response.status < 400 && typeof location === "string") {
      const to = new URL(location, `${current.base}${current.path}`);
      if (to.hostname !== new URL(current.base).hostname)
        return { answer: "warning", output: `Probe terminated redirects, Response body: ${body}` };
      if (redirects >= REDIRECTS_MAX - 1)
        return { answer: "failure", output: `Get "${location}": stopped after 10 redirects` };
      current = { ...current, base: to.origin, path: `${to.pathname}${to.search}` };
      continue;
    }
    if (response.status >= 200 && response.status < 400) return { answer: "success", output: body };
    return { answer: "failure", output: `HTTP probe failed with statuscode: ${response.status}` };
  }
}

async function readBody(response: HttpResponse): Promise<string> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of response.body) {
    chunks.push(chunk);
    length += chunk.length;
    if (length >= OUTPUT_MAX) break;
  }
  return Buffer.concat(chunks).subarray(0, OUTPUT_MAX).toString("utf8");
}

/** grpc.health.v1.Health/Check, by hand: one unary call with one string in and one enum out. */
async function probeGrpc(
  world: Pick<World, "net">,
  action: NonNullable<Probe["grpc"]>,
  target: ProbeTarget,
  timeoutSeconds: number,
  signal: AbortSignal,
): Promise<ProbeOutcome> {
  const host = bracketed(target.podIP);
  const service = Buffer.from(action.service ?? "");
  const message =
    service.length === 0 ? Buffer.alloc(0) : Buffer.concat([Buffer.from([0x0a, service.length]), service]);
  const frame = Buffer.concat([Buffer.from([0, 0, 0, 0, message.length]), message]);
  await using client = world.net.httpClient({ base: `http://${host}:${action.port}`, version: "2" });
  const response = await client.request({
    method: "POST",
    path: "/grpc.health.v1.Health/Check",
    headers: {
      "content-type": "application/grpc",
      te: "trailers",
      "user-agent": "kube-probe/1.36",
      "grpc-timeout": `${timeoutSeconds}S`,
    },
    body: frame,
    signal,
  });
  const chunks: Uint8Array[] = [];
  for await (const chunk of response.body) chunks.push(chunk);
  const trailers = await response.trailers;
  const status = trailers["grpc-status"] ?? response.headers["grpc-status"];
  const detail = String(trailers["grpc-message"] ?? response.headers["grpc-message"] ?? "");
  if (status === "12")
    return {
      answer: "failure",
      output: `error: this server does not implement the grpc health protocol (grpc.health.v1.Health): ${detail}`,
    };
  if (status === "4")
    return { answer: "failure", output: `timeout: health rpc did not complete within ${timeoutSeconds}s` };
  if (status !== undefined && status !== "0")
    return {
      answer: "failure",
      output: `error: health rpc probe failed: rpc error: code = ${String(status)} desc = ${detail}`,
    };
  const body = Buffer.concat(chunks).subarray(5);
  const serving = body[0] === 0x08 ? (body[1] ?? 0) : 0;
  if (serving === 1) return { answer: "success", output: "service healthy" };
  const name = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"][serving] ?? "UNKNOWN";
  return { answer: "failure", output: `service unhealthy (responded with "${name}")` };
}

class PortError extends Error {
  override readonly name = "PortError";
}

/** A number, a numeric string, or the name of one of the container's ports. */
export function resolvePort(port: number | string, ports: readonly ContainerPort[]): number {
  const named = typeof port === "string" ? ports.find(({ name }) => name === port)?.containerPort : port;
  const number = named ?? Number(port);
  if (!Number.isInteger(number)) throw new PortError(`strconv.Atoi: parsing "${port}": invalid syntax`);
  if (number < 1 || number > 65535) throw new PortError(`invalid port number: ${number}`);
  return number;
}

function addressOf(probe: Probe, target: ProbeTarget): string {
  const action = probe.httpGet ?? probe.tcpSocket;
  const host = action?.host === undefined || action.host === "" ? target.podIP : action.host;
  const port = action?.port ?? probe.grpc?.port ?? 0;
  return hostPort(host, port);
}

function timeoutText(probe: Probe, target: ProbeTarget): string {
  const address = addressOf(probe, target);
  if (probe.grpc) {
    const seconds = probe.timeoutSeconds ?? 1;
    return `timeout: failed to connect service "${address}" within ${seconds}s: context deadline exceeded`;
  }
  if (probe.tcpSocket) return `dial tcp ${address}: i/o timeout`;
  const scheme = (probe.httpGet?.scheme ?? "HTTP").toLowerCase();
  return `Get "${scheme}://${address}${probe.httpGet?.path ?? "/"}": context deadline exceeded (Client.Timeout exceeded while awaiting headers)`;
}

/** A refused or broken connection, in Go's words. */
function networkError(probe: Probe, target: ProbeTarget, error: unknown): string {
  const address = addressOf(probe, target);
  const code = (error as { readonly code?: string }).code ?? "";
  const what =
    code === "ECONNREFUSED"
      ? `dial tcp ${address}: connect: connection refused`
      : code === "EHOSTUNREACH"
        ? `dial tcp ${address}: connect: no route to host`
        : code === "ECONNRESET"
          ? "EOF"
          : (error as Error).message;
  if (!probe.httpGet) return what;
  return `Get "${probe.httpGet.scheme?.toLowerCase() ?? "http"}://${address}${probe.httpGet.path ?? "/"}": ${what}`;
}
