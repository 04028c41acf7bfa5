/** AES in the three modes that upstream supports. Upstream: pkg/storage/value/encrypt/aes */
import { createCipheriv, createDecipheriv, createHmac } from "node:crypto";
import type { CipherGCMTypes } from "node:crypto";
import type { Random } from "../../world/world.ts";
import type { Transformer } from "./transformer.ts";

const TOO_SHORT = "the stored data was shorter than the required size";
const BLOCK = 16;
const NONCE = 12;
const TAG = 16;
const INFO = 32;
export const SEED_BYTES = 32;

/** IV, then blocks with PKCS#7 padding. Nothing vouches for the key that it is stored under. */
export function aesCbc(key: Uint8Array, random: Random): Transformer {
  const algorithm = `aes-${key.length * 8}-cbc`;
  return {
    read(data) {
      if (data.length < BLOCK) throw new Error(TOO_SHORT);
      const blocks = data.subarray(BLOCK);
      if (blocks.length % BLOCK !== 0) throw new Error("the stored data is not a multiple of the block size");
      const cipher = createDecipheriv(algorithm, key, data.subarray(0, BLOCK)).setAutoPadding(false);
      const padded = Buffer.concat([cipher.update(blocks), cipher.final()]);
      const padding = padded.at(-1) ?? 0;
      if (padding === 0 || padding > padded.length) throw new Error("invalid PKCS7 data (empty or not padded)");
      for (let i = padded.length - padding; i < padded.length; i++)
        if (padded[i] !== padding) throw new Error("invalid padding on input");
      return padded.subarray(0, padded.length - padding);
    },
    write(data) {
      const iv = random.bytes(BLOCK);
      const cipher = createCipheriv(algorithm, key, iv);
      return Buffer.concat([iv, cipher.update(data), cipher.final()]);
    },
  };
}

/** Nonce, then what is encrypted, then the tag; the etcd key is vouched for. */
export function aesGcm(key: Uint8Array, random: Random): Transformer {
  return {
    read: (data, path) => openGcm(key, data, path),
    write: (data, path) => sealGcm(key, random.bytes(NONCE), data, path),
  };
}

/**
 * A key of its own for each value, made of a seed and random bytes in front of the value: no nonce can come twice.
 * HKDF's expansion to 32 bytes is one HMAC.
 */
export function extendedNonceGcm(seed: Uint8Array, random: Random): Transformer {
  const keyOf = (info: Uint8Array) => createHmac("sha256", seed).update(info).update(ONE).digest();
  return {
    read(data, path) {
      if (data.length < INFO) throw new Error(TOO_SHORT);
      return openGcm(keyOf(data.subarray(0, INFO)), data.subarray(INFO), path);
    },
    write(data, path) {
      const info = random.bytes(INFO);
      return Buffer.concat([info, sealGcm(keyOf(info), random.bytes(NONCE), data, path)]);
    },
  };
}
const ONE = Uint8Array.of(1);

function openGcm(key: Uint8Array, data: Uint8Array, path: string): Uint8Array {
  if (data.length < NONCE + TAG) throw new Error(TOO_SHORT);
  const cipher = createDecipheriv(gcmOf(key), key, data.subarray(0, NONCE), { authTagLength: TAG });
  cipher.setAAD(Buffer.from(path));
  cipher.setAuthTag(data.subarray(data.length - TAG));
  try {
    return Buffer.concat([cipher.update(data.subarray(NONCE, data.length - TAG)), cipher.final()]);
  } catch (error) {
    throw new Error("cipher: message authentication failed", { cause: error });
  }
}

function sealGcm(key: Uint8Array, nonce: Uint8Array, data: Uint8Array, path: string): Uint8Array {
  const cipher = createCipheriv(gcmOf(key), key, nonce, { authTagLength: TAG });
  cipher.setAAD(Buffer.from(path));
  return Buffer.concat([nonce, cipher.update(data), cipher.final(), cipher.getAuthTag()]);
}

const gcmOf = (key: Uint8Array) => `aes-${key.length * 8}-gcm` as CipherGCMTypes;
