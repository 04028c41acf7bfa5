/** Choices from a random stream. */
import { randomInt, type Random } from "../../world/world.ts";

export class Draw {
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  below(limit: number): number {
    return randomInt(this.#random, limit);
  }
  /** True in so many of a hundred cases. */
  in100(percent: number): boolean {
    return this.below(100) < percent;
  }
  one<T>(choices: readonly T[]): T {
    return choices[this.below(choices.length)]!;
  }
  list<T>(most: number, make: () => T): readonly T[] {
    return Array.from({ length: this.below(most + 1) }, make);
  }
  /** Each field in so many of a hundred cases. */
  fields<T>(fields: Readonly<Record<string, readonly [percent: number, make: () => T]>>): Record<string, T> {
    return Object.fromEntries(
      Object.entries(fields).flatMap(([name, [percent, make]]) => (this.in100(percent) ? [[name, make()]] : [])),
    );
  }
  weighted<T>(choices: readonly (readonly [weight: number, make: () => T])[]): T {
    let left = this.below(choices.reduce((sum, [weight]) => sum + weight, 0));
    for (const [weight, make] of choices) {
      if (left < weight) return make();
      left -= weight;
    }
    throw new Error("unreachable");
  }
}
