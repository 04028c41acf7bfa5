/** Copies between a client and a port of a pod. */
import type { ByteStream } from "../../../world/net.ts";
import { pause } from "../../../world/time.ts";
import type { ProcessState } from "./state.ts";

/** For the client's half of a forwarded connection after the end of the pod's, as containerd. */
const FORWARD_GRACE_MS = 1000;

export async function forwardPort(
  state: ProcessState,
  sandboxId: string,
  port: number,
  stream: ByteStream,
): Promise<void> {
  const { address } = state.sandbox(sandboxId);
  const target =
    address === undefined
      ? await state.deps.net.connect({ host: "127.0.0.1", port })
      : await state.deps.net.connect({ host: address, port }).catch(() => undefined);
  if (target === undefined) return forwardToLoopback(state, sandboxId, port, stream);
  const copy = async (from: ByteStream, to: ByteStream) => {
    for await (const chunk of from) await to.write(chunk);
    to.end();
  };
  const sent = new AbortController();
  void copy(stream, target)
    .catch(() => {})
    .then(() => sent.abort());
  await copy(target, stream).catch(() => {});
  // Some clients have no way to end their half, and wait for ours to end the whole.
  await pause(state.deps.clock, FORWARD_GRACE_MS, sent.signal);
  target.destroy();
}

/** To a server that listens on its pod's own 127.0.0.1 only: by a program that joins the pod's network. */
async function forwardToLoopback(
  state: ProcessState,
  sandboxId: string,
  port: number,
  stream: ByteStream,
): Promise<void> {
  const script = `
    const { exit, stdin, stdout, stderr } = process;
    const socket = require("node:net").connect({ host: "127.0.0.1", port: ${port}, allowHalfOpen: true });
    socket.on("error", (error) => { stderr.write(error.message); exit(1); });
    socket.pipe(stdout);
    stdin.pipe(socket);
    stdout.on("error", () => exit());`;
  const network = state.network!.pathOf(sandboxId);
  const child = state.deps.host.spawn(state.programs.nsenter, [`--net=${network}`, process.execPath, "-e", script]);
  let said = "";
  const feed = async () => {
    for await (const chunk of stream) await child.write(chunk);
    child.closeStdin();
  };
  // The input of a client that can't end its half outlives the program.
  feed().catch(() => {});
  await Promise.allSettled([
    (async () => {
      for await (const chunk of child.stdout ?? []) await stream.write(chunk);
      stream.end();
      const gone = new AbortController();
      void child.exited.then(() => gone.abort());
      await pause(state.deps.clock, FORWARD_GRACE_MS, gone.signal);
      child.closeStdin();
    })(),
    (async () => {
      for await (const chunk of child.stderr ?? []) said += Buffer.from(chunk).toString();
      stream.end();
    })(),
  ]);
  const { code } = await child.exited;
  if (code !== 0) throw new Error(`failed to connect to localhost:${port} inside the pod: ${said}`);
}
