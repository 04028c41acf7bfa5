/** AuthenticationConfiguration: decoding, validation, and compilation of its expressions. Upstream: pkg/apis/apiserver/validation */
import { isDomainPrefixedPath } from "../../machinery/validation/names.ts";
import type { FieldError } from "../../machinery/validation/field-error.ts";
import { parseGoUrl } from "../../machinery/validation/go-url.ts";
import { duplicate, invalid, required, tooMany } from "../../machinery/validation/field-error.ts";
import { aggregate } from "../authz/authorizer.ts";
import type { Compiled, ExpressionCompiler } from "../expressions.ts";
import type { ClaimRules, Evaluate, Rule } from "./claim-rules.ts";
import { readBundle } from "./chain.ts";

export interface AuthenticationConfiguration {
  readonly jwt?: readonly JwtAuthenticatorConfig[];
  readonly anonymous?: {
    readonly enabled: boolean;
    readonly conditions?: readonly { readonly path: string }[];
  };
}

export interface JwtAuthenticatorConfig {
  readonly issuer: {
    readonly url: string;
    readonly discoveryURL?: string;
    readonly certificateAuthority?: string;
    readonly audiences: readonly string[];
    readonly audienceMatchPolicy?: string;
    readonly egressSelectorType?: string;
  };
  readonly claimValidationRules?: readonly {
    readonly claim?: string;
    readonly requiredValue?: string;
    readonly expression?: string;
    readonly message?: string;
  }[];
  readonly claimMappings: {
    readonly username: PrefixedClaim;
    readonly groups?: PrefixedClaim;
    readonly uid?: { readonly claim?: string; readonly expression?: string };
    readonly extra?: readonly { readonly key: string; readonly valueExpression: string }[];
  };
  readonly userValidationRules?: readonly { readonly expression: string; readonly message?: string }[];
}

interface PrefixedClaim {
  readonly claim?: string;
  readonly prefix?: string;
  readonly expression?: string;
}

const AUTHENTICATORS_MAX = 64;

/** The rules of each authenticator, in order, where nothing is wrong. */
export function compileAuthentication(
  { jwt = [], anonymous }: AuthenticationConfiguration,
  compiler: ExpressionCompiler,
): { readonly errors: readonly FieldError[]; readonly rules: readonly ClaimRules[] } {
  if (jwt.length > AUTHENTICATORS_MAX) return { errors: [tooMany("jwt", jwt.length, AUTHENTICATORS_MAX)], rules: [] };
  const errors: FieldError[] = [];
  const issuers = new Set<string>();
  const discoveries = new Set<string>();
  const rules = jwt.map((one, i) => {
    const path = `jwt[${i}]`;
    const compiled = compileOne(one, path, compiler, errors);
    const { url = "", discoveryURL = "" } = one.issuer ?? {};
    if (issuers.has(url)) errors.push(duplicate(`${path}.issuer.url`, url));
    issuers.add(url);
    if (discoveryURL !== "" && discoveries.has(discoveryURL))
      errors.push(duplicate(`${path}.issuer.discoveryURL`, discoveryURL));
    discoveries.add(discoveryURL);
    return compiled;
  });
  if (anonymous !== undefined && !anonymous.enabled && (anonymous.conditions ?? []).length > 0)
    errors.push(
      invalid(
        "anonymous.conditions",
        anonymous.conditions!.map(({ path }) => ({ Path: path })),
        "enabled should be set to true when conditions are defined",
      ),
    );
  return { errors, rules };
}

function compileOne(
  one: JwtAuthenticatorConfig,
  path: string,
  compiler: ExpressionCompiler,
  errors: FieldError[],
): ClaimRules {
  checkIssuer(one.issuer ?? {}, `${path}.issuer`, errors);
  const mail = { inName: false, verified: false };
  const noteVerified = (compiled: Good) => (mail.verified ||= compiled.uses("claims", "email_verified"));

  const claimValidation = claimValidationRules(one.claimValidationRules ?? [], `${path}.claimValidationRules`, {
    compiler,
    errors,
    note: noteVerified,
  });
  const mappings = `${path}.claimMappings`;
  const { username = {}, groups = {}, uid = {}, extra: wanted = [] } = one.claimMappings ?? {};
  const name = prefixed(username, `${mappings}.username`, true, compiler, errors);
  if (name !== undefined) {
    mail.inName = name.uses("claims", "email");
    noteVerified(name);
  }
  const groupRule = prefixed(groups, `${mappings}.groups`, false, compiler, errors);
  let uidRule: Good | undefined;
  if (uid.claim && uid.expression)
    errors.push(invalid(`${mappings}.uid`, "", "claim and expression can't both be set"));
  else if (uid.expression)
    uidRule = good(compiler.claims(uid.expression, "any"), `${mappings}.uid.expression`, uid.expression, errors);
  const extra = extraRules(wanted, `${mappings}.extra`, { compiler, errors, note: noteVerified });
  if (mail.inName && !mail.verified)
    errors.push(
      invalid(
        `${mappings}.username.expression`,
        username.expression,
        "claims.email_verified must be used in claimMappings.username.expression or claimMappings.extra[*].valueExpression or claimValidationRules[*].expression when claims.email is used in claimMappings.username.expression",
      ),
    );
  const userValidation = userValidationRules(
    one.userValidationRules ?? [],
    `${path}.userValidationRules`,
    compiler,
    errors,
  );
  return {
    ...(name && { username: named(name, username.expression!) }),
    ...(groupRule && { groups: named(groupRule, groups.expression!) }),
    ...(uidRule && { uid: named(uidRule, uid.expression!) }),
    extra,
    claimValidation,
    userValidation,
  };
}

