/**
 * Asks an API server for every resource in every way that the protocol knows: methods, patch types, encodings both ways, subresources. What it
 * asks is data, and who it asks is a function, so the same questions go to a server in this process or to any other.
 */
import { schemaOf } from "../api/schemas.ts";
import { encodeCbor } from "../machinery/codec/cbor.ts";
import { ProtobufCodec } from "../machinery/codec/protobuf.ts";
import { encodeYaml } from "../machinery/codec/yaml.ts";
import type { Resource } from "../machinery/resource.ts";
import { apiVersionOf, pathOf } from "../machinery/resource.ts";
import type { Schema } from "../machinery/schema/schema.ts";
import { SAMPLE_NAMESPACE, sampleOf } from "./samples.ts";

export interface Question {
  readonly method: string;
  readonly url: string;
  readonly accept?: string;
  readonly contentType?: string;
  readonly body?: string | Uint8Array;
  /** An answer that goes on: its head and first bytes are enough. */
  readonly endless?: boolean;
}

export interface Reply {
  readonly status: number;
  readonly contentType: string;
  readonly body: Buffer;
}

export type Call = (question: Question) => Promise<Reply>;

/** `pods`, or `pods/status`. */
export interface EndpointRow {
  readonly resource: Resource;
  readonly subresource: string;
  /** Of each table the cells, by column. */
  readonly tables: Readonly<Record<TableName, Readonly<Record<string, Reply>>>>;
}

export const TABLES = ["methods", "read", "listed", "watched", "patched", "created", "updated", "deleted"] as const;
export type TableName = (typeof TABLES)[number];

const JSON_TYPE = "application/json";
const YAML = "application/yaml";
const PROTOBUF = "application/vnd.kubernetes.protobuf";
const CBOR = "application/cbor";
const as = (kind: string) => `;as=${kind};g=meta.k8s.io;v=v1`;

const forms = (list: string): Readonly<Record<string, string>> => ({
  json: JSON_TYPE,
  yaml: YAML,
  protobuf: PROTOBUF,
  cbor: CBOR,
  Table: JSON_TYPE + as("Table"),
  "Table, protobuf": PROTOBUF + as("Table"),
  "Table, else json": `${PROTOBUF}${as("Table")},${JSON_TYPE}`,
  metadata: JSON_TYPE + as(`PartialObjectMetadata${list}`),
  "metadata, yaml": YAML + as(`PartialObjectMetadata${list}`),
  "metadata, protobuf": PROTOBUF + as(`PartialObjectMetadata${list}`),
  "metadata, cbor": CBOR + as(`PartialObjectMetadata${list}`),
  "text/html": "text/html",
});
const BODIES: Readonly<Record<string, string>> = {
  json: JSON_TYPE,
  yaml: YAML,
  protobuf: PROTOBUF,
  cbor: CBOR,
  "text/plain": "text/plain",
};

/** Every endpoint of a resource, asked in every way. An object of it is there meanwhile, and gone afterwards. */
export async function askEverything(
  call: Call,
  resource: Resource,
  sampleAt: (index: number) => any = (index) => sample(resource, index),
): Promise<readonly EndpointRow[]> {
  const object = sampleAt(0);
  const namespace = resource.scope === "Namespaced" ? { namespace: SAMPLE_NAMESPACE } : {};
  const name: string = object.metadata.name ?? "any";
  const collection = pathOf(resource, namespace);
  const one = pathOf(resource, { ...namespace, name });
  const stored = resource.storage.virtual !== true;
  if (stored) {
    const created = await call(write("POST", collection, object, resource.schema, JSON_TYPE));
    if (created.status !== 201) throw new Error(`${resource.plural}: ${created.status} ${created.body.toString()}`);
  }
  const rows: EndpointRow[] = [await askMain(call, resource, object, sampleAt(1), collection, one)];
  for (const subresource of Object.keys(resource.subresources).sort())
    rows.push(await askSubresource(call, resource, subresource, object, `${one}/${subresource}`));
  if (stored) await remove(call, resource, one);
  return rows;
}

