/** Command lines of an API server that are wrong, and what a genuine kube-apiserver 1.36.2 says to them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { parseFlags } from "../flags.ts";
import { kubeApiserverFlags } from "../flags/kube-apiserver.ts";
import { serverGates } from "./feature-gates.ts";
import { checkServer } from "./server-checks.ts";
import { tlsBounds } from "./tls-bounds.ts";

const parsed = (...args: string[]) => parseFlags(kubeApiserverFlags, args).values;

/** The beginning is enough where upstream repeats its help. */
const WRONG: readonly (readonly [args: string, ...errors: string[]])[] = [
  ["--bind-address=nope", 'invalid argument "nope" for "--bind-address" flag: failed to parse IP: "nope"'],
  ["--advertise-address=nope", 'invalid argument "nope" for "--advertise-address" flag: failed to parse IP: "nope"'],
  ["--emulated-version=1.37", "emulation version 1.37 is not between [1.33, 1.36.0]"],
  ["--emulated-version=foo", 'could not parse "foo" as version'],
  ["--emulated-version=1.35", "--emulated-version 1.35 is not supported: this server is of 1.36 alone"],
  ["--min-compatibility-version=1.37", "minCompatibilityVersion version 1.37 is not between [1.33, 1.36]"],
  ["--min-compatibility-version=1.30", "minCompatibilityVersion version 1.30 is not between [1.33, 1.36]"],
  [
    "--emulated-version=kube=1.36 --emulation-forward-compatible",
    "ServerRunOptions.EmulationForwardCompatible cannot be set to true if the emulation version is the same as the binary version",
  ],
  [
    "--cors-allowed-origins=(",
    "--cors-allowed-origins has an invalid regular expression: error parsing regexp: missing closing ): `(`, help: List of",
  ],
  [
    "--cors-allowed-origins=example.com",
    "--cors-allowed-origins has an invalid regular expression: regular expression does not pin to start/end of host in the origin header, help: List of",
  ],
  [
    "--strict-transport-security-directives=foo",
    "--strict-transport-security-directives invalid, allowed values: max-age=expireTime, includeSubDomains, preload. see https://tools.ietf.org/html/rfc6797#section-6.1 for more information",
  ],
  [
    "--kubernetes-service-node-port=70000",
    "--kubernetes-service-node-port 70000 must be between 0 and 65535, inclusive. If 0, the Kubernetes master service will be of type ClusterIP",
    "kubernetes service node port range 30000-32767 doesn't contain 70000",
  ],
  ["--service-cluster-ip-range=foo", "service-cluster-ip-range[0] is not a valid cidr"],
  [
    "--service-node-port-range=2-1",
    'invalid argument "2-1" for "--service-node-port-range" flag: end port cannot be less than start port: 2-1',
  ],
  ["--tls-cipher-suites=foo", "Cipher suite foo not supported or doesn't exist"],
  ["--tls-min-version=VersionTLS14", 'unknown tls version "VersionTLS14"'],
];

for (const [args, ...errors] of WRONG)
  test(`${args} is refused`, () => {
    const found = checkServer(parsed(...args.split(" ")));
    assert.equal(found.length, errors.length, found.join("\n"));
    errors.forEach((error, i) => assert.ok(found[i]!.startsWith(error), found[i]));
  });

const RIGHT = [
  "",
  "--emulated-version=kube=1.36 --min-compatibility-version=1.35",
  "--cors-allowed-origins=//example\\.com(:|$),^https://other$",
  "--strict-transport-security-directives=max-age=3,preload",
  "--kubernetes-service-node-port=30443 --service-cluster-ip-range=10.0.0.0/24,fd00::/112",
  "--tls-cipher-suites=TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 --tls-min-version=VersionTLS13",
];
for (const args of RIGHT)
  test(`${args || "nothing"} is taken`, () =>
    assert.deepEqual(checkServer(parsed(...args.split(" ").filter((word) => word !== ""))), []));

test("suites and versions of TLS are OpenSSL's in the end", () => {
  assert.deepEqual(tlsBounds({}), {});
  const { ciphers, minVersion } = tlsBounds({
    "tls-cipher-suites": ["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"],
    "tls-min-version": "VersionTLS13",
  });
  assert.match(ciphers!, /ECDHE-RSA-AES128-GCM-SHA256$/);
  assert.equal(minVersion, "TLSv1.3");
});

const GATES: readonly (readonly [gates: Record<string, string>, error: string])[] = [
  [{ Nope: "true" }, "unrecognized feature gate: Nope"],
  [{ "kube:Nope": "true" }, "unrecognized feature gate: Nope"],
  [{ "wardle:Nope": "true" }, "component not registered: wardle"],
  [{ WatchList: "maybe" }, 'invalid value of WatchList=maybe, err: strconv.ParseBool: parsing "maybe": invalid syntax'],
  [{ APIServerTracing: "false" }, "cannot set feature gate APIServerTracing to false, feature is locked to true"],
];
for (const [gates, error] of GATES)
  test(`the gates ${JSON.stringify(gates)} are refused`, () =>
    assert.throws(() => serverGates(gates), { message: error }));

test("a gate may say that it is kube's, and a settled one may be what it is", () => {
  assert.deepEqual(
    [...serverGates({ "kube:WatchList": "0", APIServerTracing: "t" })],
    [
      ["WatchList", false],
      ["APIServerTracing", true],
    ],
  );
});

test("a gate of a stage speaks for all gates of it, but for those that are named and those that are settled", () => {
  const gates = serverGates({ CBORServingAndStorage: "false", AllAlpha: "true" });
  assert.equal(gates.get("CBORServingAndStorage"), false);
  assert.equal(gates.get("StorageVersionAPI"), true);
  assert.equal(gates.get("OpenAPIEnums"), undefined);
  assert.equal(serverGates({ AllBeta: "false" }).get("OpenAPIEnums"), false);
});

test("flags without effect stand as upstream's do", () => {
  const values = parsed() as unknown as Record<string, unknown>;
  assert.equal(values["profiling"], true);
  assert.equal(values["watch-cache"], true);
  assert.equal(values["default-watch-cache-size"], 100);
  assert.equal(values["coordinated-leadership-lease-duration"], 15_000);
  assert.deepEqual(values["watch-cache-sizes"], ["events#0", "events.events.k8s.io#0"]);
});

test("flags that upstream has no more are unknown", () => {
  for (const flag of [
    "cloud-provider=x",
    "target-ram-mb=3",
    "identity-lease-duration-seconds=4",
    "proxy-cipher-suites=x",
  ])
    assert.throws(() => parsed(`--${flag}`), { message: `unknown flag: --${flag.split("=")[0]}` });
});
