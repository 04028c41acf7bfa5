/** Divides the server's seats among priority levels by their demand. Upstream: pkg/util/flowcontrol/conc_alloc.go */

export interface Claim {
  readonly target: number;
  readonly lower: number;
  readonly upper: number;
}

const MIN_TARGET = 0.001;
const EPSILON = 1e-7;

/**
 * The one fraction `fair` for which the claims' `fair * target`, held within their bounds, sum to `sum`; and what each claim then gets.
 * Undefined where the bounds allow no such sum.
 */
export function allocate(
  sum: number,
  claims: readonly Claim[],
): { readonly seats: readonly number[]; readonly fair: number } | undefined {
  const total = (of: (claim: Claim) => number) => claims.reduce((so, claim) => so + of(claim), 0);
  const target = (claim: Claim) => Math.max(claim.target, MIN_TARGET);
  if (sum < 0 || claims.some(({ target, lower, upper }) => lower < 0 || target < lower || upper < lower))
    return undefined;
  const lowest = total(({ lower }) => lower);
  const highest = total(({ upper }) => upper);
  if (lowest - sum > EPSILON || sum - highest > EPSILON) return undefined;
  if (sum === 0) return { seats: claims.map(() => 0), fair: 0 };
  if (lowest - sum > -EPSILON)
    return {
      seats: claims.map(({ lower }) => lower),
      fair: Math.min(...claims.map((claim) => claim.lower / target(claim))),
    };
  if (sum - highest > -EPSILON)
    return {
      seats: claims.map(({ upper }) => upper),
      fair: Math.max(...claims.map((claim) => claim.upper / target(claim))),
    };
  // Between two neighbouring bounds the sum grows evenly: walk along the bounds to the stretch that holds the answer.
  const bounds = claims
    .flatMap((claim) => [
      { at: claim.lower / target(claim), slope: target(claim) },
      { at: claim.upper / target(claim), slope: -target(claim) },
    ])
    .sort((a, b) => a.at - b.at);
  let reached = lowest;
  let fair = bounds[0]!.at;
  let slope = 0;
  for (const bound of bounds) {
    const next = reached + (bound.at - fair) * slope;
    if (next >= sum && slope > 0) break;
    reached = next;
    fair = bound.at;
    slope += bound.slope;
  }
  if (slope > 0) fair += (sum - reached) / slope;
  return { seats: claims.map((claim) => Math.max(claim.lower, Math.min(claim.upper, fair * target(claim)))), fair };
}
