/**
 * TLS on etcd's ports as its flags ask for it, with real certificates and upstream's command line tool. What is let in and what not is compared
 * with Debian's etcd under the same flags. Skips where the machine has no etcd.
 */
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { webcrypto, X509Certificate } from "node:crypto";
import { existsSync } from "node:fs";
import { cp, mkdir, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { connect, type ConnectionOptions, type TLSSocket } from "node:tls";
import "reflect-metadata";
import * as x509 from "@peculiar/x509";
import { ComponentGroup } from "../../src/base/component-group.ts";
import { selfSigned, signed, type KeyPair } from "../../src/cli/certificates.ts";
import { parseFlags } from "../../src/cli/flags.ts";
import { etcdFlags } from "../../src/cli/flags/etcd.ts";
import { etcdMember } from "../../src/cli/processes/etcd.ts";
import { clientTls, serverTls, type Names, type TlsInfo } from "../../src/etcd/tls/tls.ts";
import { silent } from "../../src/observe/log.ts";
import { connectEtcd } from "../../src/protocols/etcd/connect.ts";
import { nodeWorld } from "../../src/world/node/index.ts";

const skip = existsSync("/usr/bin/etcd") && existsSync("/usr/bin/etcdctl") ? false : "no etcd on this machine";
const world = nodeWorld();
let folder: string;
let ca: KeyPair;

/** `NAME.crt` and `NAME.key`. */
async function certificate(name: string, issuer: KeyPair, request: Parameters<typeof signed>[2]): Promise<void> {
  const { cert, key } = await signed(world, issuer, request);
  await writeFile(join(folder, `${name}.crt`), cert);
  await writeFile(join(folder, `${name}.key`), key);
}

async function revoke(...names: readonly string[]): Promise<void> {
  const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
  const key = x509.PemConverter.decodeFirst(ca.key);
  const entries = await Promise.all(
    names.map(async (name) => ({
      serialNumber: new X509Certificate(await readFile(join(folder, `${name}.crt`))).serialNumber,
      revocationDate: new Date(),
    })),
  );
  const list = await x509.X509CrlGenerator.create({
    issuer: new x509.X509Certificate(ca.cert).subject,
    thisUpdate: new Date(),
    nextUpdate: new Date(Date.now() + 3_600_000),
    entries,
    signingAlgorithm: algorithm,
    signingKey: (await webcrypto.subtle.importKey("pkcs8", key, algorithm, false, ["sign"])) as any,
  });
  await writeFile(join(folder, "crl.der"), Buffer.from(list.rawData));
}

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "t8s-etcd-tls-"));
  ca = await selfSigned(world, "ca");
  await writeFile(join(folder, "ca.crt"), ca.cert);
  const both = ["client", "server"] as const;
  await certificate("server", ca, { commonName: "", names: ["localhost"], addresses: ["127.0.0.1"], usages: both });
  await certificate("alice", ca, { commonName: "alice", usages: ["client"] });
  await certificate("bob", ca, { commonName: "bob", names: ["bob.example.org"], usages: ["client"] });
  await certificate("wild", ca, { commonName: "wild", names: ["*.example.org"], usages: ["client"] });
  await certificate("nameless", ca, { commonName: "", usages: ["client"] });
  await certificate("only-server", ca, { commonName: "x", usages: ["server"] });
  await certificate("stranger", await selfSigned(world, "other"), { commonName: "alice", usages: ["client"] });
  await revoke("alice");
});

after(async () => {
  await rm(folder, { recursive: true, force: true });
});

/** The last of each, with `@` for the folder. */
const inFolder = (flags: readonly string[]) => [
  ...new Map(flags.map((flag) => [flag.split("=")[0], flag.replaceAll("@", `${folder}/`)])).values(),
];

function words(whose: string, port: number): readonly string[] {
  const url = `https://127.0.0.1:${port}`;
  const peer = `http://127.0.0.1:${port + 1}`;
  return [
    `--data-dir=${join(folder, `${whose}-${port}`)}`,
    `--listen-client-urls=${url}`,
    `--advertise-client-urls=${url}`,
    `--listen-peer-urls=${peer}`,
    `--initial-advertise-peer-urls=${peer}`,
    `--initial-cluster=default=${peer}`,
    "--bcrypt-cost=4",
  ];
}

