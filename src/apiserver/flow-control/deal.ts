/**
 * Shuffle sharding: a flow's hash deals it a hand of queues, so that two flows rarely share all of theirs.
 * Upstream: staging/src/k8s.io/apiserver/pkg/util/shufflesharding/dealer.go
 */
import { createHash } from "node:crypto";

/** The first eight bytes, little-endian, are the hash. */
export function flowHash(schema: string, distinguisher: string): Uint8Array {
  return createHash("sha256").update(`${schema}\0${distinguisher}`).digest().subarray(0, 8);
}

/** Distinct cards of a deck, in the order of the deal: the same hash gives the same hand. */
export function deal(hash: Uint8Array, deckSize: number, handSize: number): readonly number[] {
  // Four limbs of 16 bits, the greatest first: each step of the long division stays far below 2^53.
  const limbs = [6, 4, 2, 0].map((at) => hash[at]! | (hash[at + 1]! << 8));
  const hand: number[] = [];
  const remainders: number[] = [];
  for (let i = 0; i < handSize; i++) {
    let remainder = 0;
    for (let limb = 0; limb < 4; limb++) {
      const dividend = remainder * 65536 + limbs[limb]!;
      limbs[limb] = Math.floor(dividend / (deckSize - i));
      remainder = dividend % (deckSize - i);
    }
    remainders.push(remainder);
  }
  // A card is a place among those that are left: it moves up past those that were dealt before it.
  for (let i = 0; i < handSize; i++) {
    let card = remainders[i]!;
    for (let j = i; j > 0; j--) if (card >= remainders[j - 1]!) card++;
    hand.push(card);
  }
  return hand;
}
