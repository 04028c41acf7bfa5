import assert from "node:assert/strict";
import { test } from "node:test";
import { expressionCompiler } from "../expressions.ts";
import type { AuthenticationConfiguration, JwtAuthenticatorConfig } from "./configuration.ts";
import { compileAuthentication } from "./configuration.ts";
import { userOf } from "./oidc.ts";

const compiler = expressionCompiler();
const issuer = { url: "https://issuer.example.org", audiences: ["kube"] };
const username = { claim: "sub", prefix: "" };
const one = (change: object): AuthenticationConfiguration => ({
  jwt: [{ issuer, claimMappings: { username }, ...change } as JwtAuthenticatorConfig],
});
const withIssuer = (change: object) => one({ issuer: { ...issuer, ...change } });
const withMappings = (change: object) => one({ claimMappings: { username, ...change } });
const withRule = (...claimValidationRules: object[]) => one({ claimValidationRules });

const wrong: readonly (readonly [AuthenticationConfiguration, ...string[]])[] = [
  [{}],
  [one({})],
  [{ jwt: Array.from({ length: 65 }, () => one({}).jwt![0]!) }, "jwt: Too many: 65: must have at most 64 items"],
  [{ jwt: [one({}).jwt![0]!, one({}).jwt![0]!] }, 'jwt[1].issuer.url: Duplicate value: "https://issuer.example.org"'],
  [withIssuer({ url: "" }), "jwt[0].issuer.url: Required value"],
  [withIssuer({ url: "http://a" }), 'jwt[0].issuer.url: Invalid value: "http://a": URL scheme must be https'],
  [
    withIssuer({ url: "https://u:p@a?q#f" }),
    'jwt[0].issuer.url: Invalid value: "https://u:p@a?q#f": URL must not contain a username or password',
    'jwt[0].issuer.url: Invalid value: "https://u:p@a?q#f": URL must not contain a query',
    'jwt[0].issuer.url: Invalid value: "https://u:p@a?q#f": URL must not contain a fragment',
  ],
  [
    withIssuer({ discoveryURL: `${issuer.url}/` }),
    'jwt[0].issuer.discoveryURL: Invalid value: "https://issuer.example.org/": discoveryURL must be different from URL',
  ],
  [
    withIssuer({ audiences: [] }),
    "jwt[0].issuer.audiences: Required value: at least one jwt[0].issuer.audiences is required",
  ],
  [
    withIssuer({ audiences: ["a", "a"] }),
    'jwt[0].issuer.audiences[1]: Duplicate value: "a"',
    'jwt[0].issuer.audienceMatchPolicy: Invalid value: "": audienceMatchPolicy must be MatchAny for multiple audiences',
  ],
  [
    withIssuer({ audienceMatchPolicy: "MatchAll" }),
    'jwt[0].issuer.audienceMatchPolicy: Invalid value: "MatchAll": audienceMatchPolicy must be empty or MatchAny for single audience',
  ],
  [
    withIssuer({ certificateAuthority: "no PEM" }),
    'jwt[0].issuer.certificateAuthority: Invalid value: "<omitted>": data does not contain any valid RSA or ECDSA certificates',
  ],
  [
    withIssuer({ egressSelectorType: "moon" }),
    'jwt[0].issuer.egressSelectorType: Invalid value: "moon": egress selector must be either controlplane or cluster',
  ],
  [withMappings({ username: {} }), "jwt[0].claimMappings.username: Required value: claim or expression is required"],
  [
    withMappings({ username: { claim: "sub" } }),
    "jwt[0].claimMappings.username.prefix: Required value: prefix is required when claim is set. It can be set to an empty string to disable prefixing",
  ],
  [
    withMappings({ username: { claim: "sub", expression: "claims.sub" } }),
    `jwt[0].claimMappings.username: Invalid value: "": claim and expression can't both be set`,
  ],
  [
    withMappings({ username: { expression: "claims.sub", prefix: "x" } }),
    'jwt[0].claimMappings.username.prefix: Invalid value: "x": may not be specified when expression is set',
  ],
  [
    withMappings({ username: { expression: "claims.email" } }),
    'jwt[0].claimMappings.username.expression: Invalid value: "claims.email": claims.email_verified must be used in claimMappings.username.expression or claimMappings.extra[*].valueExpression or claimValidationRules[*].expression when claims.email is used in claimMappings.username.expression',
  ],
  [withMappings({ username: { expression: "claims.?email_verified.orValue(true) ? claims.email : ''" } })],
  [
    withMappings({
      extra: [
        { key: "a", valueExpression: "claims.a" },
        { key: "x.k8s.io/a", valueExpression: "claims.a" },
        { key: "e.org/A", valueExpression: "" },
      ],
    }),
    'jwt[0].claimMappings.extra[0].key: Invalid value: "a": must be a domain-prefixed path (such as "acme.io/foo")',
    'jwt[0].claimMappings.extra[1].key: Invalid value: "x.k8s.io/a": k8s.io, kubernetes.io and their subdomains are reserved for Kubernetes use',
    'jwt[0].claimMappings.extra[2].key: Invalid value: "e.org/A": must be lowercase',
    "jwt[0].claimMappings.extra[2].valueExpression: Required value",
  ],
  [withRule({}), "jwt[0].claimValidationRules[0]: Required value: claim or expression is required"],
  [
    withRule({ claim: "a", message: "m" }, { claim: "a" }),
    'jwt[0].claimValidationRules[0].message: Invalid value: "m": may not be specified when claim is set',
    'jwt[0].claimValidationRules[1].claim: Duplicate value: "a"',
  ],
  [
    withRule({ expression: "claims.sub" }, { expression: "true", requiredValue: "x" }, { expression: "true" }),
    'jwt[0].claimValidationRules[0].expression: Invalid value: "claims.sub": must evaluate to bool',
    'jwt[0].claimValidationRules[1].requiredValue: Invalid value: "x": may not be specified when expression is set',
    'jwt[0].claimValidationRules[2].expression: Duplicate value: "true"',
  ],
  [
    one({ userValidationRules: [{ expression: "" }, { expression: "user.username" }] }),
    "jwt[0].userValidationRules[0].expression: Required value",
    'jwt[0].userValidationRules[1].expression: Invalid value: "user.username": must evaluate to bool',
  ],
  [
    { anonymous: { enabled: false, conditions: [{ path: "/livez" }] } },
    'anonymous.conditions: Invalid value: [{"Path":"/livez"}]: enabled should be set to true when conditions are defined',
  ],
];
wrong.forEach(([configuration, ...expected], i) =>
  test(`authentication configuration ${i}: ${expected[0] ?? "is good"}`, () => {
    const { errors } = compileAuthentication(configuration, compiler);
    assert.deepEqual(
      errors.map(({ field, message }) => `${field}: ${message}`),
      expected,
    );
  }),
);

