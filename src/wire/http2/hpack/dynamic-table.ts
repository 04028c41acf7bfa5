/** The headers that one side has sent recently, newest first; both sides maintain the same list by the same rules (RFC 7541, section 4). */

/** Beside its text, an entry counts for this much. */
export const ENTRY_BYTES = 32;

export class DynamicTable {
  readonly #slots: number;
  readonly #names: string[];
  readonly #values: string[];
  readonly #evicted: ((name: string, value: string, number: number) => void) | undefined;
  #bytes = 0;
  #maxBytes: number;
  #count = 0;
  #inserted = 0;
  #version = 0;

  /** `maxBytes` is the most that it will ever be resized to. */
  constructor(maxBytes: number, evicted?: (name: string, value: string, number: number) => void) {
    this.#slots = Math.max(1, Math.floor(maxBytes / ENTRY_BYTES));
    this.#names = Array.from({ length: this.#slots }, () => "");
    this.#values = Array.from({ length: this.#slots }, () => "");
    this.#maxBytes = maxBytes;
    this.#evicted = evicted;
  }

  get count(): number {
    return this.#count;
  }

  /** How many were ever inserted: the number of the newest. */
  get inserted(): number {
    return this.#inserted;
  }

  /** While this stays the same, so does what every index means. */
  get version(): number {
    return this.#version;
  }

  get maxBytes(): number {
    return this.#maxBytes;
  }

  /** The newest is 0. */
  name(index: number): string {
    return this.#names[(this.#inserted - index) % this.#slots]!;
  }

  value(index: number): string {
    return this.#values[(this.#inserted - index) % this.#slots]!;
  }

  insert(name: string, value: string): void {
    const bytes = name.length + value.length + ENTRY_BYTES;
    this.#shrinkTo(this.#maxBytes - bytes);
    this.#inserted++;
    this.#version++;
    if (bytes > this.#maxBytes) return; // It emptied the table, and doesn't fit.
    const slot = this.#inserted % this.#slots;
    this.#names[slot] = name;
    this.#values[slot] = value;
    this.#count++;
    this.#bytes += bytes;
  }

  resize(maxBytes: number): void {
    this.#maxBytes = maxBytes;
    this.#shrinkTo(maxBytes);
    this.#version++;
  }

  #shrinkTo(maxBytes: number): void {
    while (this.#count > 0 && this.#bytes > maxBytes) {
      const index = this.#count - 1;
      const name = this.name(index);
      const value = this.value(index);
      this.#bytes -= name.length + value.length + ENTRY_BYTES;
      this.#count--;
      this.#evicted?.(name, value, this.#inserted - index);
    }
  }
}
