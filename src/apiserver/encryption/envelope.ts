/**
 * Envelope encryption: values are encrypted with keys derived from a seed, and a key management plugin encrypts the seed. The plugin is called when
 * the server starts, when its key changes, and once for each seed that stored values were written with; its status is polled every minute.
 * Upstream: pkg/storage/value/encrypt/envelope/kmsv2, pkg/server/options/encryptionconfig
 */
import { createHash } from "node:crypto";
import { isDns1123Subdomain } from "../../machinery/validation/names.ts";
import type { Logger } from "../../observe/log.ts";
import type { Metrics } from "../../observe/metrics.ts";
import type { EncryptedObject, KmsClient } from "../../protocols/kms/service.ts";
import { EncryptedObject as encryptedObject, kmsCodec } from "../../protocols/kms/service.ts";
import { RpcError } from "../../wire/rpc/service.ts";
import { pause } from "../../world/time.ts";
import type { Clock, Random } from "../../world/world.ts";
import { uuid } from "../../world/world.ts";
import { aesGcm, extendedNonceGcm, SEED_BYTES } from "./aes.ts";
import { cacheMisses, kmsDuration, seedSeconds } from "./metrics.ts";
import type { Transformer } from "./transformer.ts";

const PROBE_MS = 60_000;
const PROBE_FAILED_MS = 10_000;
/** Writes fail when the plugin hasn't been well for so long. */
const WRITE_MAX_MS = 180_000;
/** What a health check believes of the last answer. */
const HEALTHY_MS = 20_000;
const UNHEALTHY_MS = 3_000;
/** How often a plugin that is away is looked for, within its time for an answer. */
const AWAY_MS = 100;
const REFUSED_MAX = 1000;
const SEEDS_MS = 24 * 3_600_000;
const SEED_TYPE = "HKDF_SHA256_XNONCE_AES_GCM_SEED";

export interface EnvelopeOptions {
  readonly name: string;
  readonly timeoutMs: number;
}
export interface EnvelopeDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly metrics: Metrics;
}

type Sealed = Omit<EncryptedObject, "encryptedData">;

interface State {
  readonly transformer: Transformer;
  readonly sealed: Sealed;
  readonly until: number;
}

export class Envelope implements Transformer {
  readonly #options: EnvelopeOptions;
  readonly #kms: KmsClient;
  readonly #deps: EnvelopeDeps;
  readonly #codec = kmsCodec();
  /** By the sealed seed: what opens values that were written with it. */
  readonly #seeds = new Map<string, { readonly transformer: Transformer; until: number }>();
  readonly #asking = new Map<string, Promise<void>>();
  /** By the sealed seed, why the plugin didn't open it when it was last asked: to read such a value says so. */
  readonly #refused = new Map<string, Error>();
  readonly #stop = new AbortController();
  #state: State | undefined;
  #version = "";
  #health: { readonly error: string | undefined; readonly at: number } | undefined;

  constructor(options: EnvelopeOptions, kms: KmsClient, deps: EnvelopeDeps) {
    this.#options = options;
    this.#kms = kms;
    this.#deps = deps;
  }

  /** Asks the plugin now, and then until the signal aborts. Returns when the first answer is there, good or bad. */
  async start(signal: AbortSignal): Promise<void> {
    await this.#probe();
    void this.#keepProbing(signal);
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#kms.close();
  }

  async #keepProbing(signal: AbortSignal): Promise<void> {
    const { clock } = this.#deps;
    while (await pause(clock, this.#health?.error === undefined ? PROBE_MS : PROBE_FAILED_MS, signal))
      await this.#probe();
  }

  /** What is wrong, for `/healthz/kms-providers`. */
  async check(): Promise<string | undefined> {
    const now = this.#deps.clock.monotonic();
    const health = this.#health;
    const trusted = health === undefined ? 0 : health.error === undefined ? HEALTHY_MS : UNHEALTHY_MS;
    if (health === undefined || now - health.at >= trusted) await this.#probe();
    return this.#health?.error;
  }

  async #probe(): Promise<void> {
    const error = await this.#ask().catch((error: Error) => error.message);
    this.#health = { error, at: this.#deps.clock.monotonic() };
    if (error !== undefined)
      this.#deps.log.info("kms plugin failed health check probe", { name: this.#options.name, error });
  }

