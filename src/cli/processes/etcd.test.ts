import assert from "node:assert/strict";
import { test } from "node:test";
import { simulatedWorld } from "../../testing/sim/world.ts";
import { parseFlags } from "../flags.ts";
import { etcdFlags } from "../flags/etcd.ts";
import { etcdOptions } from "./etcd.ts";

async function options(args: readonly string[], environment: Readonly<Record<string, string>>, file?: string) {
  const { fs, host } = simulatedWorld(1);
  if (file !== undefined) await fs.writeFile("/etcd.yaml", file);
  return (await etcdOptions({ fs, host: { ...host, environment } }, parseFlags(etcdFlags, args))).values;
}

test("variables stand in for flags that are not set", async () => {
  const values = await options(["--name=a"], { ETCD_DATA_DIR: "/d", ETCD_UNSAFE_NO_FSYNC: "true", ETCD_UNKNOWN: "x" });
  assert.deepEqual([values.name, values["data-dir"], values["unsafe-no-fsync"]], ["a", "/d", true]);
});

test("a variable and a flag for the same are an error", () =>
  assert.rejects(
    options(["--name=a"], { ETCD_NAME: "b" }),
    /conflicting environment variable "ETCD_NAME" is shadowed/,
  ));

test("a configuration file is all that counts beside itself", async () => {
  const file =
    "name: f\nheartbeat-interval: 50\nclient-transport-security:\n  cert-file: /c\n  client-cert-auth: true\n";
  const values = await options(["--config-file=/etcd.yaml", "--data-dir=/d"], { ETCD_SNAPSHOT_COUNT: "5" }, file);
  assert.deepEqual(
    [values.name, values["data-dir"], values["heartbeat-interval"], values["snapshot-count"], values["cert-file"]],
    ["f", "", 50, 10_000, "/c"],
  );
  assert.equal(values["client-cert-auth"], true);
});

test("the two sections about certificates have names of their own for the flags", async () => {
  const file = `
client-transport-security: { cert-file: /c, key-file: /k, trusted-ca-file: /ca, auto-tls: true, allowed-cn: [a, b] }
peer-transport-security:
  cert-file: /pc
  key-file: /pk
  client-cert-auth: true
  trusted-ca-file: /pca
  allowed-hostname: x.example.org
  skip-client-san-verification: true
`;
  const values = await options(["--config-file=/etcd.yaml"], {}, file);
  assert.deepEqual(
    [
      values["cert-file"],
      values["key-file"],
      values["trusted-ca-file"],
      values["auto-tls"],
      values["client-cert-auth"],
    ],
    ["/c", "/k", "/ca", true, false],
  );
  assert.deepEqual(
    [values["client-cert-allowed-cn"], values["peer-cert-allowed-hostname"], values["peer-cert-allowed-cn"]],
    [["a", "b"], ["x.example.org"], []],
  );
  assert.deepEqual(
    [
      values["peer-cert-file"],
      values["peer-key-file"],
      values["peer-trusted-ca-file"],
      values["peer-client-cert-auth"],
    ],
    ["/pc", "/pk", "/pca", true],
  );
  assert.equal(values["peer-skip-client-san-verification"], true);
});
