/** The OpenAPI documents, v2 and v3: built when they are first requested, and again when the served resources change. */
import { allSchemas, kindsOf } from "../../api/schemas.ts";
import { groupsOf, isBuiltinGroup } from "../../machinery/discovery/groups.ts";
import {
  documentHash,
  openApiV2,
  openApiV3,
  openApiV3Index,
  openApiV3NonResource,
  v3Path,
} from "../../machinery/openapi/document.ts";
import { mergeOpenApiV2 } from "../../machinery/openapi/merge.ts";
import type { Json } from "../../machinery/openapi/schemas.ts";
import { encodeOpenApiV2, V2_PROTOBUF } from "../../machinery/openapi/v2-protobuf.ts";
import { encodeOpenApiV3, V3_PROTOBUF } from "../../machinery/openapi/v3-protobuf.ts";
import { parseAccept } from "../../machinery/codec/content.ts";
import type { RemoteOpenApi } from "../aggregation/openapi.ts";
import type { Clock } from "../../world/world.ts";
import type { Registry } from "../registry/registry.ts";
import type { ApiRequest, ApiResponse } from "../request.ts";
import { VERSION } from "../version.ts";

type Describe = (name: string, field?: string) => string | undefined;

interface Document {
  readonly body: string;
  readonly hash: string;
}
type Body = Document | { readonly body: Uint8Array; readonly hash: string };

export class Documents {
  readonly #registry: Registry;
  readonly #describe: Describe | undefined;
  readonly #clock: Pick<Clock, "now">;
  /** Of other servers; set once there is somebody who asks them. */
  remote: RemoteOpenApi | undefined;
  #version = "";
  #modified = "";
  #v2: Document | undefined;
  #v2Protobuf: Uint8Array | undefined;
  #v3 = new Map<string, Document>();
  #v3Protobuf = new Map<string, Uint8Array>();
  #others: ReadonlyMap<string, Json> | undefined;

  constructor(registry: Registry, describe: Describe | undefined, clock: Pick<Clock, "now">) {
    this.#registry = registry;
    this.#describe = describe;
    this.#clock = clock;
  }

  answer(request: ApiRequest): ApiResponse | undefined {
    const version = `${this.#registry.version} ${this.remote?.version ?? 0}`;
    if (this.#version !== version) {
      this.#version = version;
      this.#modified = new Date(this.#clock.now()).toUTCString();
      this.#v2 = undefined;
      this.#v2Protobuf = undefined;
      this.#v3 = new Map();
      this.#v3Protobuf = new Map();
      this.#others = undefined;
    }
    const path = request.path.replace(/^\/openapi\//, "");
    if (path === "v2") {
      const vary = "Accept-Encoding, Accept";
      const type = wanted(request, [V2_PROTOBUF]);
      if (type === undefined) return { kind: "raw", status: 406, headers: { vary }, body: "" };
      if (type === V2_PROTOBUF)
        return this.#respond(request, bytes((this.#v2Protobuf ??= encodeV2(this.#writeV2()))), type, vary);
      return this.#respond(request, (this.#v2 ??= document(this.#writeV2())), type, vary);
    }
    if (path === "v3") {
      const hashes = new Map(this.#v3Paths().map((at) => [at, this.#document(at)!.hash]));
      // Upstream lets the type be guessed, and no file's name helps.
      const headers = { "content-type": "text/plain; charset=utf-8", "last-modified": this.#modified };
      return ranged(request, headers, document(openApiV3Index(hashes)).body, undefined);
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
    const body = (): Body => (type === V3_PROTOBUF ? this.#inProtobuf(at, found) : found);
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

  #respond(request: ApiRequest, { body, hash }: Body, type: string, vary: string): ApiResponse {
    const etag = `"${hash}"`;
    const known = request.header("if-none-match") ?? "";
    if (known === "*" || known.split(",").some((one) => one.trim().replace(/^W\//, "") === etag))
      return { kind: "raw", status: 304, headers: { etag, vary }, body: "" };
    // Without a validator the time decides, to the second.
    const since = known === "" ? Date.parse(request.header("if-modified-since") ?? "") : Number.NaN;
    if (since >= Date.parse(this.#modified)) return { kind: "raw", status: 304, headers: { etag, vary }, body: "" };
    const headers = { "content-type": type, etag, vary, "last-modified": this.#modified };
    return ranged(request, headers, body, etag);
  }

  #v3Paths(): readonly string[] {
    const own = groupsOf(this.#registry.resources).flatMap(({ name, versions }) =>
      versions.map(({ version }) => v3Path(name, version)),
    );
    return [...new Set([...this.#nonResource().keys(), ...own, ...(this.remote?.v3.keys() ?? [])])].sort();
  }

  /** Of what isn't a resource: the lists of groups and versions, the server's own version, the keys of its tokens. */
  #nonResource(): ReadonlyMap<string, Json> {
    const groups = groupsOf(this.#registry.resources).flatMap(({ name }) =>
      isBuiltinGroup(name) && name !== "" ? [name] : [],
    );
    return (this.#others ??= openApiV3NonResource(groups, this.#source()));
  }

  #document(path: string): Document | undefined {
    const known = this.#v3.get(path);
    if (known !== undefined) return known;
    for (const { name, versions } of groupsOf(this.#registry.resources))
      for (const { version, resources } of versions)
        if (v3Path(name, version) === path) {
          const made = document(openApiV3(name, version, resources, this.#source()));
          this.#v3.set(path, made);
          return made;
        }
    const other = this.#nonResource().get(path);
    if (other === undefined) return this.remote?.v3.get(path);
    const made = document(other);
    this.#v3.set(path, made);
    return made;
  }

  /** Under the same validator: it is the same document. */
  #inProtobuf(path: string, { body, hash }: Document): Body {
    let made = this.#v3Protobuf.get(path);
    if (made === undefined) {
      made = encodeOpenApiV3(JSON.parse(body) as Json);
      this.#v3Protobuf.set(path, made);
    }
    return { body: made, hash };
  }

  #writeV2(): object {
    return mergeOpenApiV2(openApiV2(this.#registry.resources, this.#source()) as Json, this.remote?.v2 ?? []) as object;
  }

  #source() {
    return {
      schemas: allSchemas(),
      kinds: kindsOf,
      version: VERSION.gitVersion,
      ...(this.#describe && { describe: this.#describe }),
      custom: (group: string, version: string, kind: string) => this.#registry.customSchema(group, version, kind),
    };
  }
}

/** The whole, or the part of it that is asked for. Who asks for several gets the whole, as is a server's right. Upstream: net/http (ServeContent) */
function ranged(
  request: ApiRequest,
  headers: Readonly<Record<string, string>>,
  body: string | Uint8Array,
  etag: string | undefined,
): ApiResponse {
  const whole: ApiResponse = { kind: "raw", status: 200, headers: { "accept-ranges": "bytes", ...headers }, body };
  const asked = request.header("range") ?? "";
  const condition = request.header("if-range") ?? "";
  const isOther = condition !== "" && condition !== etag && condition !== headers["last-modified"];
  if (asked === "" || isOther || asked.includes(",")) return whole;
  const bytes = typeof body === "string" ? Buffer.from(body) : body;
  const { etag: _, "last-modified": __, ...others } = headers;
  const refused = (words: string, more: Readonly<Record<string, string>> = {}): ApiResponse => {
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

function document(value: object): Document {
  const body = JSON.stringify(value);
  return { body, hash: documentHash(body) };
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

function encodeV2(value: object): Uint8Array {
  return encodeOpenApiV2(value as Json);
}

const bytes = (body: Uint8Array): Body => ({ body, hash: documentHash(body) });