type Good = Exclude<Compiled, { readonly error: string }>;

function good(compiled: Compiled, path: string, expression: string, errors: FieldError[]): Good | undefined {
  if (!("error" in compiled)) return compiled;
  errors.push(invalid(path, expression, compiled.error));
  return undefined;
}

/** What fails says which expression it was. */
function named({ evaluate }: Good, expression: string): Evaluate {
  return (input) => {
    try {
      return evaluate(input);
    } catch (error) {
      const words = error instanceof Error ? error.message : String(error);
      throw new Error(`expression '${expression}' resulted in error: ${words}`, { cause: error });
    }
  };
}

interface Work {
  readonly compiler: ExpressionCompiler;
  readonly errors: FieldError[];
  note(compiled: Good): void;
}

function claimValidationRules(
  rules: NonNullable<JwtAuthenticatorConfig["claimValidationRules"]>,
  path: string,
  { compiler, errors, note }: Work,
): readonly Rule[] {
  const claims = new Set<string>();
  const expressions = new Set<string>();
  return rules.flatMap(({ claim = "", requiredValue = "", expression = "", message = "" }, i) => {
    const at = `${path}[${i}]`;
    if (claim !== "" && expression !== "") errors.push(invalid(at, claim, "claim and expression can't both be set"));
    else if (claim !== "") {
      if (message !== "") errors.push(invalid(`${at}.message`, message, "may not be specified when claim is set"));
      if (claims.has(claim)) errors.push(duplicate(`${at}.claim`, claim));
      claims.add(claim);
    } else if (expression === "") errors.push(required(at, "claim or expression is required"));
    else {
      if (requiredValue !== "")
        errors.push(invalid(`${at}.requiredValue`, requiredValue, "may not be specified when expression is set"));
      if (expressions.has(expression)) errors.push(duplicate(`${at}.expression`, expression));
      else {
        expressions.add(expression);
        const compiled = good(compiler.claims(expression, "bool"), `${at}.expression`, expression, errors);
        if (compiled === undefined) return [];
        note(compiled);
        return [{ expression, message, evaluate: named(compiled, expression) }];
      }
    }
    return [];
  });
}

function prefixed(
  { claim = "", prefix, expression = "" }: PrefixedClaim,
  path: string,
  isRequired: boolean,
  compiler: ExpressionCompiler,
  errors: FieldError[],
): Good | undefined {
  if (expression !== "" && claim !== "") errors.push(invalid(path, "", "claim and expression can't both be set"));
  else if (expression !== "") {
    if (prefix !== undefined)
      errors.push(invalid(`${path}.prefix`, prefix, "may not be specified when expression is set"));
    return good(compiler.claims(expression, "any"), `${path}.expression`, expression, errors);
  } else if (claim !== "") {
    if (prefix === undefined)
      errors.push(
        required(
          `${path}.prefix`,
          "prefix is required when claim is set. It can be set to an empty string to disable prefixing",
        ),
      );
  } else if (isRequired) errors.push(required(path, "claim or expression is required"));
  return undefined;
}

function extraRules(
  wanted: NonNullable<JwtAuthenticatorConfig["claimMappings"]["extra"]>,
  path: string,
  { compiler, errors, note }: Work,
): ClaimRules["extra"] {
  const keys = new Set<string>();
  return wanted.flatMap(({ key = "", valueExpression: expression = "" }, i) => {
    const at = `${path}[${i}]`;
    if (key === "") errors.push(required(`${at}.key`, ""));
    else for (const { value, words } of isDomainPrefixedPath(key)) errors.push(invalid(`${at}.key`, value, words));
    if (key !== key.toLowerCase()) errors.push(invalid(`${at}.key`, key, "must be lowercase"));
    const domain = key.includes("/") ? key.slice(0, key.indexOf("/")) : "";
    if (/(^|\.)(kubernetes|k8s)\.io$/.test(domain))
      errors.push(
        invalid(`${at}.key`, key, "k8s.io, kubernetes.io and their subdomains are reserved for Kubernetes use"),
      );
    if (keys.has(key)) {
      errors.push(duplicate(`${at}.key`, key));
      return [];
    }
    keys.add(key);
    if (expression === "") {
      errors.push(required(`${at}.valueExpression`));
      return [];
    }
    const compiled = good(compiler.claims(expression, "any"), `${at}.valueExpression`, expression, errors);
    if (compiled === undefined) return [];
    note(compiled);
    return [{ key, expression, evaluate: named(compiled, expression) }];
  });
}