async function askMain(
  call: Call,
  resource: Resource,
  sample: any,
  other: any,
  collection: string,
  one: string,
): Promise<EndpointRow> {
  const rehearsal = `${collection}?dryRun=All`;
  const current = await currentOf(call, one, sample);
  const { schema } = resource;
  const json = (method: string, url: string, body: any) => write(method, url, body, schema, JSON_TYPE);
  const methods = await ask(call, {
    "GET one": { method: "GET", url: one },
    "GET all": { method: "GET", url: collection },
    watch: { method: "GET", url: `${collection}?watch=1`, endless: true },
    "POST to all": json("POST", rehearsal, other),
    "POST to one": json("POST", `${one}?dryRun=All`, other),
    "PUT one": json("PUT", `${one}?dryRun=All`, current),
    "PUT all": json("PUT", rehearsal, current),
    "PATCH one": patch(`${one}?dryRun=All`, "application/merge-patch+json", "{}"),
    "PATCH all": patch(rehearsal, "application/merge-patch+json", "{}"),
    "DELETE one": { method: "DELETE", url: `${one}?dryRun=All` },
    "DELETE all": { method: "DELETE", url: rehearsal },
    HEAD: { method: "HEAD", url: one },
    OPTIONS: { method: "OPTIONS", url: one },
  });
  return {
    resource,
    subresource: "",
    tables: {
      methods: {
        ...methods,
        "PUT one": await askAgain(call, json("PUT", `${one}?dryRun=All`, current), current, (now) =>
          json("PUT", `${one}?dryRun=All`, now),
        ),
      },
      read: await askForms(call, one, forms("")),
      listed: await askForms(call, collection, forms("List")),
      watched: await askForms(call, `${collection}?watch=1`, forms(""), true),
      patched: await askPatches(call, one, resource, sample),
      created: await askBodies(call, "POST", rehearsal, other, schema),
      updated: await askBodies(call, "PUT", `${one}?dryRun=All`, current, schema),
      deleted: await askBodies(
        call,
        "DELETE",
        one,
        { kind: "DeleteOptions", apiVersion: "v1", dryRun: ["All"] },
        schemaOf("io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions"),
      ),
    },
  };
}

async function askSubresource(
  call: Call,
  resource: Resource,
  subresource: string,
  sample: any,
  url: string,
): Promise<EndpointRow> {
  const { verbs } = resource.subresources[subresource]!;
  const special = bodyOfSubresource(resource, subresource, sample);
  const body = special?.body ?? (verbs.includes("update") ? await currentOf(call, url, sample) : sample);
  const schema = special?.schema ?? resource.schema;
  const rehearsal = `${url}?dryRun=All`;
  const methods = await ask(call, {
    "GET one": { method: "GET", url },
    "POST to one": write("POST", rehearsal, body, schema, JSON_TYPE),
    "PUT one": write("PUT", rehearsal, body, schema, JSON_TYPE),
    "PATCH one": patch(rehearsal, "application/merge-patch+json", "{}"),
    "DELETE one": { method: "DELETE", url: rehearsal },
    HEAD: { method: "HEAD", url },
  });
  const none = {};
  const connects = CONNECTS.has(subresource);
  return {
    resource,
    subresource,
    tables: {
      methods,
      read: verbs.includes("get") && !connects ? await askForms(call, url, forms("")) : none,
      listed: none,
      watched: none,
      patched: verbs.includes("patch") && !connects ? await askPatches(call, url, resource, sample) : none,
      created: verbs.includes("create") && !connects ? await askBodies(call, "POST", rehearsal, body, schema) : none,
      updated: verbs.includes("update") && !connects ? await askBodies(call, "PUT", rehearsal, body, schema) : none,
      deleted: none,
    },
  };
}

/** Whatever they answer comes from behind the server. */
const CONNECTS = new Set(["proxy", "exec", "attach", "portforward"]);

async function ask(call: Call, questions: Readonly<Record<string, Question>>): Promise<Record<string, Reply>> {
  const answers: Record<string, Reply> = {};
  for (const [name, question] of Object.entries(questions)) answers[name] = await call(question);
  return answers;
}

function askForms(call: Call, url: string, accepts: Readonly<Record<string, string>>, endless = false) {
  return ask(
    call,
    Object.fromEntries(
      Object.entries(accepts).map(([name, accept]) => [
        name,
        { method: "GET", url, accept, ...(endless && { endless }) },
      ]),
    ),
  );
}

async function askBodies(call: Call, method: string, url: string, body: any, schema: Schema) {
  const answers: Record<string, Reply> = {};
  for (const [name, contentType] of Object.entries(BODIES))
    answers[name] = await askAgain(call, write(method, url, body, schema, contentType), body, (current) =>
      write(method, url, current, schema, contentType),
    );
  return answers;
}

/** The server itself writes the status of some: who is told of a conflict reads again and tries again. */
async function askAgain(call: Call, question: Question, body: any, again: (current: any) => Question): Promise<Reply> {
  const reply = await call(question);
  if (reply.status !== 409 || question.method !== "PUT") return reply;
  return call(again(await currentOf(call, question.url.split("?")[0]!, body)));
}

function askPatches(call: Call, url: string, resource: Resource, sample: any) {
  const labels = { metadata: { labels: { patched: "1" } } };
  const applied = {
    apiVersion: apiVersionOf(resource),
    kind: resource.kind,
    metadata: { name: sample.metadata.name, labels: { applied: "1" } },
  };
  const isScale = url.endsWith("/scale");
  const scale = {
    apiVersion: "autoscaling/v1",
    kind: "Scale",
    metadata: { name: sample.metadata.name },
    spec: { replicas: 1 },
  };
  const configuration = isScale ? scale : applied;
  const merge = JSON.stringify(isScale ? { spec: { replicas: 2 } } : labels);
  const json = isScale
    ? [{ op: "replace", path: "/spec/replicas", value: 2 }]
    : [{ op: "add", path: "/metadata/labels", value: { patched: "1" } }];
  const rehearsal = `${url}?dryRun=All`;
  const apply = `${rehearsal}&fieldManager=table&force=true`;
  return ask(call, {
    json: patch(rehearsal, "application/json-patch+json", JSON.stringify(json)),
    merge: patch(rehearsal, "application/merge-patch+json", merge),
    strategic: patch(rehearsal, "application/strategic-merge-patch+json", merge),
    "apply, yaml": patch(apply, "application/apply-patch+yaml", encodeYaml(configuration)),
    "apply, cbor": patch(apply, "application/apply-patch+cbor", encodeCbor(configuration)),
    "application/json": patch(rehearsal, JSON_TYPE, merge),
  });
}

