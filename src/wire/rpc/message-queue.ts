/** A queue of messages between two sides, read by iteration. It is unbounded: the writer checks `length` and waits for `drained`. */
export class MessageQueue<T> implements AsyncIterableIterator<T> {
  #items: (T | undefined)[] = [];
  /** Where the first item is: shifting a long array for each would be quadratic. */
  #head = 0;
  readonly #limit: number;
  #end: { readonly error?: unknown } | undefined;
  #reader: { resolve(result: IteratorResult<T>): void; reject(error: unknown): void } | undefined;
  #drained: { readonly promise: Promise<void>; resolve(): void } | undefined;

  constructor(limit = 128) {
    this.#limit = limit;
  }

  /** Items that wait to be read. */
  get length(): number {
    return this.#items.length - this.#head;
  }

  get ended(): boolean {
    return this.#end !== undefined;
  }

  /** False says that the reader is behind. What comes after the end is dropped. */
  push(item: T): boolean {
    if (this.#end) return true;
    if (this.#reader) {
      this.#reader.resolve({ value: item, done: false });
      this.#reader = undefined;
      return true;
    }
    this.#items.push(item);
    return this.length < this.#limit;
  }

  get drained(): Promise<void> {
    if (this.length < this.#limit || this.#end) return Promise.resolve();
    if (!this.#drained) {
      let resolve!: () => void;
      const promise = new Promise<void>((done) => (resolve = done));
      this.#drained = { promise, resolve };
    }
    return this.#drained.promise;
  }

  /** No more. With an error, reading throws it, after what is queued. */
  end(error?: unknown): void {
    if (this.#end) return;
    this.#end = error === undefined ? {} : { error };
    this.#release();
    if (!this.#reader) return;
    if (error === undefined) this.#reader.resolve({ value: undefined, done: true });
    else this.#reader.reject(error);
    this.#reader = undefined;
  }

  #release(): void {
    this.#drained?.resolve();
    this.#drained = undefined;
  }

  next(): Promise<IteratorResult<T>> {
    if (this.length > 0) {
      const value = this.#items[this.#head] as T;
      this.#items[this.#head++] = undefined;
      if (this.#head === this.#items.length) {
        this.#items = [];
        this.#head = 0;
      } else if (this.#head > 1024 && this.#head * 2 > this.#items.length) {
        this.#items = this.#items.slice(this.#head);
        this.#head = 0;
      }
      if (this.length < this.#limit) this.#release();
      return Promise.resolve({ value, done: false });
    }
    if (this.#end)
      return "error" in this.#end ? Promise.reject(this.#end.error) : Promise.resolve({ value: undefined, done: true });
    return new Promise((resolve, reject) => (this.#reader = { resolve, reject }));
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
