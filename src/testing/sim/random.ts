import type { Random } from "../../world/world.ts";

/** Seeded and forkable: xoshiro128**, with forks keyed by their label, so that one component's draws never shift another's. */
export class SeededRandom implements Random {
  readonly #state: Uint32Array;
  readonly #seed: string;

  constructor(seed: number | string) {
    this.#seed = String(seed);
    this.#state = new Uint32Array(4);
    let hash = 0x811c9dc5;
    for (let i = 0; i < 4; i++) {
      for (const char of `${i}:${this.#seed}`) hash = Math.imul(hash ^ char.codePointAt(0)!, 0x01000193);
      hash = Math.imul(hash ^ (hash >>> 15), 0x85ebca6b);
      this.#state[i] = hash ^ (hash >>> 13);
    }
    for (let i = 0; i < 8; i++) this.#draw();
  }

  next(): number {
    return this.#draw() / 0x1_0000_0000;
  }

  bytes(length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    for (let i = 0; i < length; i++) bytes[i] = this.#draw() >>> 24;
    return bytes;
  }

  fork(label: string): Random {
    return new SeededRandom(`${this.#seed}/${label}`);
  }

  #draw(): number {
    const s = this.#state;
    const x = Math.imul(s[1]!, 5);
    const result = Math.imul((x << 7) | (x >>> 25), 9) >>> 0;
    const t = s[1]! << 9;
    s[2]! ^= s[0]!;
    s[3]! ^= s[1]!;
    s[1]! ^= s[2]!;
    s[0]! ^= s[3]!;
    s[2]! ^= t;
    s[3] = (s[3]! << 11) | (s[3]! >>> 21);
    return result;
  }
}
