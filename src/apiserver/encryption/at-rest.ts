/**
 * Encryption at rest: the transformers of each resource's values on the way to etcd, from a configuration file that may be reloaded while the server
 * runs.
 * Upstream: pkg/server/options/encryptionconfig
 */
import { createHash } from "node:crypto";
import { dirname } from "node:path";
import type { Logger } from "../../observe/log.ts";
import type { Metrics } from "../../observe/metrics.ts";
import { connectKms } from "../../protocols/kms/service.ts";
import { every } from "../../world/time.ts";
import type { World } from "../../world/world.ts";
import { aesCbc, aesGcm } from "./aes.ts";
import type { EncryptionConfiguration, Provider } from "./configuration.ts";
import { durationMs, parseEncryption, parseGroupResource } from "./configuration.ts";
import { Envelope } from "./envelope.ts";
import { reloadedAt, reloads, transformSeconds, transformTotal } from "./metrics.ts";
import { secretbox } from "./secretbox.ts";
import type { Observe, Prefixed, Transformer } from "./transformer.ts";
import { identity, PrefixTransformers } from "./transformer.ts";

const RELOAD_MS = 60_000;
const RETIRE_MS = 10_000;

export interface EncryptionOptions {
  /** `--encryption-provider-config` */
  readonly path: string;
  /** `--encryption-provider-config-automatic-reload` */
  readonly reload: boolean;
  /** What this server calls itself: metrics of reloads tell it, hashed. */
  readonly identity?: string;
}

export interface EncryptionDeps extends Pick<World, "clock" | "random" | "net" | "fs"> {
  readonly log: Logger;
  readonly metrics: Metrics;
}

interface Loaded {
  readonly hash: string;
  readonly rules: ReadonlyMap<string, (resource: string) => Transformer>;
  readonly envelopes: readonly Envelope[];
  readonly stop: AbortController;
}

export class EncryptionAtRest {
  readonly #options: EncryptionOptions;
  readonly #deps: EncryptionDeps;
  #loaded: Loaded | undefined;
  #failure: string | undefined;
  #watch: Disposable | undefined;
  readonly #retired = new Map<Loaded, Disposable>();

  constructor(options: EncryptionOptions, deps: EncryptionDeps) {
    this.#options = options;
    this.#deps = deps;
  }

