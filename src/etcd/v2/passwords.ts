/** What is kept of a v2 user's password: salted and slow to guess. Nobody but this API reads it. */
import { scryptSync, timingSafeEqual } from "node:crypto";
import type { Random } from "../../world/world.ts";
import type { Passwords } from "./auth.ts";

const COST = 4096;
const BYTES = 32;

export function scryptPasswords(random: Random): Passwords {
  const digest = (password: string, salt: Buffer) => scryptSync(password, salt, BYTES, { N: COST });
  return {
    hash(password) {
      const salt = Buffer.from(random.bytes(16));
      return `scrypt:${salt.toString("base64")}:${digest(password, salt).toString("base64")}`;
    },
    matches(hash, password) {
      const [kind, salt, kept] = hash.split(":");
      if (kind !== "scrypt" || salt === undefined || kept === undefined) return false;
      return timingSafeEqual(digest(password, Buffer.from(salt, "base64")), Buffer.from(kept, "base64"));
    },
  };
}
