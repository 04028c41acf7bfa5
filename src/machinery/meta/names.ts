/** Generated names: the random suffix, and text made safe for a name. */
import { type Random, randomInt } from "../../world/world.ts";

/** No vowels and none of 0, 1 and 3: no words come out, and nothing that reads like another letter. */
const ALPHABET = "bcdfghjklmnpqrstvwxz2456789";
const SUFFIX_LENGTH = 5;
const MAX_LENGTH = 63;

/** `metadata.generateName` and five random letters; a long prefix is cut so that the name is a DNS label. */
export function generateName(prefix: string, random: Random): string {
  return prefix.slice(0, MAX_LENGTH - SUFFIX_LENGTH) + randomSuffix(random);
}

function randomSuffix(random: Random, length: number = SUFFIX_LENGTH): string {
  let suffix = "";
  for (let i = 0; i < length; i++) suffix += ALPHABET[randomInt(random, ALPHABET.length)];
  return suffix;
}

/** Each character becomes one of the alphabet: how hashes enter names. */
export function safeEncode(text: string): string {
  let encoded = "";
  for (const character of text) encoded += ALPHABET[character.codePointAt(0)! % ALPHABET.length];
  return encoded;
}
