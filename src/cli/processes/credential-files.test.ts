import assert from "node:assert/strict";
import { test } from "node:test";
import { nodeWorld } from "../../world/node/index.ts";
import { selfSigned } from "../certificates.ts";
import { checkBundle, checkKeyPair, checkPublicKeys } from "./credential-files.ts";

test("certificates and keys that can't be used are told in upstream's words", async () => {
  const machine = nodeWorld();
  const [one, other] = [await selfSigned(machine, "one"), await selfSigned(machine, "other")];
  checkBundle("client-ca-bundle", "ca.crt", one.cert);
  assert.throws(() => checkBundle("client-ca-bundle", "ca.crt", one.key), {
    message:
      'error loading CA bundle for "client-ca-bundle::ca.crt": data does not contain any valid RSA or ECDSA certificates',
  });
  checkKeyPair(one);
  const mixed = { cert: one.cert, key: other.key };
  assert.throws(() => checkKeyPair(mixed), { message: "tls: private key does not match public key" });
  assert.throws(() => checkKeyPair(mixed, "failed to load SNI cert and key: "), {
    message: "failed to load SNI cert and key: tls: private key does not match public key",
  });
  checkPublicKeys("sa.key", one.key);
  checkPublicKeys("sa.pub", one.cert);
  assert.throws(() => checkPublicKeys("tokens.csv", "a,b,c"), {
    message: "error reading public key file tokens.csv: data does not contain any valid RSA or ECDSA public keys",
  });
});