  async #ask(): Promise<string | undefined> {
    const { name } = this.#options;
    let status;
    try {
      status = await this.#timed("Status", () => this.#kms.Status({}, this.#limit()));
    } catch (error) {
      return `failed to perform status section of the healthz check for KMS Provider ${name}, error: ${(error as Error).message}`;
    }
    const errors: string[] = [];
    const { version, healthz, key_id } = status;
    if (healthz !== "ok") errors.push(`got unexpected healthz status: ${healthz}`);
    if (version !== "v2" && version !== "v2beta1") errors.push(`expected KMSv2 API version v2, got ${version}`);
    else {
      this.#version ||= version;
      if (this.#version !== version)
        errors.push(
          `KMSv2 API version should not change after the initial status response version ${this.#version}, got ${version}`,
        );
    }
    const wrong = wrongKeyId(key_id);
    if (wrong !== undefined) errors.push(`got invalid KMSv2 KeyID hash ${JSON.stringify(hashOf(key_id))}: ${wrong}`);
    else {
      const failed = await this.#renew(key_id);
      if (failed !== undefined) errors.push(failed);
    }
    if (errors.length === 0) return undefined;
    const words = errors.length === 1 ? errors[0]! : `[${errors.join(", ")}]`;
    return `kmsv2 Provider ${name} is not healthy, error: ${words}`;
  }