async function ours(port: number, ...flags: readonly string[]): Promise<AsyncDisposable> {
  const { values } = parseFlags(etcdFlags, inFolder([...words("ours", port), ...flags]));
  const group = new ComponentGroup();
  await group.start(await etcdMember(world, values, silent));
  return group;
}

async function upstream(port: number, ...flags: readonly string[]): Promise<AsyncDisposable> {
  const all = inFolder([...words("upstream", port), ...flags]);
  const child = spawn("/usr/bin/etcd", all, { stdio: ["ignore", "ignore", "pipe"] });
  await new Promise<void>((resolve, reject) => {
    let log = "";
    child.once("exit", () => reject(new Error(`upstream's etcd ended: ${log}`)));
    child.stderr.on("data", (chunk: Buffer) => {
      log += chunk.toString();
      if (log.includes("serving client")) resolve();
    });
  });
  return {
    async [Symbol.asyncDispose]() {
      const gone = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGKILL");
      await gone;
    },
  };
}

/** The answer, or `refused` for a connection that came to nothing. */
function etcdctl(port: number, line: string): Promise<string> {
  const args = line.split(" ").map((word) => word.replaceAll("@", `${folder}/`));
  return new Promise((resolve) => {
    execFile(
      "/usr/bin/etcdctl",
      [`--endpoints=https://127.0.0.1:${port}`, "--command-timeout=600ms", "--dial-timeout=600ms", ...args],
      { env: { ETCDCTL_API: "3" } },
      (error, stdout, stderr) => {
        if (error === null) return resolve(stdout.trim());
        const said = /^Error: (etcdserver: .*|.*rpc error: code = \w+ desc = etcdserver.*)$/m.exec(stderr)?.[1];
        resolve(said ?? "refused");
      },
    );
  });
}

const trust = "--cacert=@ca.crt";
const as = (name: string) => `${trust} --cert=@${name}.crt --key=@${name}.key`;
const SERVER = ["--cert-file=@server.crt", "--key-file=@server.key"];
const AUTHORITY = ["--client-cert-auth", "--trusted-ca-file=@ca.crt"];

/** Flags, and what of upstream's tool is let in with which certificate. */
const ACCESS: readonly (readonly [
  name: string,
  flags: readonly string[],
  commands: Readonly<Record<string, string>>,
])[] = [
  [
    "a certificate of its own",
    SERVER,
    {
      [`put a 1 ${trust}`]: "OK",
      [`put a 1 ${as("alice")}`]: "OK",
      "put a 1 --insecure-skip-tls-verify --insecure-transport=false": "OK",
      "put a 1": "refused",
    },
  ],
  [
    "certificates of clients",
    [...SERVER, ...AUTHORITY],
    {
      [`put a 1 ${as("alice")}`]: "OK",
      [`put a 1 ${as("server")}`]: "OK",
      [`put a 1 ${trust}`]: "refused",
      [`put a 1 ${as("stranger")}`]: "refused",
      [`put a 1 ${as("only-server")}`]: "refused",
    },
  ],
  [
    "an authority alone, which is enough to ask",
    [...SERVER, "--trusted-ca-file=@ca.crt"],
    { [`put a 1 ${as("alice")}`]: "OK", [`put a 1 ${trust}`]: "refused" },
  ],
  [
    "a list of revoked certificates",
    [...SERVER, ...AUTHORITY, "--client-crl-file=@crl.der"],
    { [`put a 1 ${as("bob")}`]: "OK", [`put a 1 ${as("alice")}`]: "refused" },
  ],
  [
    "a list of revoked certificates that is none",
    [...SERVER, ...AUTHORITY, "--client-crl-file=@ca.crt"],
    { [`put a 1 ${as("bob")}`]: "refused" },
  ],
  [
    "host names that are allowed",
    [...SERVER, ...AUTHORITY, "--client-cert-allowed-hostname=bob.example.org"],
    {
      [`put a 1 ${as("bob")}`]: "OK",
      [`put a 1 ${as("wild")}`]: "OK",
      [`put a 1 ${as("alice")}`]: "refused",
    },
  ],
];