  /** Reads the file; throws what is wrong with it. */
  async open(signal: AbortSignal): Promise<void> {
    this.#loaded = await this.#load(await this.#read());
    if (!this.#options.reload) return;
    void every(this.#deps.clock, RELOAD_MS, signal, () => this.#reload());
    this.#watch = this.#deps.fs.watch(dirname(this.#options.path), () => void this.#reload());
  }

  async close(): Promise<void> {
    this.#watch?.[Symbol.dispose]();
    for (const [before, timer] of this.#retired) {
      timer[Symbol.dispose]();
      await closeAll(before);
    }
    if (this.#loaded !== undefined) await closeAll(this.#loaded);
  }

  /** Health checks go by one name, however many plugins there are. */
  get hasPlugins(): boolean {
    return this.#options.reload || (this.#loaded?.envelopes.length ?? 0) > 0;
  }
  async check(): Promise<string | undefined> {
    const errors: string[] = [];
    for (const [i, envelope] of (this.#loaded?.envelopes ?? []).entries()) {
      const error = await envelope.check();
      if (error !== undefined) errors.push(`kms-provider-${i}: ${error}`);
    }
    return errors.length > 1 ? `[${errors.join(", ")}]` : errors[0];
  }

  /** What a resource's values go through now: asked for each value, as the file may change. */
  transformerFor(group: string, resource: string): Transformer {
    const name = group === "" ? resource : `${resource}.${group}`;
    const made = new WeakMap<Loaded, Transformer>();
    const current = (): Transformer => {
      const loaded = this.#loaded;
      if (loaded === undefined) return identity;
      let transformer = made.get(loaded);
      if (transformer === undefined) {
        const { rules } = loaded;
        transformer = (rules.get(name) ?? rules.get(`*.${group}`) ?? rules.get("*.*"))?.(name) ?? identity;
        made.set(loaded, transformer);
      }
      return transformer;
    };
    return {
      read: (data, key) => current().read(data, key),
      write: (data, key) => current().write(data, key),
      prepare: (values) => current().prepare?.(values),
      isStale: (data) => current().isStale?.(data) ?? false,
    };
  }

  async #read(): Promise<string> {
    const { path } = this.#options;
    try {
      return Buffer.from(await this.#deps.fs.readFile(path)).toString();
    } catch (error) {
      throw new Error(
        `error while parsing file: error while loading file: error reading encryption provider configuration file ${JSON.stringify(path)}: ${(error as Error).message}`,
        { cause: error },
      );
    }
  }

  async #load(text: string): Promise<Loaded> {
    const configuration = parseEncryption(text, this.#options.path, this.#options.reload);
    const stop = new AbortController();
    const envelopes: Envelope[] = [];
    const rules = await this.#rules(configuration, envelopes, stop.signal);
    return { hash: hashOf(text), rules, envelopes, stop };
  }

  /** A bad new file changes nothing. What the old one needs lives on until nobody can be using it. */
  async #reload(): Promise<void> {
    const { log } = this.#deps;
    try {
      const text = await this.#read();
      if (hashOf(text) === this.#loaded?.hash) return;
      const next = await this.#load(text);
      for (const envelope of next.envelopes) {
        const error = await envelope.check();
        if (error === undefined) continue;
        await closeAll(next);
        throw new Error(error);
      }
      const before = this.#loaded;
      this.#loaded = next;
      this.#failure = undefined;
      this.#noteReload("success");
      log.info("Loaded new kms encryption config content", { name: this.#options.path });
      if (before !== undefined) this.#retire(before);
    } catch (error) {
      const words = (error as Error).message;
      this.#noteReload("failure");
      if (words !== this.#failure) log.error("The encryption configuration can't be read anew", error);
      this.#failure = words;
    }
  }

  #noteReload(status: "success" | "failure"): void {
    const { metrics, clock } = this.#deps;
    const labels = { status, apiserver_id_hash: `sha256:${hashOf(this.#options.identity ?? "")}` };
    metrics.add(reloads, labels);
    metrics.set(reloadedAt, labels, clock.now() / 1000);
  }

  /** Reads that began with it may still ask its plugins. */
  #retire(before: Loaded): void {
    const timer = this.#deps.clock.after(RETIRE_MS, () => {
      this.#retired.delete(before);
      void closeAll(before);
    });
    this.#retired.set(before, timer);
  }

  async #rules(
    { resources }: EncryptionConfiguration,
    envelopes: Envelope[],
    signal: AbortSignal,
  ): Promise<Loaded["rules"]> {
    const providers = new Map<string, Prefixed[]>();
    for (const rule of resources) {
      const made: Prefixed[] = [];
      for (const provider of rule.providers) made.push(await this.#provider(provider, envelopes, signal));
      for (const text of rule.resources) {
        const { group, resource } = parseGroupResource(text);
        // `*.` is the core group's wildcard; a plain name has no dot.
        const name = group === "" && resource !== "*" ? resource : `${resource}.${group}`;
        providers.set(name, [...(providers.get(name) ?? []), ...made]);
      }
    }
    return new Map(
      [...providers].map(([name, all]) => [
        name,
        (resource: string) =>
          new PrefixTransformers(all, "no matching prefix found", {
            monotonic: () => this.#deps.clock.monotonic(),
            told: this.#observer(resource),
          }),
      ]),
    );
  }

  #observer(resource: string): Observe {
    const { clock, metrics } = this.#deps;
    return (type, prefix, started, error) => {
      const labels = { transformation_type: type, transformer_prefix: prefix };
      metrics.add(transformTotal, { ...labels, resource, status: error === undefined ? "OK" : "unknown-non-grpc" });
      if (error === undefined) metrics.observe(transformSeconds, labels, (clock.monotonic() - started) / 1000);
    };
  }

  async #provider(
    { aescbc, aesgcm, secretbox: box, kms }: Provider,
    envelopes: Envelope[],
    signal: AbortSignal,
  ): Promise<Prefixed> {
    const { random } = this.#deps;
    if (aescbc !== undefined) return keyed("aescbc", "AES", aescbc.keys, (key) => aesCbc(key, random));
    if (aesgcm !== undefined) return keyed("aesgcm", "AES", aesgcm.keys, (key) => aesGcm(key, random));
    if (box !== undefined) return keyed("secretbox", "Secretbox", box.keys, (key) => secretbox(key, random));
    if (kms === undefined) return { prefix: "", transformer: identity };
    const envelope = new Envelope(
      { name: kms.name, timeoutMs: durationMs(kms.timeout) },
      connectKms(this.#deps, kms.endpoint),
      this.#deps,
    );
    envelopes.push(envelope);
    await envelope.start(signal);
    return { prefix: `k8s:enc:kms:v2:${kms.name}:`, transformer: envelope };
  }
}

function keyed(
  kind: string,
  name: string,
  keys: readonly { readonly name: string; readonly secret: string }[],
  make: (key: Uint8Array) => Transformer,
): Prefixed {
  const all = keys.map((key) => ({ prefix: `${key.name}:`, transformer: make(Buffer.from(key.secret, "base64")) }));
  return {
    prefix: `k8s:enc:${kind}:v1:`,
    transformer: new PrefixTransformers(all, `no matching key was found for the provided ${name} transformer`),
  };
}

async function closeAll({ stop, envelopes }: Loaded): Promise<void> {
  stop.abort();
  for (const envelope of envelopes) await envelope.close();
}

const hashOf = (text: string) => createHash("sha256").update(text).digest("hex");
