/** The expressions of an authenticator's configuration, compiled to functions. Upstream: pkg/authentication/cel */

/** Throws in upstream's words where the expression fails. */
export type Evaluate = (input: unknown) => unknown;

export interface ClaimRules {
  readonly username?: Evaluate;
  readonly groups?: Evaluate;
  readonly uid?: Evaluate;
  readonly extra: readonly { readonly key: string; readonly expression: string; readonly evaluate: Evaluate }[];
  readonly claimValidation: readonly Rule[];
  readonly userValidation: readonly Rule[];
}

export interface Rule {
  readonly expression: string;
  readonly message: string;
  readonly evaluate: Evaluate;
}