describe("who is let in", { skip, concurrency: true }, () => {
  for (const [i, [name, flags, commands]] of ACCESS.entries())
    test(`with ${name}`, async () => {
      const port = 21450 + 4 * i;
      await using _genuine = await upstream(port, ...flags);
      await using _own = await ours(port + 2, ...flags);
      const lines = Object.keys(commands);
      const answers = (port: number) => Promise.all(lines.map(async (line) => [line, await etcdctl(port, line)]));
      assert.deepEqual(Object.fromEntries(await answers(port)), commands, "upstream's");
      assert.deepEqual(Object.fromEntries(await answers(port + 2)), commands, "ours");
    });
});

test("the name in a certificate is the user's, unless a token says otherwise", { skip }, async () => {
  await using _genuine = await upstream(21474, ...SERVER, ...AUTHORITY);
  await using _own = await ours(21476, ...SERVER, ...AUTHORITY);
  const root = `${as("nameless")} --user=root:root`;
  for (const [line, expected] of [
    [`user add root:root ${as("alice")}`, "User root created"],
    [`user add alice --no-password ${as("alice")}`, "User alice created"],
    [`user grant-role root root ${as("alice")}`, "Role root is granted to user root"],
    [`role add r ${as("alice")}`, "Role r created"],
    [`role grant-permission r readwrite a ${as("alice")}`, "Role r updated"],
    [`user grant-role alice r ${as("alice")}`, "Role r is granted to user alice"],
    [`auth enable ${as("alice")}`, "Authentication Enabled"],
    [`put a 1 ${as("alice")}`, "OK"],
    [`put b 1 ${as("alice")}`, "etcdserver: permission denied"],
    [`put a 1 ${as("bob")}`, "etcdserver: permission denied"],
    [`user list ${as("alice")}`, "etcdserver: permission denied"],
    [`user list ${as("bob")}`, "etcdserver: user name not found"],
    [`put b 1 ${as("alice")} --user=root:root`, "OK"],
    [`put b 1 ${root}`, "OK"],
  ] as const)
    assert.deepEqual(await Promise.all([etcdctl(21474, line), etcdctl(21476, line)]), [expected, expected], line);
  // The gateway does not authenticate by certificate, and rejects clients that might expect it to.
  const key = Buffer.from("a").toString("base64");
  const gateway = (port: number, name: string) =>
    new Promise<string>((resolve, reject) => {
      const files = ["--cacert", join(folder, "ca.crt"), "--cert", join(folder, `${name}.crt`)];
      files.push("--key", join(folder, `${name}.key`));
      const url = `https://127.0.0.1:${port}/v3/kv/range`;
      execFile("curl", ["-s", "-w", " %{http_code}", ...files, url, "-d", JSON.stringify({ key })], (error, stdout) =>
        error === null ? resolve(stdout.replace(/"error":"[^"]*",|,"error":"[^"]*"/, "")) : reject(error),
      );
    });
  const ignored =
    "CommonName of client sending a request against gateway will be ignored and not used as expected\n 400";
  assert.deepEqual(await Promise.all([gateway(21474, "alice"), gateway(21476, "alice")]), [ignored, ignored]);
  assert.match(await gateway(21476, "nameless"), /user name is empty.* 400$/);
});

function handshake(port: number, options: ConnectionOptions = {}): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: "127.0.0.1", port, ca: ca.cert, ...options }, () => resolve(socket));
    socket.once("error", reject);
  });
}

test("certificates and the list of revoked ones are those of the moment", { skip }, async () => {
  await cp(join(folder, "server.crt"), join(folder, "moving.crt"));
  await cp(join(folder, "server.key"), join(folder, "moving.key"));
  const files = ["--cert-file=@moving.crt", "--key-file=@moving.key", "--client-crl-file=@crl.der"];
  await using _own = await ours(21478, ...files, ...AUTHORITY);
  const serial = async () => {
    const cert = await readFile(join(folder, "bob.crt"));
    const socket = await handshake(21478, { cert, key: await readFile(join(folder, "bob.key")) });
    const { serialNumber } = socket.getPeerCertificate();
    socket.destroy();
    return serialNumber;
  };
  const first = await serial();
  await certificate("moving", ca, { commonName: "", addresses: ["127.0.0.1"], usages: ["server"] });
  const second = await serial();
  assert.notEqual(second, first);
  assert.equal(second, new X509Certificate(await readFile(join(folder, "moving.crt"))).serialNumber);
  assert.equal(await etcdctl(21478, `put a 1 ${as("bob")}`), "OK");
  await revoke("alice", "bob");
  assert.equal(await etcdctl(21478, `put a 1 ${as("bob")}`), "refused");
  await revoke("alice");
  assert.equal(await etcdctl(21478, `put a 1 ${as("bob")}`), "OK");
  // Half of a pair is no certificate: nobody is served with it.
  await cp(join(folder, "server.key"), join(folder, "moving.key"));
  assert.equal(await etcdctl(21478, `put a 1 ${as("bob")}`), "refused");
});