  /** The same key: the seed serves on. Another one: a new seed. */
  async #renew(keyId: string): Promise<string | undefined> {
    const { clock, random, metrics } = this.#deps;
    const until = clock.monotonic() + WRITE_MAX_MS;
    if (this.#state?.sealed.keyID === keyId) {
      this.#state = { ...this.#state, until };
      return undefined;
    }
    const uid = uuid(random);
    const failed = (why: string) =>
      `failed to rotate DEK uid=${JSON.stringify(uid)}, useSeed=true, errGen=${why}, statusKeyIDHash=${JSON.stringify(hashOf(keyId))}`;
    const started = clock.monotonic();
    const seed = random.bytes(SEED_BYTES);
    metrics.observe(seedSeconds, {}, (clock.monotonic() - started) / 1000);
    let answer;
    try {
      answer = await this.#timed("Encrypt", () => this.#kms.Encrypt({ plaintext: seed, uid }, this.#limit()));
    } catch (error) {
      return failed(`failed to encrypt DEK, error: ${(error as Error).message}`);
    }
    const sealed: Sealed = {
      keyID: answer.key_id,
      encryptedDEKSource: Uint8Array.from(answer.ciphertext),
      annotations: answer.annotations,
      encryptedDEKSourceType: SEED_TYPE,
    };
    const wrong = wrongObject(sealed);
    if (wrong !== undefined) return failed(wrong);
    if (answer.key_id !== keyId) return failed("<nil>");
    const transformer = extendedNonceGcm(seed, random);
    this.#state = { transformer, sealed, until };
    this.#remember(cacheKey(sealed), transformer);
    return undefined;
  }

  prepare(values: readonly Uint8Array[]): Promise<void> | undefined {
    let waits: Promise<void>[] | undefined;
    for (const value of values) {
      let object;
      try {
        object = this.#decode(value);
      } catch {
        continue; // To read it will say what is wrong.
      }
      const key = cacheKey(object);
      if (this.#seeds.has(key)) continue;
      let asking = this.#asking.get(key);
      if (asking === undefined) {
        asking = this.#open(key, object).finally(() => this.#asking.delete(key));
        this.#asking.set(key, asking);
      }
      if (waits?.includes(asking) !== true) (waits ??= []).push(asking);
    }
    return waits && Promise.all(waits).then(() => {});
  }

  async #open(key: string, object: EncryptedObject): Promise<void> {
    this.#deps.metrics.add(cacheMisses, {});
    let answer;
    try {
      answer = await this.#timed("Decrypt", () =>
        this.#kms.Decrypt(
          {
            ciphertext: object.encryptedDEKSource,
            uid: uuid(this.#deps.random),
            key_id: object.keyID,
            annotations: object.annotations,
          },
          this.#limit(),
        ),
      );
    } catch (error) {
      if (this.#refused.size >= REFUSED_MAX) this.#refused.clear();
      this.#refused.set(key, error as Error);
      return;
    }
    this.#refused.delete(key);
    const plaintext = Uint8Array.from(answer.plaintext);
    const { random } = this.#deps;
    this.#remember(
      key,
      object.encryptedDEKSourceType === SEED_TYPE ? extendedNonceGcm(plaintext, random) : aesGcm(plaintext, random),
    );
  }

  read(data: Uint8Array, path: string): Uint8Array {
    const object = this.#decode(data);
    const key = cacheKey(object);
    const known = this.#seeds.get(key);
    if (known === undefined) {
      const why = this.#refused.get(key)?.message ?? "it was not asked for";
      throw new Error(`failed to decrypt DEK, error: ${why}`);
    }
    return known.transformer.read(object.encryptedData, path);
  }

  write(data: Uint8Array, path: string): Uint8Array {
    const state = this.#state;
    if (state === undefined) throw new Error("got unexpected nil transformer");
    const { clock } = this.#deps;
    if (clock.monotonic() > state.until)
      throw new Error(
        `encryptedDEKSource with keyID hash ${JSON.stringify(hashOf(state.sealed.keyID))} expired ${Math.round(clock.monotonic() - state.until)} ms ago`,
      );
    this.#remember(cacheKey(state.sealed), state.transformer);
    return this.#codec.encode(encryptedObject, {
      ...state.sealed,
      encryptedData: state.transformer.write(data, path),
    });
  }

  isStale(data: Uint8Array): boolean {
    const object = this.#decode(data);
    const state = this.#state;
    if (state === undefined) throw new Error("got unexpected nil transformer");
    return object.keyID !== state.sealed.keyID || object.encryptedDEKSourceType !== SEED_TYPE;
  }

  #decode(data: Uint8Array): EncryptedObject {
    const object = this.#codec.decode(encryptedObject, data);
    const wrong = object.encryptedData.length === 0 ? "encrypted data is empty" : wrongObject(object);
    if (wrong !== undefined) throw new Error(wrong);
    return object;
  }

  #remember(key: string, transformer: Transformer): void {
    const now = this.#deps.clock.monotonic();
    const known = this.#seeds.get(key);
    if (known !== undefined) {
      known.until = now + SEEDS_MS;
      return;
    }
    for (const [other, { until }] of this.#seeds) if (until < now) this.#seeds.delete(other);
    this.#seeds.set(key, { transformer, until: now + SEEDS_MS });
  }

  #limit(): { readonly timeoutMs: number } {
    return { timeoutMs: this.#options.timeoutMs };
  }

  async #timed<T>(method: string, call: () => Promise<T>): Promise<T> {
    const { clock, metrics } = this.#deps;
    const started = clock.monotonic();
    const until = started + this.#options.timeoutMs;
    const labels = { provider_name: this.#options.name, method_name: `/v2.KeyManagementService/${method}` };
    const note = (code: string) =>
      metrics.observe(kmsDuration, { ...labels, grpc_status_code: code }, (clock.monotonic() - started) / 1000);
    for (;;) {
      try {
        const answer = await call();
        note("OK");
        return answer;
      } catch (error) {
        if (!(error instanceof RpcError)) {
          note("unknown-non-grpc");
          throw error;
        }
        // A plugin that is away is waited for.
        const isAway = error.code === "Unavailable" && error.cause !== undefined;
        if (isAway && clock.monotonic() + AWAY_MS < until) {
          await pause(clock, AWAY_MS, this.#stop.signal);
          if (!this.#stop.signal.aborted) continue;
        }
        const code = isAway ? "DeadlineExceeded" : error.code;
        note(code);
        const what = isAway ? `latest balancer error: ${error.message}` : error.message;
        throw new Error(`rpc error: code = ${code} desc = ${what}`, { cause: error });
      }
    }
  }
}

/** Seeds are told apart by all that the plugin gave for them. */
function cacheKey({ encryptedDEKSourceType, encryptedDEKSource, keyID, annotations }: Sealed): string {
  const hash = createHash("sha256").update(`${encryptedDEKSourceType}\0${keyID}\0`).update(encryptedDEKSource);
  for (const name of Object.keys(annotations).sort()) hash.update(`\0${name}\0`).update(annotations[name]!);
  return hash.digest("base64");
}

const hashOf = (keyId: string) => (keyId === "" ? "" : `sha256:${createHash("sha256").update(keyId).digest("hex")}`);

function wrongKeyId(keyId: string): string | undefined {
  if (keyId === "") return "keyID is empty";
  const size = Buffer.byteLength(keyId);
  return size > 1024 ? `keyID is ${size} bytes, which exceeds the max size of 1024` : undefined;
}

function wrongObject({ keyID, encryptedDEKSource, annotations }: Sealed): string | undefined {
  const size = encryptedDEKSource.length;
  if (size === 0) return "failed to validate encrypted DEK source: encrypted DEK source is empty";
  if (size > 1024)
    return `failed to validate encrypted DEK source: encrypted DEK source is ${size} bytes, which exceeds the max size of 1024`;
  const wrong = wrongKeyId(keyID);
  if (wrong !== undefined) return `failed to validate key id: ${wrong}`;
  let total = 0;
  for (const [name, value] of Object.entries(annotations)) {
    const bad = /^[^.]+(?:\.[^.]+)+$/.test(name)
      ? isDns1123Subdomain(name)
      : ["should be a domain with at least two segments separated by dots"];
    if (bad.length > 0)
      return `failed to validate annotations: annotations: Invalid value: ${JSON.stringify(name)}: ${bad.join(", ")}`;
    total += Buffer.byteLength(name) + value.length;
  }
  return total > 32 * 1024
    ? `failed to validate annotations: total size of annotations is ${total}, which exceeds the max size of 32768`
    : undefined;
}
