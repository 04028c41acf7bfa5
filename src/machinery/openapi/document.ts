/**
 * The OpenAPI documents: one of v2 for everything, one of v3 for each group and version, and the index of the latter.
 * Upstream: k8s.io/kube-openapi/pkg/{builder,builder3,handler,handler3}
 */
import { createHash } from "node:crypto";
import { MEDIA_TYPES, PATCH_TYPES } from "../codec/content.ts";
import { isBuiltinGroup } from "../discovery/groups.ts";
import { apiVersionOf, type Resource } from "../resource.ts";
import { capitalized, groupWord, type Operation, operationsOf, parameterType, rootOf } from "./operations.ts";
import { Definitions, type Dialect, type Json, META, type OpenApiSource } from "./schemas.ts";
import { SharedParameters } from "./shared-parameters.ts";

type Kind = { readonly group: string; readonly version: string; readonly kind: string };

const ANSWERS = [MEDIA_TYPES.json, MEDIA_TYPES.yaml, MEDIA_TYPES.protobuf];
const CUSTOM_TYPES = [MEDIA_TYPES.json, MEDIA_TYPES.yaml];
const WATCHES = ["application/json;stream=watch", "application/vnd.kubernetes.protobuf;stream=watch"];
const CBOR = "application/cbor";
const CBOR_WATCH = "application/cbor-seq";
const CBOR_APPLY = "application/apply-patch+cbor";

/** The validator of a document's bytes: its ETag (in quotes) and, for v3, the hash in its URL. */
export function documentHash(bytes: string | Uint8Array): string {
  return createHash("sha512").update(bytes).digest("hex").toUpperCase();
}

/** The OpenAPI name of a kind: a built-in's from the table, a custom one's from its group turned round. */
function typeNames(source: OpenApiSource): (kind: Kind) => string {
  const names = new Map<string, string>();
  for (const name of source.schemas.keys())
    for (const kind of source.kinds(name)) if (!names.has(kind) || !name.startsWith(META)) names.set(kind, name);
  return ({ group, version, kind }) => names.get(`${group}/${version}/${kind}`) ?? customName({ group, version, kind });
}

function customName({ group, version, kind }: Kind): string {
  return [...group.split(".").reverse(), version, kind].join(".");
}

/** The document of one group and version. */
export function openApiV3(group: string, version: string, resources: readonly Resource[], source: OpenApiSource): Json {
  const definitions = new Definitions(source, "v3", apiVersionOf({ group, version }));
  const paths = pathsOf(group, version, resources, source, definitions, "v3");
  // What definitions make has no group of its own to speak for it.
  if (!isBuiltinGroup(group))
    return { openapi: "3.0.0", info: OF_DEFINITIONS, paths, components: { schemas: definitions.sorted() } };
  return {
    openapi: "3.0.0",
    info: { title: "Kubernetes", version: source.version },
    paths,
    components: { schemas: definitions.sorted(), securitySchemes: { BearerToken: BEARER } },
  };
}

const OF_DEFINITIONS = { title: "Kubernetes CRD Swagger", version: "v0.1.0" };

/** The documents of what isn't a resource, by their path in the index; `groups` are the served ones, without the core group. */
export function openApiV3NonResource(groups: readonly string[], source: OpenApiSource): ReadonlyMap<string, Json> {
  return new Map(
    nonResourceOperations(groups).map(({ tag, operation }) => {
      const definitions = new Definitions(source, "v3");
      const paths = { [operation.path]: { get: render(operation, tag, definitions, "v3") } };
      return [
        operation.path.slice(1, -1),
        {
          openapi: "3.0.0",
          info: { title: "Kubernetes", version: source.version },
          paths,
          components: { ...someSchemas(definitions.sorted()), securitySchemes: { BearerToken: BEARER } },
        },
      ];
    }),
  );
}

const someSchemas = (schemas: Json): Json => (Object.keys(schemas).length === 0 ? {} : { schemas });

