/** The OpenAPI documents of extension servers, as of the last download. Upstream: kube-aggregator/pkg/controllers/{openapi,openapiv3} */
import type { Json } from "../../machinery/openapi/schemas.ts";

/** GET of a path at an extension server; undefined where what it has is still what the tag says. */
export type Download = (
  path: string,
  etag?: string,
) => Promise<{ readonly body: string; readonly etag: string | undefined } | undefined>;

interface Said {
  readonly group: string;
  readonly version: string;
  v2?: { readonly document: Json; readonly etag: string | undefined };
  v3?: { readonly body: string; readonly hash: string };
}

export class RemoteOpenApi {
  readonly #said = new Map<string, Said>();
  /** Goes up with every change. */
  #version = 0;

  get version(): number {
    return this.#version;
  }

  /** Those that have a document, in the order of their names. */
  get v2(): readonly { readonly document: Json; readonly group: string; readonly version: string }[] {
    return this.#sorted().flatMap(({ group, version, v2 }) => (v2 === undefined ? [] : [{ ...v2, group, version }]));
  }

  /** By the path below `/openapi/v3/`. */
  get v3(): ReadonlyMap<string, { readonly body: string; readonly hash: string }> {
    return new Map(
      this.#sorted().flatMap(({ group, version, v3 }) => (v3 === undefined ? [] : [[`apis/${group}/${version}`, v3]])),
    );
  }

  /** Asks again. A server that has no documents, or none of some version, is served without. */
  async refresh(name: string, group: string, version: string, download: Download): Promise<void> {
    const before = this.#said.get(name);
    const said: Said = before?.group === group && before.version === version ? { ...before } : { group, version };
    await Promise.all([
      refreshV2(said, download).catch(() => delete said.v2),
      refreshV3(said, download).catch(() => delete said.v3),
    ]);
    this.#said.set(name, said);
    if (said.v2 !== before?.v2 || said.v3 !== before?.v3) this.#version++;
  }

  forget(name: string): void {
    if (this.#said.delete(name)) this.#version++;
  }

  #sorted(): readonly Said[] {
    return [...this.#said].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, said]) => said);
  }
}

async function refreshV2(said: Said, download: Download): Promise<void> {
  const answer = await download("/openapi/v2", said.v2?.etag);
  if (answer === undefined) return;
  said.v2 = { document: JSON.parse(answer.body), etag: answer.etag };
}

async function refreshV3(said: Said, download: Download): Promise<void> {
  const index = await download("/openapi/v3");
  const url: unknown = JSON.parse(index!.body).paths?.[`apis/${said.group}/${said.version}`]?.serverRelativeURL;
  if (typeof url !== "string" || !url.startsWith("/")) {
    delete said.v3;
    return;
  }
  const hash = new URL(url, "https://extension").searchParams.get("hash") ?? "";
  if (hash !== "" && said.v3?.hash === hash) return;
  const answer = await download(url);
  said.v3 = { body: answer!.body, hash };
}