function userValidationRules(
  rules: NonNullable<JwtAuthenticatorConfig["userValidationRules"]>,
  path: string,
  compiler: ExpressionCompiler,
  errors: FieldError[],
): readonly Rule[] {
  const expressions = new Set<string>();
  return rules.flatMap(({ expression = "", message = "" }, i) => {
    const at = `${path}[${i}].expression`;
    if (expression === "") errors.push(required(at));
    else if (expressions.has(expression)) errors.push(duplicate(at, expression));
    else {
      expressions.add(expression);
      const compiled = good(compiler.user(expression), at, expression, errors);
      if (compiled !== undefined) return [{ expression, message, evaluate: named(compiled, expression) }];
    }
    return [];
  });
}

function checkIssuer(issuer: Partial<JwtAuthenticatorConfig["issuer"]>, path: string, errors: FieldError[]): void {
  const { url = "", discoveryURL = "", audiences = [], audienceMatchPolicy = "" } = issuer;
  if (url === "") errors.push(required(`${path}.url`));
  else checkUrl(url, `${path}.url`, errors);
  if (discoveryURL !== "") {
    const bare = (text: string) => text.replace(/\/+$/, "");
    if (url !== "" && bare(url) === bare(discoveryURL))
      errors.push(invalid(`${path}.discoveryURL`, discoveryURL, "discoveryURL must be different from URL"));
    checkUrl(discoveryURL, `${path}.discoveryURL`, errors);
  }
  if (audiences.length === 0) errors.push(required(`${path}.audiences`, `at least one ${path}.audiences is required`));
  const seen = new Set<string>();
  audiences.forEach((audience, i) => {
    if (audience === "") errors.push(required(`${path}.audiences[${i}]`));
    if (seen.has(audience)) errors.push(duplicate(`${path}.audiences[${i}]`, audience));
    seen.add(audience);
  });
  const policy = `${path}.audienceMatchPolicy`;
  if (audiences.length > 1 && audienceMatchPolicy !== "MatchAny")
    errors.push(invalid(policy, audienceMatchPolicy, "audienceMatchPolicy must be MatchAny for multiple audiences"));
  if (audiences.length === 1 && audienceMatchPolicy !== "" && audienceMatchPolicy !== "MatchAny")
    errors.push(
      invalid(policy, audienceMatchPolicy, "audienceMatchPolicy must be empty or MatchAny for single audience"),
    );
  const bundleError = issuer.certificateAuthority && wrongBundle(issuer.certificateAuthority);
  if (bundleError) errors.push(invalid(`${path}.certificateAuthority`, "<omitted>", bundleError));
  const egress = issuer.egressSelectorType ?? "";
  if (egress !== "" && egress !== "controlplane" && egress !== "cluster")
    errors.push(
      invalid(`${path}.egressSelectorType`, egress, "egress selector must be either controlplane or cluster"),
    );
}

function wrongBundle(pem: string): string | undefined {
  try {
    return readBundle(pem).length > 0 ? undefined : "data does not contain any valid RSA or ECDSA certificates";
  } catch {
    return "x509: malformed certificate";
  }
}

/** The rules of each authenticator; throws what is wrong. */
export function usableAuthentication(
  configuration: AuthenticationConfiguration,
  compiler: ExpressionCompiler,
  ownIssuers: readonly string[],
): readonly ClaimRules[] {
  const words = (all: readonly FieldError[]) => aggregate(all.map(({ field, message }) => `${field}: ${message}`));
  const { errors, rules } = compileAuthentication(configuration, compiler);
  if (errors.length > 0) throw new Error(`invalid authentication configuration: ${words(errors)}`);
  const overlaps = checkOverlap(configuration, ownIssuers);
  if (overlaps.length > 0) throw new Error(words(overlaps));
  return rules;
}

/** Tokens of this server's own issuers are its service accounts'. */
function checkOverlap({ jwt = [] }: AuthenticationConfiguration, own: readonly string[]): readonly FieldError[] {
  const one = jwt.find(({ issuer }) => own.includes(issuer.url));
  const words = `URL must not overlap with disallowed issuers: [${[...own].sort().join(" ")}]`;
  return one === undefined ? [] : [invalid("issuer.url", one.issuer.url, words)];
}

function checkUrl(text: string, path: string, errors: FieldError[]): void {
  const url = parseGoUrl(text);
  if (typeof url === "string") {
    errors.push(invalid(path, text, url));
    return;
  }
  if (url.scheme !== "https") errors.push(invalid(path, text, "URL scheme must be https"));
  if (url.user !== undefined) errors.push(invalid(path, text, "URL must not contain a username or password"));
  if (url.query !== "") errors.push(invalid(path, text, "URL must not contain a query"));
  if (url.fragment !== "") errors.push(invalid(path, text, "URL must not contain a fragment"));
}