function nonResourceOperations(
  groups: readonly string[],
): readonly { readonly tag: string; readonly operation: Operation }[] {
  const read = (path: string, tag: string, id: string, description: string, returns: string, type?: string) => {
    const types = type === undefined ? ANSWERS : [type];
    const method = "get" as const;
    return {
      tag,
      operation: { path, method, id, action: "", description, kind: NO_KIND, parameters: [], returns, types },
    };
  };
  return [
    read(
      "/.well-known/openid-configuration/",
      "WellKnown",
      "getServiceAccountIssuerOpenIDConfiguration",
      "get service account issuer OpenID configuration, also known as the 'OIDC discovery doc'",
      "string",
      MEDIA_TYPES.json,
    ),
    read("/api/", "core", "getCoreAPIVersions", "get available API versions", `${META}APIVersions`),
    read("/apis/", "apis", "getAPIVersions", "get available API versions", `${META}APIGroupList`),
    ...groups.map((group) =>
      read(
        `/apis/${group}/`,
        lower(groupWord(group)),
        `get${groupWord(group)}APIGroup`,
        "get information of a group",
        `${META}APIGroup`,
      ),
    ),
    read(
      "/openid/v1/jwks/",
      "openid",
      "getServiceAccountIssuerOpenIDKeyset",
      "get service account issuer OpenID JSON Web Key Set (contains public token verification keys)",
      "string",
      "application/jwk-set+json",
    ),
    read(
      "/version/",
      "version",
      "getCodeVersion",
      "get the version information for this server",
      "io.k8s.apimachinery.pkg.version.Info",
      MEDIA_TYPES.json,
    ),
  ];
}

const NO_KIND = { group: "", version: "", kind: "" };

/** `/openapi/v3`: where each document is. `hashes` by path: `api/v1`, `apis/apps/v1`. */
export function openApiV3Index(hashes: ReadonlyMap<string, string>): Json {
  const paths = [...hashes]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([path, hash]) => [path, { serverRelativeURL: `/openapi/v3/${path}?hash=${hash}` }]);
  return { paths: Object.fromEntries(paths) };
}

/** The one document of v2. */
export function openApiV2(resources: readonly Resource[], source: OpenApiSource): Json {
  const made = openApiV2InGoes(resources, source);
  for (;;) {
    const { done, value } = made.next();
    if (done === true) return value;
  }
}

/** The same, a group and version at a time: hundreds of definitions are half a second's work. */
export function* openApiV2InGoes(resources: readonly Resource[], source: OpenApiSource): Generator<void, Json> {
  const definitions = new Definitions(source, "v2");
  const byVersion = new Map<string, Resource[]>();
  for (const resource of resources) {
    const key = `${resource.group}/${resource.version}`;
    byVersion.set(key, [...(byVersion.get(key) ?? []), resource]);
  }
  const shared = new SharedParameters();
  const paths: Record<string, unknown> = {};
  const groups = [...new Set(resources.map(({ group }) => group))].filter(
    (group) => group !== "" && isBuiltinGroup(group),
  );
  for (const { tag, operation } of nonResourceOperations(groups))
    paths[operation.path] = { get: render(operation, tag, definitions, "v2") };
  for (const list of byVersion.values()) {
    const own = pathsOf(list[0]!.group, list[0]!.version, list, source, definitions, "v2");
    for (const [path, item] of Object.entries(own)) paths[path] = shared.rewrite(item as Json);
    yield;
  }
  return {
    swagger: "2.0",
    info: { title: "Kubernetes", version: source.version },
    paths: sortedByKey(paths),
    definitions: definitions.sorted(),
    parameters: shared.sorted(),
    securityDefinitions: { BearerToken: BEARER },
    security: [{ BearerToken: [] }],
  };
}

const BEARER = { description: "Bearer Token authentication", in: "header", name: "authorization", type: "apiKey" };

