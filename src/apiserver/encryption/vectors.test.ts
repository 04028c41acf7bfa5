/** Bytes that upstream's own code made, read by ours; and ours read by node:crypto alone. */
import assert from "node:assert/strict";
import { createDecipheriv, createHmac } from "node:crypto";
import { test } from "node:test";
import { EncryptedObject, kmsCodec } from "../../protocols/kms/service.ts";
import { SeededRandom } from "../../testing/sim/random.ts";
import { aesCbc, aesGcm, extendedNonceGcm } from "./aes.ts";
import { open, seal, secretbox } from "./secretbox.ts";
import type { Transformer } from "./transformer.ts";

const KEY = Buffer.from("0123456789abcdef0123456789abcdef");
const PATH = "/registry/secrets/default/a";
const TEXT = '{"kind":"Secret","apiVersion":"v1","metadata":{"name":"a"},"data":{"k":"dg=="}}';
const random = new SeededRandom(1);
const hex = (text: string) => Buffer.from(text, "hex");

/** Made with k8s.io/apiserver v0.36.2: pkg/storage/value/encrypt. */
const UPSTREAM: Readonly<Record<string, string>> = {
  aescbc:
    "7e2bc96789fba611e49eedcb0e7a4267d3b992c65b0fb97e94ef771a98b244525d033ac8c4ba91b9123d0f281d6a26d01b4f846931b92929b7a56969f76d5c21441c380c99b69b2d7d37efc1822babdead2e5e79d79a4fcd5070f35ed5d96ca7",
  aesgcm:
    "33ad699ec384887f70e51e53fa31b6f5d16f144caee35cbe3bf4dd83fc69b9afbb8bbe7a7207f1f81b8365416fd2b8af6664e293994892ab61cf91b66bf201399987d0f04fb1f6d4a2a2e52d27363e9154c6fea90db3531213387a9a83ff5e4abafed55aa6026741d27ec1",
  secretbox:
    "ed07a9e629d23d0d3e412584226dfadd23245eda34ed9bb8689b33c02e9e556d5086e05794ebe3ce82d44ffb2fa6c1bf239a8d3c8777e54476dbe35cfa1d9048623ed5c8201e203ba9f83df17fcca05f1dade6de325171468e4e7d9ae2e5fb02a3cc9100bc47c30b874c91e4eca8f48424f4be2a074323",
  hkdf: "bbc108c08b91162fd0165299b3e1a531f459cd186f7b0cb124ee93b6706f6ac592b4c98dfb0abc2a2c342e19e8989ea7bf7d002626faf32a252e521112e48997ba8fdc5622f423358b70dabf01a3fbf6bebfb5a0dd5e43468b33a16d4fdfa859c7de6922533464c860449e06454706399fb4b0958f9e3feae78c9d1229638850efc6768a69cfe0afe09fb9",
};
const ENVELOPE =
  "0a8b01bbc108c08b91162fd0165299b3e1a531f459cd186f7b0cb124ee93b6706f6ac592b4c98dfb0abc2a2c342e19e8989ea7bf7d002626faf32a252e521112e48997ba8fdc5622f423358b70dabf01a3fbf6bebfb5a0dd5e43468b33a16d4fdfa859c7de6922533464c860449e06454706399fb4b0958f9e3feae78c9d1229638850efc6768a69cfe0afe09fb912056b65792d311a277365616c65643a303132333435363738396162636465663031323334353637383961626364656622120a0d612e6578616d706c652e636f6d1201622801";

const OURS: Readonly<Record<string, Transformer>> = {
  aescbc: aesCbc(KEY, random),
  aesgcm: aesGcm(KEY, random),
  secretbox: secretbox(KEY, random),
  hkdf: extendedNonceGcm(KEY, random),
};

test("what upstream wrote is read", () => {
  for (const [name, bytes] of Object.entries(UPSTREAM))
    assert.equal(Buffer.from(OURS[name]!.read(hex(bytes), PATH)).toString(), TEXT, name);
});

