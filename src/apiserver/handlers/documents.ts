/** OpenAPI, v2 and v3: written when first asked for, again when what is served changes. */
import { allSchemas, kindsOf } from "../../api/schemas.ts";
import { groupsOf } from "../../machinery/discovery/groups.ts";
import { documentHash, openApiV2, openApiV3, openApiV3Index, v3Path } from "../../machinery/openapi/document.ts";
import { mergeOpenApiV2 } from "../../machinery/openapi/merge.ts";
import type { Json } from "../../machinery/openapi/schemas.ts";
import { encodeOpenApiV2, V2_PROTOBUF } from "../../machinery/openapi/v2-protobuf.ts";
import { parseAccept } from "../../machinery/codec/content.ts";
import type { RemoteOpenApi } from "../aggregation/openapi.ts";
import type { Registry } from "../registry/registry.ts";
import type { ApiRequest, ApiResponse } from "../request.ts";
import { VERSION } from "../version.ts";

type Describe = (name: string, field?: string) => string | undefined;

interface Document {
  readonly body: string;
  readonly hash: string;
}

const YEAR_SECONDS = 365 * 24 * 60 * 60;

export class Documents {
  readonly #registry: Registry;
  readonly #describe: Describe | undefined;
  /** Of other servers; set once there is somebody who asks them. */
  remote: RemoteOpenApi | undefined;
  #version = "";
  #v2: Document | undefined;
  #v2Protobuf: Uint8Array | undefined;
  #v3 = new Map<string, Document>();

  constructor(registry: Registry, describe: Describe | undefined) {
    this.#registry = registry;
    this.#describe = describe;
  }

  answer(request: ApiRequest): ApiResponse | undefined {
    const version = `${this.#registry.version} ${this.remote?.version ?? 0}`;
    if (this.#version !== version) {
      this.#version = version;
      this.#v2 = undefined;
      this.#v2Protobuf = undefined;
      this.#v3 = new Map();
    }
    const path = request.path.replace(/^\/openapi\//, "").replace(/\/$/, "");
    if (path === "v2") {
      if (wantsProtobuf(request)) return respondProtobuf(request, (this.#v2Protobuf ??= encodeV2(this.#writeV2())));
      return respond(request, (this.#v2 ??= document(this.#writeV2())));
    }
    if (path === "v3") {
      const hashes = new Map(this.#v3Paths().map((at) => [at, this.#document(at)!.hash]));
      return respond(request, document(openApiV3Index(hashes)));
    }
    if (!path.startsWith("v3/")) return undefined;
    const at = path.slice("v3/".length);
    const found = this.#document(at);
    if (found === undefined) return undefined;
    const asked = request.query.get("hash");
    if (asked === null) return respond(request, found);
    if (asked !== found.hash)
      return { kind: "raw", status: 301, headers: { location: `/openapi/v3/${at}?hash=${found.hash}` }, body: "" };
    const answer = respond(request, found);
    request.responseHeaders.set("cache-control", `public, immutable, max-age=${YEAR_SECONDS}`);
    return answer;
  }

  #v3Paths(): readonly string[] {
    const own = groupsOf(this.#registry.resources).flatMap(({ name, versions }) =>
      versions.map(({ version }) => v3Path(name, version)),
    );
    return [...new Set([...own, ...(this.remote?.v3.keys() ?? [])])];
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
    return this.remote?.v3.get(path);
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

function document(value: object): Document {
  const body = JSON.stringify(value);
  return { body, hash: documentHash(body) };
}

/** client-go spells the type with an `@`; both spellings are answered with the newer. */
function wantsProtobuf(request: ApiRequest): boolean {
  const [first] = parseAccept(request.header("accept") ?? "");
  return (
    first !== undefined && /^application\/com\.github\.proto-openapi\.spec\.v2[.@]v1\.0\+protobuf$/.test(first.type)
  );
}

function encodeV2(value: object): Uint8Array {
  return encodeOpenApiV2(value as Json);
}

function respondProtobuf(request: ApiRequest, body: Uint8Array): ApiResponse {
  const etag = `"${documentHash(body)}"`;
  const headers = { "content-type": V2_PROTOBUF, etag, vary: "Accept" };
  if (request.header("if-none-match") === etag) return { kind: "raw", status: 304, headers, body: "" };
  return { kind: "raw", status: 200, headers, body };
}

function respond(request: ApiRequest, { body, hash }: Document): ApiResponse {
  const etag = `"${hash}"`;
  const headers = { "content-type": "application/json", etag, vary: "Accept" };
  if (request.header("if-none-match") === etag) return { kind: "raw", status: 304, headers, body: "" };
  return { kind: "raw", status: 200, headers, body };
}