function pathsOf(
  group: string,
  version: string,
  resources: readonly Resource[],
  source: OpenApiSource,
  definitions: Definitions,
  dialect: Dialect,
): Json {
  const typeOf = typeNames(source);
  const tag = group === "" ? `core_${version}` : `${lower(groupWord(group))}_${version}`;
  const paths: Record<string, Record<string, unknown>> = {};
  if (isBuiltinGroup(group))
    paths[`${rootOf({ group, version })}/`] = {
      get: render(
        {
          path: "",
          method: "get",
          id: `get${groupWord(group)}${capitalized(version)}APIResources`,
          action: "",
          description: "get available resources",
          kind: { group, version, kind: "" },
          parameters: [],
          returns: `${META}APIResourceList`,
        },
        tag,
        definitions,
        dialect,
      ),
    };
  for (const resource of resources) {
    const custom = !isBuiltinGroup(group);
    if (custom) addCustom(resource, source, definitions, dialect);
    const operations = operationsOf(resource, typeOf).filter(({ path }) => !custom || !path.includes("/watch/"));
    for (const [path, all] of Map.groupBy(operations, (operation) => operation.path)) {
      const common = commonParameters(path, all);
      const item = (paths[path] ??= {
        parameters: common.flatMap((name) => {
          const inPath = path.includes(`{${name}}`);
          const one = parameter(name, inPath ? "path" : "query", dialect, all[0]!.kind.kind);
          // The options of a proxied request have a path of their own.
          return inPath && name === "path" ? [one, parameter(name, "query", dialect)] : [one];
        }),
      });
      for (const operation of all)
        item[operation.method] = render(operation, tag, definitions, dialect, custom, common);
    }
  }
  return sortedByKey(paths);
}

const lower = (word: string) => word[0]!.toLowerCase() + word.slice(1);

/** What all operations of a path take stands for all of them. */
function commonParameters(path: string, operations: readonly Operation[]): readonly string[] {
  const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name!);
  const [first, ...others] = operations.map(({ parameters }) => parameters);
  const shared = first!.filter((name) => others.every((names) => names.includes(name)));
  return [...new Set([...inPath, ...shared.filter((name) => name !== "name" && name !== "namespace")])].sort();
}

function parameter(name: string, place: "path" | "query", dialect: Dialect, kind?: string): Json {
  const type = { type: parameterType(name), uniqueItems: true };
  const words = name === "name" && kind !== undefined ? `name of the ${kind}` : PARAMETER_WORDS[name];
  return {
    name,
    in: place,
    ...(words !== undefined && { description: words }),
    ...(place === "path" && { required: true }),
    ...(dialect === "v2" ? type : { schema: type }),
  };
}

const PARAMETER_WORDS: Readonly<Record<string, string>> = {
  namespace: "object name and auth scope, such as for teams and projects",
  path: "path is the path of the request after the proxied object",
  pretty: "If 'true', then the output is pretty printed.",
  dryRun: "All: go through every stage of the request and store nothing.",
  fieldManager: "The name of whoever makes the change, at most 128 characters.",
  fieldValidation: "What to do with unknown and duplicate fields: Ignore, Warn or Strict.",
  force: "Take over fields that others own. For apply requests only.",
  labelSelector: "Restricts the objects by their labels.",
  fieldSelector: "Restricts the objects by their fields.",
  limit: "The most objects to return at once.",
  continue: "The token of the last page, to get the next one.",
  watch: "Stream the changes instead of returning a list.",
};

