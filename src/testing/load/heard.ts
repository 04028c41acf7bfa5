/**
 * What a watch has told, by the resourceVersions of its events: how many there were, whether each was newer than the one before, and a sum over all of
 * them in their order. A watch has lost nothing if the sum is the one of the versions that the writers were given.
 */
import { versionIn } from "./paced-writes.ts";

/** Where a line has the first letter of its type, and the one of a bookmark, which is no event. */
const TYPE_AT = '{"type":"'.length;
const BOOKMARK = "B".charCodeAt(0);

export class Heard {
  count = 0;
  failure: string | undefined;
  #last = 0;
  #sum = 0;
  #rest: Buffer | undefined;

  /** A piece of the watch: lines, which may be cut anywhere. */
  onData(buffer: Buffer, start: number, end: number): void {
    let data = buffer;
    let [at, to] = [start, end];
    if (this.#rest !== undefined) {
      data = Buffer.concat([this.#rest, buffer.subarray(start, end)]);
      [at, to] = [0, data.length];
      this.#rest = undefined;
    }
    for (;;) {
      const line = data.indexOf(0x0a, at);
      if (line < 0 || line >= to) break;
      if (data[at + TYPE_AT] !== BOOKMARK) this.#event(versionIn(data, at, line));
      at = line + 1;
    }
    if (at < to) this.#rest = Buffer.from(data.subarray(at, to));
  }

  #event(version: number): void {
    if (version <= this.#last) this.failure ??= `version ${version} came after ${this.#last}`;
    this.#last = version;
    this.#sum = plus(this.#sum, version);
    this.count++;
  }

  /** What is wrong, after these were written. */
  wrong(versions: readonly number[]): string | undefined {
    if (this.failure !== undefined) return this.failure;
    if (this.count !== versions.length) return `${this.count} events of ${versions.length} were heard`;
    const sum = versions.toSorted((a, b) => a - b).reduce(plus, 0);
    return sum === this.#sum ? undefined : "other versions were heard than were written";
  }
}

const plus = (sum: number, version: number): number => (Math.imul(sum, 31) + version) | 0;