test("versions and cipher suites are those that are asked for", { skip }, async () => {
  const suite = "--cipher-suites=TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256";
  await using _two = await ours(21480, ...SERVER, suite, "--tls-max-version=TLS1.2");
  await using _three = await ours(21482, ...SERVER, "--tls-min-version=TLS1.3");
  await using _suites = await ours(21484, ...SERVER, suite);
  const spoken = async (port: number, options: ConnectionOptions) => {
    const socket = await handshake(port, options);
    const { name } = socket.getCipher();
    const version = socket.getProtocol();
    socket.destroy();
    return [version, name];
  };
  assert.deepEqual(await spoken(21480, {}), ["TLSv1.2", "ECDHE-ECDSA-AES128-GCM-SHA256"]);
  await assert.rejects(spoken(21480, { ciphers: "ECDHE-ECDSA-AES256-GCM-SHA384" }), /handshake failure/);
  assert.equal((await spoken(21482, {}))[0], "TLSv1.3");
  await assert.rejects(spoken(21482, { maxVersion: "TLSv1.2" }), /protocol version/);
  assert.equal((await spoken(21484, {}))[0], "TLSv1.3");
  assert.deepEqual(await spoken(21484, { maxVersion: "TLSv1.2" }), ["TLSv1.2", "ECDHE-ECDSA-AES128-GCM-SHA256"]);
});

test("a certificate is made for who asks for one and has none, and kept", { skip }, async () => {
  const made = async () => {
    await using _own = await ours(21486, "--auto-tls", "--self-signed-cert-validity=2");
    assert.equal(await etcdctl(21486, "put a 1 --insecure-skip-tls-verify --insecure-transport=false"), "OK");
    return await readFile(join(folder, "ours-21486/fixtures/client/cert.pem"));
  };
  const cert = await made();
  const { subject, subjectAltName, validFrom, validTo, publicKey } = new X509Certificate(cert);
  assert.equal(subject, "O=etcd");
  assert.equal(subjectAltName, "IP Address:127.0.0.1");
  assert.equal(publicKey.asymmetricKeyDetails?.namedCurve, "secp521r1");
  assert.equal(Math.round((Date.parse(validTo) - Date.parse(validFrom)) / 86_400_000), 730);
  const { mode } = await stat(join(folder, "ours-21486/fixtures/client/key.pem"));
  assert.equal(mode & 0o777, 0o600);
  assert.deepEqual(await made(), cert);
});

for (const [name, flags, message] of [
  [
    "no certificate at an https URL",
    [],
    /TLS key\/cert \(--cert-file, --key-file\) must be provided for client url https:\/\/127\.0\.0\.1:21488 with HTTPS scheme$/,
  ],
  [
    "a certificate without its key",
    ["--cert-file=@server.crt"],
    /KeyFile and CertFile must both be present\[key: , cert: .*server\.crt\]$/,
  ],
  ["a file that is not there", ["--cert-file=@none.crt", "--key-file=@server.key"], /no such file/],
  [
    "a key of another certificate",
    ["--cert-file=@server.crt", "--key-file=@alice.key"],
    /private key does not match public key/,
  ],
  [
    "half a client certificate",
    [...SERVER, "--client-cert-file=@alice.crt"],
    /ClientKeyFile and ClientCertFile must both be present or both absent/,
  ],
  [
    "names and hosts that are allowed",
    [...SERVER, "--client-cert-allowed-cn=a", "--client-cert-allowed-hostname=b"],
    /AllowedCNs and AllowedHostnames are mutually exclusive/,
  ],
  ["an unknown cipher suite", [...SERVER, "--cipher-suites=NONE"], /unexpected TLS cipher suite "NONE"$/],
  ["no validity", ["--auto-tls", "--self-signed-cert-validity=0"], /should be greater than 0/],
  ["an unknown kind of token", [...SERVER, "--auth-token=other"], /auth: invalid auth options$/],
] as const)
  test(`a member doesn't start with ${name}`, async () => {
    await assert.rejects(async () => {
      await using _own = await ours(21488, ...flags);
    }, message);
  });

