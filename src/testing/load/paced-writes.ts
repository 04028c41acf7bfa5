/**
 * Writes at an even pace, whatever the answers take: each has its time, and how long it took counts from there. Several are under way at once; when
 * very many are, those whose time has come wait here, late already.
 */
import { type Connection, type Request } from "./https.ts";
import { quantile } from "./figures.ts";

const OPEN_MAX = 200;

export interface Written {
  /** By number, the resourceVersion that each write's answer had. */
  readonly versions: readonly number[];
  /** A second, from the first write's time to the last answer. */
  readonly perSecond: number;
  readonly p99: number;
  readonly failed: number;
  readonly firstFailure: string;
}

/** Writes are numbered; when the time is over, those that weren't even sent are left out. */
export function writeAtPace(
  connections: readonly Connection[],
  perSecond: number,
  seconds: number,
  request: (i: number) => Request,
): Promise<Written> {
  const count = Math.round(perSecond * seconds);
  const versions: number[] = [];
  const latencies: number[] = [];
  let failed = 0;
  let firstFailure = "";
  let sent = 0;
  let open = 0;
  const begun = performance.now();
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      resolve({
        versions,
        perSecond: (sent - failed) / Math.max((performance.now() - begun) / 1000, seconds),
        p99: quantile(latencies, 0.99),
        failed,
        firstFailure,
      });
    };
    let over = false;
    const send = () => {
      const passed = performance.now() - begun;
      // A tenth of grace: a pace that was nearly held isn't cut off at its end.
      if (passed > seconds * 1100) over = true;
      const due = Math.min(count, Math.floor((passed / 1000) * perSecond) + 1);
      while (!over && sent < due && open < OPEN_MAX) write(sent++);
      if (sent === count) over = true;
      if (over && open === 0) end();
    };
    const write = (i: number) => {
      open++;
      const dueAt = begun + (i / perSecond) * 1000;
      let version = 0;
      let text = "";
      connections[i % connections.length]!.call(request(i), {
        onData(buffer, start, to) {
          if (version === 0) version = versionIn(buffer, start, to);
          if (text === "") text = buffer.toString("latin1", start, Math.min(to, start + 300));
        },
        onEnd(status) {
          open--;
          latencies.push(performance.now() - dueAt);
          if (status === 200 && version > 0) versions[i] = version;
          else {
            failed++;
            if (firstFailure === "") firstFailure = `${status} ${text}`;
          }
          if (over || sent < count) send();
        },
      });
    };
    const timer = setInterval(send, 1);
    send();
  });
}

const MARK = Buffer.from('"resourceVersion":"');

/** The first resourceVersion in some bytes; 0: there is none. */
export function versionIn(data: Buffer, start: number, end: number): number {
  const found = data.indexOf(MARK, start);
  if (found < 0 || found + MARK.length >= end) return 0;
  let version = 0;
  for (let at = found + MARK.length; at < end && data[at]! >= 0x30 && data[at]! <= 0x39; at++)
    version = version * 10 + data[at]! - 0x30;
  return version;
}