const patch = (url: string, contentType: string, body: string | Uint8Array): Question => ({
  method: "PATCH",
  url,
  contentType,
  body,
});

/** A custom resource has no protobuf, so its body is an envelope with nothing in it. */
function write(method: string, url: string, body: any, schema: Schema, contentType: string): Question {
  const encoded = (): string | Uint8Array => {
    if (contentType === YAML) return encodeYaml(body);
    if (contentType === CBOR) return encodeCbor(body, schema);
    if (contentType !== PROTOBUF) return JSON.stringify(body);
    return new ProtobufCodec().encode(
      body,
      schema.name === undefined ? { type: "object", properties: new Map() } : schema,
    );
  };
  return { method, url, contentType, body: encoded() };
}

async function currentOf(call: Call, url: string, fallback: any): Promise<any> {
  const { status, body } = await call({ method: "GET", url });
  return status === 200 ? JSON.parse(body.toString()) : fallback;
}

async function remove(call: Call, resource: Resource, one: string): Promise<void> {
  await call({ method: "DELETE", url: `${one}?gracePeriodSeconds=0` });
  const { status, body } = await call({ method: "GET", url: one });
  if (status === 404) return;
  if (resource.kind === "Namespace") {
    const finalized = { ...JSON.parse(body.toString()), spec: { finalizers: [] } };
    await call(write("PUT", `${one}/finalize`, finalized, resource.schema, JSON_TYPE));
  } else await call(patch(one, "application/merge-patch+json", JSON.stringify({ metadata: { finalizers: null } })));
}

const sample = (resource: Resource, index: number): any =>
  resource.storage.virtual === true ? reviewOf(resource) : sampleOf(resource, index);

/** What a subresource takes that is of another kind than its parent. */
function bodyOfSubresource(
  resource: Resource,
  subresource: string,
  sample: any,
): { readonly body: any; readonly schema: Schema } | undefined {
  const { name, namespace } = sample.metadata;
  const metadata = { name, ...(namespace && { namespace }) };
  switch (subresource) {
    case "binding":
      return {
        body: { apiVersion: "v1", kind: "Binding", metadata, target: { kind: "Node", name: "n" } },
        schema: schemaOf("io.k8s.api.core.v1.Binding"),
      };
    case "eviction":
      return {
        body: { apiVersion: "policy/v1", kind: "Eviction", metadata },
        schema: schemaOf("io.k8s.api.policy.v1.Eviction"),
      };
    case "token":
      return {
        body: {
          apiVersion: "authentication.k8s.io/v1",
          kind: "TokenRequest",
          metadata,
          spec: { audiences: ["a"], expirationSeconds: 3600 },
        },
        schema: schemaOf("io.k8s.api.authentication.v1.TokenRequest"),
      };
    case "scale":
      return {
        body: { apiVersion: "autoscaling/v1", kind: "Scale", metadata, spec: { replicas: 1 } },
        schema: schemaOf("io.k8s.api.autoscaling.v1.Scale"),
      };
    default:
      return undefined;
  }
}

/** What is asked of a resource that is not stored. */
function reviewOf(resource: Resource): any {
  const attributes = { namespace: SAMPLE_NAMESPACE, verb: "get", resource: "pods" };
  const bodies: Readonly<Record<string, object>> = {
    Binding: { target: { kind: "Node", name: "n" } },
    LocalSubjectAccessReview: { spec: { user: "jane", resourceAttributes: attributes } },
    SelfSubjectAccessReview: { spec: { resourceAttributes: attributes } },
    SelfSubjectRulesReview: { spec: { namespace: SAMPLE_NAMESPACE } },
    SubjectAccessReview: { spec: { user: "jane", resourceAttributes: attributes } },
    TokenReview: { spec: { token: "nonsense" } },
  };
  // A component that is there; reviews have no name.
  const name = { ComponentStatus: "etcd-0", Binding: "none" }[resource.kind];
  const namespaced = resource.scope === "Namespaced" && resource.kind !== "SelfSubjectRulesReview";
  return {
    apiVersion: apiVersionOf(resource),
    kind: resource.kind,
    metadata: { ...(name !== undefined && { name }), ...(namespaced && { namespace: SAMPLE_NAMESPACE }) },
    ...bodies[resource.kind],
  };
}