function render(
  operation: Operation,
  tag: string,
  definitions: Definitions,
  dialect: Dialect,
  custom = false,
  shared: readonly string[] = [],
): Json {
  const { method, action, returns, body } = operation;
  const schema = returns === undefined || returns === "string" ? { type: "string" } : definitions.ref(returns);
  const types = operation.types ?? answerTypes(operation, custom, definitions.cbor);
  const query = [...new Set(operation.parameters)]
    .filter((name) => !shared.includes(name))
    .sort()
    .map((name) => parameter(name, "query", dialect));
  // What reads lists of groups and versions is said to take what it answers with.
  const isPlain = action === "";
  const bodies = isPlain
    ? types
    : method === "patch" && body !== undefined
      ? patchTypes(custom, definitions.cbor)
      : custom
        ? CUSTOM_TYPES
        : ["*/*"];
  const answer = (description: string): Json =>
    dialect === "v2"
      ? { description, schema }
      : { description, content: Object.fromEntries(types.map((type) => [type, { schema }])) };
  const responses = Object.fromEntries([
    ...codesOf(operation, custom).map((code) => [code, answer({ 200: "OK", 201: "Created", 202: "Accepted" }[code]!)]),
    ["401", { description: "Unauthorized" }],
  ]);
  const common = {
    tags: [tag],
    description: operation.description,
    operationId: operation.id,
    responses,
    ...(action !== "" && {
      "x-kubernetes-action": action,
      "x-kubernetes-group-version-kind": operation.kind,
    }),
  };
  if (dialect === "v2") {
    const required = method !== "delete" && { required: true };
    const given = body === undefined ? [] : [{ name: "body", in: "body", ...required, schema: definitions.ref(body) }];
    const parameters = [...given, ...query];
    return {
      ...common,
      schemes: ["https"],
      ...(!(isPlain && returns === "string") && { consumes: bodies }),
      produces: types,
      ...(parameters.length > 0 && { parameters }),
    };
  }
  return {
    ...common,
    ...(query.length > 0 && { parameters: query }),
    ...(body !== undefined && {
      requestBody: {
        ...(method !== "delete" && { required: true }),
        content: Object.fromEntries(bodies.map((type) => [type, { schema: definitions.ref(body) }])),
      },
    }),
  };
}

function answerTypes({ returns, watchable }: Operation, custom: boolean, cbor: boolean): readonly string[] {
  if (custom) return CUSTOM_TYPES;
  if (returns === undefined) return ["*/*"];
  const answers = cbor ? [...ANSWERS, CBOR] : ANSWERS;
  if (returns === "string") return ["text/plain", ...answers];
  return watchable === true ? [...answers, ...WATCHES, ...(cbor ? [CBOR_WATCH] : [])] : answers;
}

/** In the order in which they were added. */
const PATCHES = [PATCH_TYPES.json, PATCH_TYPES.merge, PATCH_TYPES.strategic, PATCH_TYPES.apply];

function patchTypes(custom: boolean, cbor: boolean): readonly string[] {
  const types: readonly string[] = PATCHES.filter((type) => !custom || type !== PATCH_TYPES.strategic);
  return cbor && !custom ? [...types, CBOR_APPLY] : types;
}

function codesOf({ action, method }: Operation, custom: boolean): readonly (200 | 201 | 202)[] {
  if (custom && action === "patch") return [200];
  if (action === "post") return [200, 201, 202];
  if (action === "put" || action === "patch") return [200, 201];
  return action === "delete" && method === "delete" ? [200, 202] : [200];
}

/** A custom resource's definition: what its CRD says, with what every object has. */
function addCustom(resource: Resource, source: OpenApiSource, definitions: Definitions, dialect: Dialect): void {
  const { group, version, kind, listKind, plural } = resource;
  const written = source.custom?.(group, version, kind) ?? { type: "object" };
  const selectable = Object.keys(resource.selectableFields).map((fieldPath) => ({ fieldPath }));
  const of = (what: string) => ({
    "x-kubernetes-group-version-kind": [{ group, version, kind: what }],
    ...(selectable.length > 0 && { "x-kubernetes-selectable-fields": selectable }),
  });
  const described = (field: string, otherwise: string) => ({
    type: "string",
    description: source.describe?.("io.k8s.api.core.v1.Pod", field) ?? otherwise,
  });
  const typeMeta = {
    apiVersion: described("apiVersion", "The version of the schema of this object."),
    kind: described("kind", "The type of this object."),
  };
  const refTo = (name: string, description: string): Json =>
    dialect === "v2" ? { description, ...definitions.ref(name) } : { description, allOf: [definitions.ref(name)] };
  const metadata = refTo(`${META}ObjectMeta`, `Standard object's metadata. More info: ${CONVENTIONS}#metadata`);
  const name = customName(resource);
  // What may have any field is told to v2's readers as no more than an object.
  if (dialect === "v2" && written["x-kubernetes-preserve-unknown-fields"] === true)
    definitions.add(name, { type: "object", ...of(kind) });
  else {
    const identity = { ...typeMeta, metadata };
    const own = withIdentity(dialect === "v2" ? simplified(written) : written, identity, dialect) as Json;
    const properties = sortedByKey({ ...(own["properties"] as Json | undefined), ...identity });
    definitions.add(name, { ...own, properties, ...of(kind) });
  }
  definitions.add(customName({ group, version, kind: listKind }), {
    description: `${listKind} is a list of ${kind}`,
    type: "object",
    required: ["items"],
    properties: {
      ...typeMeta,
      items: {
        type: "array",
        description: `List of ${plural}. More info: ${CONVENTIONS}`,
        items: { $ref: (definitionsPath(dialect) + name) as string },
      },
      metadata: refTo(`${META}ListMeta`, `Standard list metadata. More info: ${CONVENTIONS}#types-kinds`),
    },
    ...of(listKind),
  });
}

