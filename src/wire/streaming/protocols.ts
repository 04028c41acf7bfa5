/** The names and channel numbers of remote commands and port forwarding. Upstream: k8s.io/apimachinery/pkg/util/{remotecommand,portforward} */
import type { Status } from "../../machinery/meta/types.ts";

export const V5 = "v5.channel.k8s.io";
export const V4 = "v4.channel.k8s.io";
export const V3 = "v3.channel.k8s.io";
export const V2 = "v2.channel.k8s.io";
export const V1 = "channel.k8s.io";
export const V4_BASE64 = "v4.base64.channel.k8s.io";
export const V1_BASE64 = "base64.channel.k8s.io";
export const PORT_FORWARD = "portforward.k8s.io";
/** SPDY inside a WebSocket. */
export const TUNNELLED_PORT_FORWARD = `SPDY/3.1+${PORT_FORWARD}`;

/** The first byte of each message on a WebSocket. */
export const CHANNELS = { stdin: 0, stdout: 1, stderr: 2, error: 3, resize: 4 } as const;
/** Version 5: the channel named by the next byte is closed. */
export const CLOSE_CHANNEL = 255;

export const SUCCESS: Status = { metadata: {}, status: "Success" };

/** What the error channel says of a command that ended. */
export function exitStatus(exitCode: number): Status {
  if (exitCode === 0) return SUCCESS;
  return {
    metadata: {},
    status: "Failure",
    message: `command terminated with non-zero exit code: exit status ${exitCode}`,
    reason: "NonZeroExitCode",
    details: { causes: [{ reason: "ExitCode", message: String(exitCode) }] },
  };
}

/** What it says of one that could not be run. */
export function failureStatus(message: string): Status {
  return {
    metadata: {},
    status: "Failure",
    message,
    reason: "InternalError",
    details: { causes: [{ message }] },
    code: 500,
  };
}

/** The exit code in a status: 0 for success, undefined where the command didn't run to its end. */
export function exitCodeOf(status: Status): number | undefined {
  if (status.status === "Success") return 0;
  const cause = status.details?.causes?.find(({ reason }) => reason === "ExitCode");
  return cause?.message === undefined ? undefined : Number(cause.message);
}
