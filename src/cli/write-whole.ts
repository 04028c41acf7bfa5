/** Writes a text to an open file synchronously and completely. */
import { writeSync } from "node:fs";

/**
 * Whoever reads the other end of a pipe may be slow, and the pipe may not wait by itself: then this does, as every program does whose output
 * nobody takes. What has been said is never lost, nor is a log line a reason to fail.
 */
export function writeWhole(fd: number, text: string): void {
  const bytes = Buffer.from(text);
  for (let done = 0; done < bytes.length;) {
    try {
      done += writeSync(fd, bytes, done);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    }
  }
}