test("what is written is read again, in all lengths", () => {
  for (const [name, transformer] of Object.entries(OURS))
    for (const length of [0, 1, 15, 16, 17, 31, 32, 33, 63, 64, 65, 1000, 5000]) {
      const data = random.bytes(length);
      const written = transformer.write(data, PATH);
      assert.deepEqual(Buffer.from(transformer.read(written, PATH)), Buffer.from(data), `${name} ${length}`);
    }
});

test("what was tampered with or moved is not read", () => {
  for (const [name, bytes] of Object.entries(UPSTREAM)) {
    const broken = hex(bytes);
    broken[broken.length - 1]! ^= 1;
    assert.throws(() => OURS[name]!.read(broken, PATH), name);
    assert.throws(() => OURS[name]!.read(hex("00"), PATH), /shorter than the required size/, name);
  }
  for (const name of ["aesgcm", "hkdf"])
    assert.throws(() => OURS[name]!.read(hex(UPSTREAM[name]!), "/registry/secrets/default/b"), {
      message: "cipher: message authentication failed",
    });
});

test("node:crypto alone reads what we write", () => {
  const data = Buffer.from(TEXT);
  const cbc = OURS["aescbc"]!.write(data, PATH);
  const cbcCipher = createDecipheriv("aes-256-cbc", KEY, cbc.subarray(0, 16));
  assert.equal(Buffer.concat([cbcCipher.update(cbc.subarray(16)), cbcCipher.final()]).toString(), TEXT);
  const gcm = (key: Uint8Array, bytes: Uint8Array) => {
    const cipher = createDecipheriv("aes-256-gcm", key, bytes.subarray(0, 12));
    cipher.setAAD(Buffer.from(PATH));
    cipher.setAuthTag(bytes.subarray(-16));
    return Buffer.concat([cipher.update(bytes.subarray(12, -16)), cipher.final()]).toString();
  };
  assert.equal(gcm(KEY, OURS["aesgcm"]!.write(data, PATH)), TEXT);
  const extended = OURS["hkdf"]!.write(data, PATH);
  // HKDF's expansion of a seed that is random already: its extraction is left out.
  const key = createHmac("sha256", KEY).update(extended.subarray(0, 32)).update("\x01").digest();
  assert.equal(gcm(key, extended.subarray(32)), TEXT);
});

test("secretbox seals the very bytes that NaCl does", () => {
  const upstream = hex(UPSTREAM["secretbox"]!);
  assert.deepEqual(Buffer.from(seal(Buffer.from(TEXT), upstream.subarray(0, 24), KEY)), upstream.subarray(24));
  // From the tests of golang.org/x/crypto/nacl/secretbox.
  const boxed =
    "8442bc313f4626f1359e3b50122b6ce6fe66ddfe7d39d14e637eb4fd5b45beadab55198df6ab5368439792a23c87db70acb6156dc5ef957ac04f6276cf6093b84be77ff0849cc33e34b7254d5a8f65ad";
  const fill = (length: number, value: number) => new Uint8Array(length).fill(value);
  assert.equal(Buffer.from(seal(fill(64, 3), fill(24, 2), fill(32, 1))).toString("hex"), boxed);
  assert.equal(open(hex(boxed), fill(24, 9), fill(32, 1)), undefined);
});

test("an envelope is the message that upstream stores", () => {
  const codec = kmsCodec();
  const object = codec.decode(EncryptedObject, hex(ENVELOPE));
  assert.deepEqual(
    [object.keyID, Buffer.from(object.encryptedDEKSource).toString(), object.encryptedDEKSourceType],
    ["key-1", `sealed:${KEY.toString()}`, "HKDF_SHA256_XNONCE_AES_GCM_SEED"],
  );
  assert.equal(Buffer.from(object.annotations["a.example.com"]!).toString(), "b");
  assert.equal(Buffer.from(OURS["hkdf"]!.read(object.encryptedData, PATH)).toString(), TEXT);
  assert.equal(Buffer.from(codec.encode(EncryptedObject, object)).toString("hex"), ENVELOPE);
});