test("the API server's way to its store shows its certificate", async () => {
  await using _own = await ours(21490, ...SERVER, ...AUTHORITY);
  const read = (name: string) => readFile(join(folder, name), "utf8");
  const pair = { cert: await read("alice.crt"), key: await read("alice.key") };
  const endpoints = ["https://127.0.0.1:21490"];
  const client = connectEtcd(world, { endpoints, tls: { ca: ca.cert, ...pair } });
  const { header } = await client.kv.Put({ key: Buffer.from("a"), value: Buffer.from("1") });
  assert.equal(header?.revision, 2);
  await client.close();
});

// Between members.

const INFO: TlsInfo = {
  certFile: "@server.crt",
  keyFile: "@server.key",
  clientCertFile: "",
  clientKeyFile: "",
  clientCertAuth: true,
  trustedCaFile: "@ca.crt",
  crlFile: "",
  allowedCns: [],
  allowedHostnames: [],
  selfMade: false,
  cipherSuites: [],
  minVersion: "TLS1.2",
  maxVersion: "",
};
const info = (changes: Partial<TlsInfo> = {}): TlsInfo =>
  Object.fromEntries(
    Object.entries({ ...INFO, ...changes }).map(([name, value]) => [
      name,
      typeof value === "string" ? value.replace("@", `${folder}/`) : value,
    ]),
  ) as unknown as TlsInfo;

const pairOf = (name: string) => ({ clientCertFile: `@${name}.crt`, clientKeyFile: `@${name}.key` });
const NOWHERE: Names = { addresses: async () => [], names: async () => [] };

for (const [name, server, client, names, letIn] of [
  ["with a certificate that names its address", {}, {}, NOWHERE, true],
  ["with one that names nothing", {}, pairOf("alice"), NOWHERE, true],
  ["with one that names another host", {}, pairOf("bob"), NOWHERE, false],
  [
    "with one whose host has its address",
    {},
    pairOf("bob"),
    { ...NOWHERE, addresses: async () => ["127.0.0.1"] },
    true,
  ],
  [
    "with one for all hosts of a domain, of no name",
    {},
    pairOf("wild"),
    { ...NOWHERE, addresses: async () => ["127.0.0.1"] },
    false,
  ],
  [
    "with one for all hosts of its domain",
    {},
    pairOf("wild"),
    { ...NOWHERE, names: async () => ["x.example.org."] },
    true,
  ],
  [
    "with one for all hosts of another domain",
    {},
    pairOf("wild"),
    { ...NOWHERE, names: async () => ["x.example.com"] },
    false,
  ],
  ["with one that names another host, unlooked at", {}, pairOf("bob"), undefined, true],
  ["with a name that is allowed", { allowedCns: ["x", "alice"] }, pairOf("alice"), NOWHERE, true],
  ["with a name that is not allowed", { allowedCns: ["x"] }, pairOf("alice"), NOWHERE, false],
  ["with a certificate that was revoked", { crlFile: "@crl.der" }, pairOf("alice"), NOWHERE, false],
  ["with a certificate of another authority", {}, pairOf("stranger"), NOWHERE, false],
] as const)
  test(`a member ${name} is ${letIn ? "let in" : "kept out"}`, async () => {
    const deps = { ...world, log: silent };
    const tls = await serverTls(info(server), "peer", deps, names);
    await using listener = await world.net.serveHttp({ host: "127.0.0.1", port: 0, tls }, (exchange) =>
      exchange.respond(200, {}, "in"),
    );
    const base = `https://127.0.0.1:${listener.address.port}`;
    for (const version of ["1.1", "2"] as const) {
      await using http = world.net.httpClient({ base, tls: await clientTls(info(client), deps), version });
      const asked = http.request({ method: "GET", path: "/" });
      if (letIn) assert.equal((await asked).status, 200);
      else await assert.rejects(asked);
    }
  });

