/**
 * Turns the plain files that a container writes to, which outlive us, into a CRI log. How much has been copied follows from the log itself, so a new
 * process continues at the right byte without any other record.
 */
import type { File } from "../../../world/fs.ts";
import { pause } from "../../../world/time.ts";
import type { World } from "../../../world/world.ts";

export type Stream = "stdout" | "stderr";

const CHUNK = 64 * 1024;
/** A line longer than this is written in parts, as containerd does. */
const LINE_MAX = 16 * 1024;

/** Lines of a CRI log for a piece of output, and what is left without its newline. Pure. */
export function criLines(
  stream: Stream,
  time: string,
  data: Uint8Array,
): { readonly text: Buffer; readonly rest: Uint8Array } {
  const parts: Buffer[] = [];
  let start = 0;
  const head = (tag: "F" | "P") => Buffer.from(`${time} ${stream} ${tag} `);
  const newline = Buffer.from("\n");
  while (start < data.length) {
    const end = data.indexOf(10, start);
    const stop = end < 0 ? data.length : end;
    if (stop - start > LINE_MAX) {
      parts.push(head("P"), Buffer.from(data.subarray(start, start + LINE_MAX)), newline);
      start += LINE_MAX;
      continue;
    }
    if (end < 0) break;
    parts.push(head("F"), Buffer.from(data.subarray(start, end)), newline);
    start = end + 1;
  }
  return { text: Buffer.concat(parts), rest: data.subarray(start) };
}

/** How many bytes of each stream's output a log holds already. Pure. */
export function consumed(log: string): Readonly<Record<Stream, number>> {
  const sums = { stdout: 0, stderr: 0 };
  for (const line of log.split("\n")) {
    const match = /^\S+ (stdout|stderr) ([FP]) (.*)$/s.exec(line);
    if (match !== null) sums[match[1] as Stream] += Buffer.byteLength(match[3]!) + (match[2] === "F" ? 1 : 0);
  }
  return sums;
}

export interface LogPump {
  /** More may be there: called by whoever knows, besides the regular look. */
  poke(): void;
  /** Takes what is left, ends a last line without a newline, and stops. */
  finish(): Promise<void>;
}

/** Bunches of writes make one look; and one that the file system didn't tell of is found in the end. */
const BUNCH_MS = 20;
const UNTOLD_MS = 2000;

/** Follows `dir/stdout` and `dir/stderr` into `logPath`, looking when something in `dir` changes. */
export function pumpLogs(
  world: Pick<World, "fs" | "clock">,
  dir: string,
  logPath: string,
  formatTime: (ms: number) => string,
): LogPump {
  const { fs, clock } = world;
  const stop = new AbortController();
  const rests: Record<Stream, Uint8Array> = { stdout: new Uint8Array(0), stderr: new Uint8Array(0) };
  const offsets: Record<Stream, number> = { stdout: 0, stderr: 0 };
  let log: File | undefined;
  let end = 0;

  async function open(): Promise<void> {
    const existing = (await fs.stat(logPath)) === undefined ? "" : Buffer.from(await fs.readFile(logPath)).toString();
    Object.assign(offsets, consumed(existing));
    log = await fs.open(logPath, { write: true, create: true, mode: 0o640 });
    end = await log.size();
  }

  async function look(last: boolean): Promise<boolean> {
    let moved = false;
    const sizeOf = async (stream: Stream) => (await fs.stat(`${dir}/${stream}`))?.sizeBytes ?? 0;
    // Looked at in this order and written in the other, errors never come before the output that led to them.
    const sizes = { stderr: await sizeOf("stderr"), stdout: await sizeOf("stdout") };
    for (const stream of ["stdout", "stderr"] as const) {
      const path = `${dir}/${stream}`;
      const size = sizes[stream];
      if (size > offsets[stream] || (last && rests[stream].length > 0)) {
        const file = await fs.open(path, {});
        const data = await file.read(offsets[stream], Math.min(CHUNK, size - offsets[stream]));
        await file.close();
        offsets[stream] += data.length;
        const time = formatTime(clock.now());
        const { text, rest } = criLines(stream, time, Buffer.concat([rests[stream], data]));
        rests[stream] = rest;
        const tail =
          last && offsets[stream] >= size && rest.length > 0
            ? Buffer.concat([Buffer.from(`${time} ${stream} P `), rest, Buffer.from("\n")])
            : Buffer.alloc(0);
        if (tail.length > 0) rests[stream] = new Uint8Array(0);
        if (text.length + tail.length > 0) {
          await log!.write(end, [text, tail]);
          end += text.length + tail.length;
        }
        moved ||= data.length > 0;
      }
    }
    return moved;
  }

  let changed = new AbortController();
  const running = (async () => {
    using _watch = fs.watch(dir, () => changed.abort());
    await open();
    while (!stop.signal.aborted) {
      if (changed.signal.aborted) changed = new AbortController();
      if (await look(false)) continue;
      await pause(clock, UNTOLD_MS, AbortSignal.any([stop.signal, changed.signal]));
      if (changed.signal.aborted) await pause(clock, BUNCH_MS, stop.signal);
    }
    while (await look(true));
    await look(true);
    await log!.close();
  })();
  running.catch(() => {}); // Reported by finish().
  return {
    poke: () => changed.abort(),
    async finish() {
      stop.abort();
      await running;
    },
  };
}
