/**
 * A new leader renews all leases, so those of equal length would expire in the same second, faster than they can be revoked. If there are many,
 * their expiry is spread out, never to an earlier time.
 * Upstream: Promote in server/lease/lessor.go
 */

/** Fewer leases than are revoked in a second need no spreading. */
const REVOKED_A_SECOND = 1000;
/** Room is left for leases that expire in the usual way. */
const EXPIRING_A_SECOND = (3 * REVOKED_A_SECOND) / 4;

export interface Expiring {
  readonly ttl: number;
  readonly remainingTtl: number;
  expiresAtMs: number;
}

export function spreadExpiries(leases: Expiring[], now: number, extendMs: number): void {
  if (leases.length < REVOKED_A_SECOND) return;
  leases.sort((a, b) => a.expiresAtMs - b.expiresAtMs);
  let base = leases[0]!.expiresAtMs - now;
  let next = base + 1000;
  let expiring = 0;
  for (const lease of leases) {
    const remaining = lease.expiresAtMs - now;
    if (remaining > next) {
      base = remaining;
      next = base + 1000;
      expiring = 1;
      continue;
    }
    if (++expiring <= EXPIRING_A_SECOND) continue;
    // A lease some seconds behind the base has that much less to wait.
    const delay = (1000 * expiring) / EXPIRING_A_SECOND - (remaining - base);
    next = base + delay;
    const term = lease.remainingTtl > 0 ? lease.remainingTtl : lease.ttl;
    lease.expiresAtMs = now + term * 1000 + delay + extendMs;
  }
}
