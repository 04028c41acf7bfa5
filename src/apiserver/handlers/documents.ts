/**
 * The OpenAPI documents, v2 and v3: built when they are first requested, and again when the served resources change: of v3 only the documents of
 * groups that have changed. All are built and encoded in turns with other requests: with 300 large definitions they are 50 MB.
 */
import { allSchemas, kindsOf } from "../../api/schemas.ts";
import { createHash } from "node:crypto";
import { type ApiVersion, groupsOf, isBuiltinGroup } from "../../machinery/discovery/groups.ts";
import {
  documentHash,
  openApiV2InGoes,
  openApiV3,
  openApiV3Index,
  openApiV3NonResource,
  v3Path,
} from "../../machinery/openapi/document.ts";
import { mergeOpenApiV2 } from "../../machinery/openapi/merge.ts";
import type { Json, OpenApiSource } from "../../machinery/openapi/schemas.ts";
import { encodeOpenApiV2InGoes, V2_PROTOBUF } from "../../machinery/openapi/v2-protobuf.ts";
import { encodeOpenApiV3, V3_PROTOBUF } from "../../machinery/openapi/v3-protobuf.ts";
import { parseAccept } from "../../machinery/codec/content.ts";
import type { RemoteOpenApi } from "../aggregation/openapi.ts";
import type { Clock } from "../../world/world.ts";
import type { Resource } from "../../machinery/resource.ts";
import type { Registry } from "../registry/registry.ts";
import type { ApiRequest, ApiResponse, RawResponse } from "../request.ts";
import type { Turns } from "../turns.ts";
import { VERSION } from "../version.ts";

type Describe = (name: string, field?: string) => string | undefined;

interface Document {
  readonly body: Uint8Array;
  readonly hash: string;
}

/** What a document of v3 was made of. */
interface Made {
  readonly resources: readonly Resource[];
  readonly document: Document;
}

export class Documents {
  readonly #registry: Registry;
  readonly #clock: Pick<Clock, "now">;
  /** Of other servers; set once there is somebody who asks them. */
  remote: RemoteOpenApi | undefined;
  #version = "";
  #modified = "";
  #v2: Promise<Document> | undefined;
  #v2Protobuf: Promise<Document> | undefined;
  /** By path. */
  #served: ReadonlyMap<string, ApiVersion & { readonly group: string }> = new Map();
  #others: ReadonlyMap<string, Json> = new Map();
  readonly #v3 = new Map<string, Made>();
  readonly #v3Protobuf = new WeakMap<Document, Uint8Array>();
  readonly #remotes = new WeakMap<object, Document>();
  readonly #source: OpenApiSource;
  readonly #turns: Turns;