test("a member shows the certificate that is in its files now", async () => {
  const deps = { ...world, log: silent };
  const tls = await serverTls(info(), "peer", deps);
  const seen: string[] = [];
  await using listener = await world.net.serveHttp({ host: "127.0.0.1", port: 0, tls }, (exchange) => {
    seen.push(new X509Certificate(exchange.request.peer.certificate!.der).serialNumber);
    exchange.respond(200, { connection: "close" }, "in");
  });
  await mkdir(join(folder, "member"), { recursive: true });
  await certificate("member/own", ca, { commonName: "one", usages: ["client"] });
  const own = await clientTls(info(pairOf("member/own")), deps);
  const base = `https://127.0.0.1:${listener.address.port}`;
  await using http = world.net.httpClient({ base, tls: own, version: "1.1" });
  const ask = async () => {
    const { body } = await http.request({ method: "GET", path: "/" });
    for await (const _ of body);
  };
  await ask();
  await certificate("member/own", ca, { commonName: "two", usages: ["client"] });
  await ask();
  assert.equal(new Set(seen).size, 2);
});

test(
  "members, ours and upstream's, talk among themselves by certificate, and share users and tokens",
  { skip },
  async () => {
    const peers = [
      "--peer-cert-file=@server.crt",
      "--peer-key-file=@server.key",
      "--peer-client-cert-auth",
      "--peer-trusted-ca-file=@ca.crt",
    ];
    const ports = [21400, 21404, 21408];
    const cluster = ports.map((port) => `m${port}=https://127.0.0.1:${port + 1}`).join();
    const flags = (port: number) => [
      ...SERVER,
      ...peers,
      `--name=m${port}`,
      `--listen-peer-urls=https://127.0.0.1:${port + 1}`,
      `--initial-advertise-peer-urls=https://127.0.0.1:${port + 1}`,
      `--initial-cluster=${cluster}`,
    ];
    const [first, second, third] = ports as [number, number, number];
    // Together: none is ready before most are there.
    const [genuine, one, two] = await Promise.all([
      upstream(first, ...flags(first)),
      ours(second, ...flags(second)),
      ours(third, ...flags(third)),
    ]);
    try {
      const at = (port: number, line: string) => etcdctl(port, `${line} ${trust} --command-timeout=60s`);
      assert.equal(await at(second, "put a 1"), "OK");
      for (const port of ports) assert.equal(await at(port, "get a --print-value-only"), "1");
      assert.equal(await at(third, "user add root:root"), "User root created");
      assert.equal(await at(second, "user grant-role root root"), "Role root is granted to user root");
      assert.equal(await at(first, "auth enable"), "Authentication Enabled");
      for (const port of ports) {
        assert.equal(await at(port, `put by-${port} 1 --user=root:root`), "OK");
        assert.equal(await at(port, "put a 1"), "etcdserver: user name is empty");
      }
      const ask = async (port: number, path: string, body: object, token = "") => {
        await using http = world.net.httpClient({
          base: `https://127.0.0.1:${port}`,
          tls: { ca: ca.cert },
          version: "1.1",
        });
        const headers = { authorization: token };
        const answer = await http.request({
          method: "POST",
          path,
          headers: token === "" ? {} : headers,
          body: JSON.stringify(body),
        });
        const chunks: Uint8Array[] = [];
        for await (const chunk of answer.body) chunks.push(chunk);
        return Buffer.concat(chunks).toString();
      };
      for (const giver of ports) {
        const { token } = JSON.parse(await ask(giver, "/v3/auth/authenticate", { name: "root", password: "root" })) as {
          readonly token: string;
        };
        for (const port of ports) {
          const key = Buffer.from("a").toString("base64");
          assert.match(
            await ask(port, "/v3/kv/range", { key }, token),
            /"value":"MQ=="/,
            `${giver}'s token at ${port}`,
          );
        }
      }
    } finally {
      await Promise.all([genuine, one, two].map((member) => member[Symbol.asyncDispose]()));
    }
  },
);
