import assert from "node:assert/strict";
import { test } from "node:test";
import type { FileStat } from "../../world/fs.ts";
import { parseFlags } from "../flags.ts";
import { kubeApiserverFlags } from "../flags/kube-apiserver.ts";
import { accessOptions, checkAccess, readAuthentication, readAuthorization } from "./access.ts";

const files = (contents: Readonly<Record<string, string>>) => ({
  readFile: async (path: string) => {
    const text = contents[path];
    if (text === undefined) throw Object.assign(new Error("no file"), { code: "ENOENT" });
    return Buffer.from(text);
  },
  stat: async (path: string) => (contents[path] === undefined ? undefined : ({ kind: "file" } as FileStat)),
});
const parsed = (...args: string[]) => parseFlags(kubeApiserverFlags, args);

const table: readonly (readonly [readonly string[], ...string[]])[] = [
  [[]],
  [["--authorization-mode=Node,RBAC"]],
  [["--authorization-mode=Magic"], 'authorization-mode "Magic" is not a valid mode'],
  [["--authorization-mode=RBAC,RBAC"], 'authorization-mode ["RBAC" "RBAC"] has mode specified more than once'],
  [["--authorization-mode=ABAC"], "authorization-mode ABAC's authorization policy file not passed"],
  [["--authorization-policy-file=p"], "cannot specify --authorization-policy-file without mode ABAC"],
  [["--authorization-mode=Webhook"], "authorization-mode Webhook's authorization config file not passed"],
  [
    ["--authorization-webhook-config-file=p"],
    "cannot specify --authorization-webhook-config-file without mode Webhook",
  ],
  [
    ["--authorization-config=f", "--authorization-mode=RBAC"],
    "--authorization-config can not be specified when --authorization-mode or --authorization-webhook-* flags are defined",
  ],
  [
    ["--authentication-config=f", "--oidc-issuer-url=https://a", "--oidc-client-id=x"],
    "authentication-config file and oidc-* flags are mutually exclusive",
  ],
  [
    ["--oidc-issuer-url=https://a"],
    "oidc-issuer-url and oidc-client-id must be specified together when any oidc-* flags are set",
  ],
  [
    ["--oidc-issuer-url=https://a", "--oidc-client-id=x", "--oidc-signing-algs=none"],
    'oidc: unsupported signing alg: "none"',
  ],
  [
    ["--service-account-issuer=not a url:x"],
    `service-account-issuer "not a url:x" contained a ':' but was not a valid URL: parse "not a url:x": first path segment in URL cannot contain colon`,
  ],
  [
    ["--requestheader-uid-headers=X-Uid"],
    "--requestheader-uid-headers is set without specifying the standard X-Remote-Uid header - API aggregation will not work",
  ],
  [["--requestheader-username-headers= "], 'empty value in "requestheader-username-headers"'],
  [
    ["--service-account-max-token-expiration=10m"],
    "the service-account-max-token-expiration must be between 1 hour and 2^32 seconds",
  ],
];
for (const [args, ...errors] of table)
  test(`flags ${args.join(" ") || "of nothing"}: ${errors[0] ?? "are good"}`, () => {
    const { values, set } = parsed(...args);
    assert.deepEqual(checkAccess(values, set), errors);
  });

test("the flags of one issuer are a configuration of one issuer", async () => {
  const read = async (...args: string[]) =>
    await readAuthentication(
      files({ ca: "PEM" }),
      parsed("--oidc-issuer-url=https://a", "--oidc-client-id=x", ...args).values,
    );
  assert.deepEqual(await read("--oidc-ca-file=ca", "--oidc-groups-claim=g", "--oidc-required-claim=hd=e.org"), {
    jwt: [
      {
        issuer: { url: "https://a", audiences: ["x"], certificateAuthority: "PEM" },
        claimValidationRules: [{ claim: "hd", requiredValue: "e.org" }],
        claimMappings: { username: { claim: "sub", prefix: "https://a#" }, groups: { claim: "g", prefix: "" } },
      },
    ],
  });
  const prefix = async (...args: string[]) => (await read(...args))!.jwt![0]!.claimMappings.username.prefix;
  assert.equal(await prefix("--oidc-username-claim=email"), "");
  assert.equal(await prefix("--oidc-username-prefix=-"), "");
  assert.equal(await prefix("--oidc-username-prefix=o:"), "o:");
});

test("configuration files are read strictly", async () => {
  const read = async (text: string) =>
    await readAuthentication(files({ f: text }), parsed("--authentication-config=f").values);
  const head = "apiVersion: apiserver.config.k8s.io/v1\nkind: AuthenticationConfiguration\n";
  assert.deepEqual(await read(`${head}anonymous: {enabled: true}`), { anonymous: { enabled: true } });
  await assert.rejects(
    read(`${head}jwt: [{issuer: {uri: x}}]`),
    /strict decoding error: unknown field "jwt\[0\]\.issuer\.uri"/,
  );
  await assert.rejects(read("apiVersion: v1\nkind: Pod"), /no kind "Pod" is registered for version "v1"/);
  await assert.rejects(
    accessOptions(
      files({ f: `${head}anonymous: {enabled: true}` }),
      parsed("--authentication-config=f", "--anonymous-auth=true").values,
      new Set(["anonymous-auth"]),
    ),
    /--anonymous-auth flag cannot be set when anonymous field is configured/,
  );
});

test("webhooks are where their kubeconfigs say", async () => {
  const kubeconfig = JSON.stringify({
    clusters: [{ name: "c", cluster: { server: "https://hook/authorize" } }],
    users: [{ name: "u", user: { token: "t" } }],
    contexts: [{ name: "x", context: { cluster: "c", user: "u" } }],
    "current-context": "x",
  });
  const webhook = {
    timeout: "3s",
    subjectAccessReviewVersion: "v1",
    failurePolicy: "Deny",
    connectionInfo: { type: "KubeConfigFile", kubeConfigFile: "/k" },
  };
  const authorizers = [{ type: "Webhook", name: "h", webhook }];
  const fs = files({
    "/k": kubeconfig,
    f: JSON.stringify({ apiVersion: "apiserver.config.k8s.io/v1", kind: "AuthorizationConfiguration", authorizers }),
  });
  const { targets } = await readAuthorization(fs, parsed("--authorization-config=f").values);
  assert.deepEqual(targets!.get("h"), { server: "https://hook/authorize", tls: {}, token: "t" });
  const flags = await readAuthorization(
    fs,
    parsed(
      "--authorization-mode=Webhook,RBAC",
      "--authorization-webhook-config-file=/k",
      "--authorization-webhook-version=v1",
    ).values,
  );
  const [hook, rbac] = flags.configuration.authorizers!;
  assert.deepEqual(
    [hook!.name, hook!.webhook!.authorizedTTL, hook!.webhook!.failurePolicy],
    ["default", "300000ms", "NoOpinion"],
  );
  assert.deepEqual(rbac, { type: "RBAC", name: "rbac" });
  assert.equal(flags.targets!.get("default")!.server, "https://hook/authorize");
});
