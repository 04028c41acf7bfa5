/** Reads a container's termination message. Upstream: pkg/kubelet/kuberuntime/kuberuntime_container.go getTerminationMessage */
import type { Fs } from "../../world/fs.ts";
import { TERMINATION_MESSAGE_POLICY } from "../keys.ts";
import type { RuntimeContainer } from "../runtime/state.ts";

const FILE_MAX = 4096;
const LOG_MAX = 2048;
const LOG_LINES_MAX = 80;

export async function terminationMessage(fs: Fs, container: RuntimeContainer, logFile: string): Promise<string> {
  let text = container.terminationLog === undefined ? "" : await tail(fs, container.terminationLog, FILE_MAX);
  const fallback =
    container.annotations[TERMINATION_MESSAGE_POLICY] === "FallbackToLogsOnError" &&
    container.exitCode !== 0 &&
    container.reason !== "ContainerCannotRun";
  if (text === "" && fallback) text = lastLines(await tail(fs, logFile, 64 * 1024));
  if (container.message === "") return text;
  return text === "" ? container.message : `${container.message}: ${text}`;
}

async function tail(fs: Fs, path: string, max: number): Promise<string> {
  try {
    await using file = await fs.open(path, {});
    const size = await file.size();
    return Buffer.from(await file.read(Math.max(0, size - max), Math.min(size, max))).toString("utf8");
  } catch {
    return ""; // The container removed it, or never had it.
  }
}

/** The text of the last lines of a CRI log. */
function lastLines(log: string): string {
  const lines = log
    .split("\n")
    .map((line) => /^\S+ (?:stdout|stderr) ([FP])\S* (.*)$/.exec(line))
    .filter((match) => match !== null)
    .slice(-LOG_LINES_MAX)
    .map((match) => (match[1] === "F" ? `${match[2]!}\n` : match[2]!))
    .join("");
  return Buffer.from(lines).subarray(-LOG_MAX).toString("utf8");
}