  constructor(
    registry: Registry,
    describe: Describe | undefined,
    clock: Pick<Clock, "now">,
    turns: Turns,
    cbor: boolean,
  ) {
    this.#registry = registry;
    this.#clock = clock;
    this.#turns = turns;
    this.#source = {
      schemas: allSchemas(),
      kinds: kindsOf,
      version: `${VERSION.major}.${VERSION.minor}`,
      ...(describe && { describe }),
      cbor,
      custom: (group, version, kind) => registry.customSchema(group, version, kind),
    };
  }

  async answer(request: ApiRequest): Promise<ApiResponse | undefined> {
    const version = `${this.#registry.version} ${this.remote?.version ?? 0}`;
    if (this.#version !== version) {
      this.#version = version;
      this.#modified = new Date(this.#clock.now()).toUTCString();
      this.#v2 = undefined;
      this.#v2Protobuf = undefined;
      this.#follow();
    }
    const path = request.path.replace(/^\/openapi\//, "");
    if (path === "v2") {
      const vary = "Accept-Encoding, Accept";
      const type = wanted(request, [V2_PROTOBUF]);
      if (type === undefined) return { kind: "raw", status: 406, headers: { vary }, body: "" };
      const made =
        type === V2_PROTOBUF
          ? (this.#v2Protobuf ??= this.#turns.slice(this.#inV2(encodeOpenApiV2InGoes)))
          : (this.#v2 ??= this.#turns.slice(this.#inV2(jsonInGoes)));
      return this.#respond(request, await made, type, vary);
    }
    if (path === "v3") {
      const hashes = await this.#turns.slice(this.#hashes());
      // Upstream lets the type be guessed, and no file's name helps.
      const headers = { "content-type": "text/plain; charset=utf-8", "last-modified": this.#modified };
      return ranged(request, headers, JSON.stringify(openApiV3Index(hashes)), undefined);
    }
    if (!path.startsWith("v3/")) return undefined;
    const at = path.slice("v3/".length);
    const found = this.#document(at);
    if (found === undefined) return { kind: "raw", status: 404, headers: {}, body: "" };
    const accept = request.header("accept") ?? "";
    if (accept !== "" && parseAccept(accept).length === 0) return { kind: "raw", status: 200, headers: {}, body: "" };
    const type = wanted(request, [V3_PROTOBUF]);
    if (type === undefined) return { kind: "raw", status: 406, headers: { vary: "Accept" }, body: "" };
    const asked = request.query.get("hash");
    const body = (): Document => (type === V3_PROTOBUF ? this.#inProtobuf(found) : found);
    if (asked === null || asked === "") return this.#respond(request, body(), type, "Accept");
    if (asked !== found.hash) {
      const location = `/openapi/v3/${at}?hash=${found.hash}`;
      const headers = { "content-type": type, etag: `"${found.hash}"`, vary: "Accept", location };
      return { kind: "raw", status: 301, headers, body: "" };
    }
    const answer = this.#respond(request, body(), type, "Accept");
    request.responseHeaders.set("cache-control", "public, immutable");
    const expires = new Date(this.#clock.now());
    expires.setUTCFullYear(expires.getUTCFullYear() + 1);
    request.responseHeaders.set("expires", expires.toUTCString().replace("GMT", "UTC"));
    return answer;
  }

  #respond(request: ApiRequest, { body, hash }: Document, type: string, vary: string): ApiResponse {
    const etag = `"${hash}"`;
    const known = request.header("if-none-match") ?? "";
    if (known === "*" || known.split(",").some((one) => one.trim().replace(/^W\//, "") === etag))
      return { kind: "raw", status: 304, headers: { etag, vary }, body: "" };
    // Without a validator the time decides, to the second.
    const since = known === "" ? Date.parse(request.header("if-modified-since") ?? "") : Number.NaN;
    if (since >= Date.parse(this.#modified)) return { kind: "raw", status: 304, headers: { etag, vary }, body: "" };
    const headers = { "content-type": type, etag, vary, "last-modified": this.#modified };
    const answer = ranged(request, headers, body, etag);
    // Upstream compresses the one document of v2, and none of v3.
    return vary === "Accept" ? { ...answer, takesGzip: () => false } : answer;
  }

  /** Of what isn't a resource: the lists of groups and versions, the server's own version, the keys of its tokens. */
  #follow(): void {
    const groups = groupsOf(this.#registry.resources);
    this.#served = new Map(
      groups.flatMap(({ name: group, versions }) =>
        versions.map((one) => [v3Path(group, one.version), { ...one, group }] as const),
      ),
    );
    const builtin = groups.flatMap(({ name }) => (isBuiltinGroup(name) && name !== "" ? [name] : []));
    this.#others = openApiV3NonResource(builtin, this.#source);
    for (const path of this.#v3.keys()) if (!this.#served.has(path) && !this.#others.has(path)) this.#v3.delete(path);
  }

  /** Of every document there is. */
  *#hashes(): Generator<void, ReadonlyMap<string, string>> {
    const hashes = new Map<string, string>();
    const paths = new Set([...this.#others.keys(), ...this.#served.keys(), ...(this.remote?.v3.keys() ?? [])]);
    for (const path of [...paths].sort()) {
      // What has just been taken away isn't there any more.
      const found = this.#document(path);
      if (found !== undefined) hashes.set(path, found.hash);
      yield;
    }
    return hashes;
  }

  #document(path: string): Document | undefined {
    const other = this.#others.get(path);
    const served = this.#served.get(path);
    if (other === undefined && served === undefined) return this.#remote(path);
    const resources = served?.resources ?? [];
    const known = this.#v3.get(path);
    // A definition that changes makes new resources.
    if (known !== undefined && sameItems(known.resources, resources)) return known.document;
    const value = served === undefined ? other! : openApiV3(served.group, served.version, resources, this.#source);
    const body = Buffer.from(JSON.stringify(value));
    const document = { body, hash: documentHash(body) };
    this.#v3.set(path, { resources, document });
    return document;
  }

  #remote(path: string): Document | undefined {
    const found = this.remote?.v3.get(path);
    if (found === undefined) return undefined;
    let made = this.#remotes.get(found);
    if (made === undefined) this.#remotes.set(found, (made = { body: Buffer.from(found.body), hash: found.hash }));
    return made;
  }

  /** Under the same validator: it is the same document. */
  #inProtobuf(document: Document): Document {
    let made = this.#v3Protobuf.get(document);
    if (made === undefined) {
      made = encodeOpenApiV3(JSON.parse(String(document.body)) as Json);
      this.#v3Protobuf.set(document, made);
    }
    return { body: made, hash: document.hash };
  }

  *#inV2(encode: (value: Json) => Generator<void, Buffer>): Generator<void, Document> {
    const own = yield* openApiV2InGoes(this.#registry.resources, this.#source);
    const body = yield* encode(mergeOpenApiV2(own, this.remote?.v2 ?? []));
    const hash = createHash("sha512");
    for (let at = 0; at < body.length; at += HASHED_AT_ONCE) {
      hash.update(body.subarray(at, at + HASHED_AT_ONCE));
      yield;
    }
    return { body, hash: hash.digest("hex").toUpperCase() };
  }
}

const HASHED_AT_ONCE = 1 << 20;

const sameItems = <T>(a: readonly T[], b: readonly T[]): boolean =>
  a.length === b.length && a.every((one, at) => one === b[at]);

/** As `JSON.stringify`, one member of a member at a time. */
function* jsonInGoes(value: Json): Generator<void, Buffer> {
  const parts: Buffer[] = [];
  const add = (text: string) => parts.push(Buffer.from(text));
  for (const [name, member] of Object.entries(value)) {
    const before = `${parts.length === 0 ? "{" : ","}${JSON.stringify(name)}:`;
    if (name !== "paths" && name !== "definitions") {
      add(before + JSON.stringify(member));
      continue;
    }
    let sign = `${before}{`;
    for (const [key, inner] of Object.entries(member as Json)) {
      add(`${sign}${JSON.stringify(key)}:${JSON.stringify(inner)}`);
      sign = ",";
      yield;
    }
    add(sign === "," ? "}" : `${sign}}`);
  }
  add("}");
  return Buffer.concat(parts);
}

/** The whole, or the part of it that is asked for. Who asks for several gets the whole, as is a server's right. Upstream: net/http (ServeContent) */
function ranged(
  request: ApiRequest,
  headers: Readonly<Record<string, string>>,
  body: string | Uint8Array,
  etag: string | undefined,
): RawResponse {
  const whole: RawResponse = { kind: "raw", status: 200, headers: { "accept-ranges": "bytes", ...headers }, body };
  const asked = request.header("range") ?? "";
  const condition = request.header("if-range") ?? "";
  const isOther = condition !== "" && condition !== etag && condition !== headers["last-modified"];
  if (asked === "" || isOther || asked.includes(",")) return whole;
  const bytes = typeof body === "string" ? Buffer.from(body) : body;
  const { etag: _, "last-modified": __, ...others } = headers;
  const refused = (words: string, more: Readonly<Record<string, string>> = {}): RawResponse => {
    const plain = { "content-type": "text/plain; charset=utf-8", "x-content-type-options": "nosniff" };
    return { kind: "raw", status: 416, headers: { ...others, ...plain, ...more }, body: `${words}\n` };
  };
  const found = /^bytes=\s*(\d*)\s*-\s*(\d*)\s*$/.exec(asked);
  if (found === null || (found[1] === "" && found[2] === "")) return refused("invalid range");
  const [, first = "", last = ""] = found;
  const start = first === "" ? Math.max(0, bytes.length - Number(last)) : Number(first);
  const end = first === "" || last === "" ? bytes.length - 1 : Math.min(Number(last), bytes.length - 1);
  if (start >= bytes.length)
    return refused("invalid range: failed to overlap", { "content-range": `bytes */${bytes.length}` });
  if (last !== "" && first !== "" && Number(last) < start) return refused("invalid range");
  return {
    kind: "raw",
    status: 206,
    headers: { ...whole.headers, "content-range": `bytes ${start}-${end}/${bytes.length}` },
    body: bytes.subarray(start, end + 1),
  };
}

/** The best type that both know: JSON, or one of the others. client-go spells those with an `@`; both spellings are answered with the newer. */
function wanted(request: ApiRequest, others: readonly string[]): string | undefined {
  const header = request.header("accept") ?? "";
  if (header === "") return JSON_TYPE;
  for (const { type } of parseAccept(header)) {
    if (type === JSON_TYPE || type === "application/*" || type === "*/*") return JSON_TYPE;
    const found = others.find((other) => type.replace("@", ".") === other);
    if (found !== undefined) return found;
  }
  return undefined;
}
const JSON_TYPE = "application/json";