const CONVENTIONS = "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md";

/** Objects within an object say what they are, too; not to v2 where anything goes. */
function withIdentity(schema: unknown, identity: Json, dialect: Dialect): unknown {
  if (typeof schema !== "object" || schema === null || Array.isArray(schema)) return schema;
  const inner = (one: unknown) => withIdentity(one, identity, dialect);
  const { properties, items, additionalProperties, ...rest } = schema as Record<string, any>;
  const out: Record<string, unknown> = {
    ...rest,
    ...(properties !== undefined && {
      properties: Object.fromEntries(Object.entries(properties).map(([name, one]) => [name, inner(one)])),
    }),
    ...(items !== undefined && { items: inner(items) }),
    ...(additionalProperties !== undefined && { additionalProperties: inner(additionalProperties) }),
  };
  const isOpen = dialect === "v2" && rest["x-kubernetes-preserve-unknown-fields"] === true;
  if (rest["x-kubernetes-embedded-resource"] !== true || isOpen) return out;
  const required: readonly string[] = rest["required"] ?? [];
  return {
    ...out,
    properties: sortedByKey({ ...(out["properties"] as Json | undefined), ...identity }),
    required: [...required, ...["kind", "apiVersion"].filter((name) => !required.includes(name))],
  };
}

const definitionsPath = (dialect: Dialect) => (dialect === "v2" ? "#/definitions/" : "#/components/schemas/");

/** What v2 can't say is left out: alternatives, null, and types below which anything goes. */
function simplified(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(simplified);
  if (typeof schema !== "object" || schema === null) return schema;
  const {
    allOf: _all,
    anyOf: _any,
    oneOf: _one,
    not: _not,
    nullable,
    default: _default,
    ...rest
  } = schema as Record<string, unknown>;
  const out: Record<string, unknown> = { ...rest };
  if (out["x-kubernetes-preserve-unknown-fields"] === true) {
    delete out["properties"];
    delete out["items"];
    if (out["type"] === "object") delete out["type"];
  }
  if (nullable === true) {
    delete out["type"];
    delete out["items"];
    delete out["properties"];
  }
  if (out["type"] === "array" && out["items"] === undefined) delete out["type"];
  if (out["items"] !== undefined) out["items"] = simplified(out["items"]);
  if (typeof out["additionalProperties"] === "object") {
    if ((out["additionalProperties"] as Json)["nullable"] === true) delete out["required"];
    out["additionalProperties"] = simplified(out["additionalProperties"]);
  }
  const properties = out["properties"] as Record<string, Json> | undefined;
  if (properties !== undefined) {
    const required = (out["required"] as readonly string[] | undefined)?.filter(
      (name) => properties[name]?.["nullable"] !== true,
    );
    if (required === undefined || required.length === 0) delete out["required"];
    else out["required"] = required;
    out["properties"] = Object.fromEntries(
      Object.entries(properties).map(([name, inner]) => [name, simplified(inner)]),
    );
  }
  return out;
}

function sortedByKey<T>(map: Readonly<Record<string, T>>): Record<string, T> {
  return Object.fromEntries(Object.entries(map).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** The paths of the v3 index: `api/v1`, `apis/apps/v1`. */
export function v3Path(group: string, version: string): string {
  return group === "" ? `api/${version}` : `apis/${apiVersionOf({ group, version })}`;
}
