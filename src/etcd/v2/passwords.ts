/** Password hashes of v2 users, which are those of v3 users. */
import type { World } from "../../world/world.ts";
import { Bcrypt } from "../auth/bcrypt.ts";
import type { Passwords } from "./auth.ts";

export function bcryptPasswords({ clock, random }: Pick<World, "clock" | "random">, cost: number): Passwords {
  const bcrypt = new Bcrypt(() => new Promise((resolve) => clock.soon(resolve)));
  return {
    hash: (password) => bcrypt.hash(password, cost, random.bytes(16)),
    matches: (hash, password) => bcrypt.matches(password, hash),
  };
}
