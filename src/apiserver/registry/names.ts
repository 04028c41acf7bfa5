/** Generated names. Upstream: pkg/storage/names/generate.go. */
import type { Random } from "../../world/world.ts";
import { randomInt } from "../../world/world.ts";

/** No vowels, and nothing that is easily mistaken: nobody's cluster spells a bad word. */
const LETTERS = "bcdfghjklmnpqrstvwxz2456789";
const NAME_MAX = 63;
const SUFFIX = 5;

export function generateName(random: Random, base: string): string {
  let name = base.slice(0, NAME_MAX - SUFFIX);
  for (let i = 0; i < SUFFIX; i++) name += LETTERS[randomInt(random, LETTERS.length)];
  return name;
}