const claims = {
  sub: "u1",
  email: "u1@example.org",
  email_verified: true,
  groups: ["a", "", "b"],
  exp: 1000,
  nbf: 400,
  "example.org/team": "red",
  nested: { roles: ["x"] },
};
const users: readonly (readonly [string, object, unknown])[] = [
  [
    "a claim with a prefix",
    { claimMappings: { username: { claim: "sub", prefix: "p:" } } },
    { name: "p:u1", groups: [] },
  ],
  [
    "expressions",
    {
      claimMappings: {
        username: { expression: "claims.sub + ':x'" },
        groups: { expression: "claims.groups.map(g, 'g-' + g)" },
        uid: { expression: "claims.sub" },
        extra: [
          { key: "example.org/team", valueExpression: "claims.example__dot__org__slash__team" },
          { key: "example.org/none", valueExpression: "''" },
          { key: "example.org/roles", valueExpression: "claims.nested.roles" },
        ],
      },
      claimValidationRules: [{ expression: "claims.exp - claims.nbf <= 600" }],
      userValidationRules: [{ expression: "!user.username.startsWith('system:')", message: "reserved" }],
    },
    {
      name: "u1:x",
      uid: "u1",
      groups: ["g-a", "g-", "g-b"],
      extra: { "example.org/team": ["red"], "example.org/roles": ["x"] },
    },
  ],
  [
    "empty groups are left out",
    { claimMappings: { username, groups: { expression: "claims.groups" } } },
    { name: "u1", groups: ["a", "b"] },
  ],
  [
    "no such claim",
    { claimMappings: { username: { expression: "claims.nobody" } } },
    "oidc: error evaluating username claim expression: expression 'claims.nobody' resulted in error: no such key: nobody",
  ],
  [
    "an empty name",
    { claimMappings: { username: { expression: "''" } } },
    "oidc: empty username via CEL expression is not allowed",
  ],
  [
    "a name that is no string",
    { claimMappings: { username: { expression: "1" } } },
    "oidc: error evaluating username claim expression: username claim expression must return a string",
  ],
  [
    "a rule about claims",
    { claimValidationRules: [{ expression: "claims.exp < 10", message: "too long" }] },
    "oidc: error evaluating claim validation expression: validation expression 'claims.exp < 10' failed: too long",
  ],
  [
    "a rule about the user",
    { userValidationRules: [{ expression: "user.groups.size() > 0", message: "no groups" }] },
    "oidc: error evaluating user info validation rule: validation expression 'user.groups.size() > 0' failed: no groups",
  ],
  [
    "a claim that isn't there",
    { claimMappings: { username: { claim: "nobody", prefix: "" } } },
    'oidc: parse username claims "nobody": claim not present',
  ],
];
for (const [name, change, expected] of users)
  test(`claims make a user: ${name}`, () => {
    const configuration = one(change);
    const { errors, rules } = compileAuthentication(configuration, compiler);
    assert.deepEqual(errors, []);
    const make = () => userOf(configuration.jwt![0]!, rules[0]!, claims);
    if (typeof expected === "string") assert.throws(make, { message: expected });
    else assert.deepEqual(make(), expected);
  });

test("an email that isn't verified is no name", () => {
  const configuration = one({ claimMappings: { username: { claim: "email", prefix: "" } } });
  const { rules } = compileAuthentication(configuration, compiler);
  const name = (more: object) => userOf(configuration.jwt![0]!, rules[0]!, { ...claims, ...more }).name;
  assert.equal(name({}), "u1@example.org");
  assert.throws(() => name({ email_verified: false }), { message: "oidc: email not verified" });
  assert.throws(() => name({ email_verified: "true" }), /parse 'email_verified' claim/);
});
