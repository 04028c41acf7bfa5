import assert from "node:assert/strict";
import { test } from "node:test";
import { Bcrypt } from "./bcrypt.ts";

const bcrypt = new Bcrypt(async () => {});

/** From the test vectors that John the Ripper and Openwall's crypt_blowfish share, and from Go's. */
const VECTORS: readonly (readonly [password: string, hash: string])[] = [
  ["", "$2a$06$DCq7YPn5Rq63x1Lad4cll.TV4S6ytwfsfvkgY8jIucDrjc8deX1s."],
  ["a", "$2a$06$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfxe"],
  ["abc", "$2a$06$If6bvum7DFjUnE9p2uDeDu0YHzrHM6tf.iqN8.yx.jNN1ILEf7h0i"],
  ["U*U", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"],
  ["allmine", "$2a$10$XajjQvNhvvRt5GSeFk1xFeyqRrsxkhBkUiQeg0dt.wU1qD4aFDcga"],
];

for (const [password, hash] of VECTORS)
  test(`${JSON.stringify(password)} has the hash that other implementations give it`, async () => {
    assert.equal(await bcrypt.matches(password, hash), true);
    assert.equal(await bcrypt.matches(`${password}x`, hash), false);
  });

test("a hash is made with its cost and salt in front", async () => {
  const salt = Buffer.from("0123456789abcdef");
  const hash = await bcrypt.hash("secret", 4, salt);
  assert.match(hash, /^\$2a\$04\$[./A-Za-z0-9]{53}$/);
  assert.equal(await bcrypt.matches("secret", hash), true);
  assert.notEqual(hash, await bcrypt.hash("secret", 4, Buffer.from("0123456789abcdeg")));
});

test("a password of more than 72 bytes is refused", async () => {
  await assert.rejects(bcrypt.hash("x".repeat(73), 4, new Uint8Array(16)), /password length exceeds 72 bytes/);
});

test("what is no hash matches nothing", async () => {
  for (const hash of ["", "secret", "$2a$99$" + "a".repeat(53), "$2a$10$short"])
    assert.equal(await bcrypt.matches("secret", hash), false);
});

test("others get their turn while a hash is made", async () => {
  let pauses = 0;
  await new Bcrypt(async () => void pauses++).hash("secret", 6, new Uint8Array(16));
  assert.equal(pauses, 1);
});
