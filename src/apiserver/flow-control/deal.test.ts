import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "../../testing/sim/random.ts";
import { deal, flowHash } from "./deal.ts";

test("a hand is dealt as upstream deals it", () => {
  const random = new SeededRandom(7);
  for (const [deck, size] of [
    [64, 6],
    [16, 4],
    [128, 6],
    [1024, 6],
    [4, 4],
    [1, 1],
  ] as const)
    for (let i = 0; i < 50; i++) {
      const hash = random.bytes(8);
      assert.deepEqual(deal(hash, deck, size), naive(Buffer.from(hash).readBigUInt64LE(), deck, size));
    }
});

test("the greatest hash deals distinct cards of the deck", () => {
  const hand = deal(new Uint8Array(8).fill(255), 128, 6);
  assert.equal(new Set(hand).size, 6);
  assert.ok(hand.every((card) => card >= 0 && card < 128));
});

test("flows of two users share few queues", () => {
  const hand = (user: string) => deal(flowHash("service-accounts", user), 128, 6);
  let together = 0;
  for (let i = 0; i < 200; i++) {
    const other = new Set(hand(`mouse-${i}`));
    if (hand("elephant").every((card) => other.has(card))) together++;
  }
  assert.equal(together, 0);
});

/** By the definition: draw from what is left of the deck. */
function naive(hash: bigint, deckSize: number, handSize: number): number[] {
  const deck = Array.from({ length: deckSize }, (_, card) => card);
  const hand: number[] = [];
  for (let i = 0; i < handSize; i++) {
    const at = Number(hash % BigInt(deck.length));
    hash /= BigInt(deck.length);
    hand.push(...deck.splice(at, 1));
  }
  return hand;
}
