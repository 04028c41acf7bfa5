/** Discovery: `/api`, `/apis` and the lists below them, in the legacy and the aggregated form. */
import { createHash } from "node:crypto";
import { schemaOf } from "../../api/schemas.ts";
import type { ProtobufCodec } from "../../machinery/codec/protobuf.ts";
import { encodeYaml } from "../../machinery/codec/yaml.ts";
import { parseAccept } from "../../machinery/codec/content.ts";
import { AGGREGATED_DISCOVERY, aggregatedDiscovery } from "../../machinery/discovery/aggregated.ts";
import { type ApiGroup, groupsOf, isBuiltinGroup, type RemoteVersion } from "../../machinery/discovery/groups.ts";
import { apiGroup, apiGroupList, apiResourceList, apiVersions } from "../../machinery/discovery/legacy.ts";
import type { Resource } from "../../machinery/resource.ts";
import type { ApiRequest, ApiResponse } from "../request.ts";
import { object } from "../request.ts";

export function discovery(
  resources: readonly Resource[],
  remotes: readonly RemoteVersion[],
  request: ApiRequest,
  serverAddress: string,
  codec: ProtobufCodec,
): ApiResponse | undefined {
  const [root, group, version, ...more] = request.path.split("/").filter((part) => part !== "");
  const groups = groupsOf(resources, remotes);
  const listOf = (name: string, wanted: string): ApiResponse | undefined => {
    const found = groups.find((one) => one.name === name)?.versions.find((one) => one.version === wanted);
    return found && document("APIResourceList", apiResourceList(name, wanted, found.resources), isBuiltinGroup(name));
  };
  if (more.length > 0 || /.\/\/+[^/]|^\/apis\/\/+$/.test(request.path)) return undefined;
  if (root === "api") {
    if (group === undefined)
      return aggregated(groups, request, "/api", codec) ?? document("APIVersions", apiVersions(serverAddress));
    return version === undefined ? listOf("", group) : undefined;
  }
  // With a slash behind it it has the older form alone.
  if (group === undefined)
    return (
      (request.path.endsWith("/") ? undefined : aggregated(groups, request, "/apis", codec)) ??
      document("APIGroupList", apiGroupList(groups))
    );
  if (version !== undefined) return listOf(group, version);
  const found = groups.find(({ name }) => name === group && name !== "");
  return found && document("APIGroup", apiGroup(found));
}

/** CBOR is for what lists resources, not for what lists groups and versions. */
function document(kind: string, value: unknown, cbor = false): ApiResponse {
  return { ...object(200, value, schemaOf(`${META}${kind}`)), discovery: { cbor } };
}

function aggregated(
  groups: readonly ApiGroup[],
  request: ApiRequest,
  at: "/api" | "/apis",
  codec: ProtobufCodec,
): ApiResponse | undefined {
  const { kind, group, version } = AGGREGATED_DISCOVERY;
  // The first clause that can be met decides.
  const wanted = parseAccept(request.header("accept") ?? "").find(
    ({ type, parameters }) =>
      (type === "application/json" || type === YAML || type === PROTOBUF || type === "*/*") &&
      (parameters["as"] === undefined || (parameters["g"] === group && parameters["v"] === version)),
  );
  if (wanted?.parameters["as"] !== kind) return undefined;
  const document = aggregatedDiscovery(groups, at);
  const type = wanted.type === "*/*" ? "application/json" : wanted.type;
  const json = `${JSON.stringify(document)}\n`;
  const etag = `"${createHash("sha512").update(json).digest("hex").toUpperCase()}"`;
  const headers = {
    "content-type": `${type};g=${group};v=${version};as=${kind}`,
    etag,
    vary: "Accept",
    "cache-control": "public",
  };
  if (request.header("if-none-match") === etag) return { kind: "raw", status: 304, headers, body: "" };
  const schema = schemaOf("io.k8s.api.apidiscovery.v2.APIGroupDiscoveryList");
  const body = type === PROTOBUF ? codec.encode(document, schema) : type === YAML ? encodeYaml(document) : json;
  return { kind: "raw", status: 200, headers, body };
}

const PROTOBUF = "application/vnd.kubernetes.protobuf";
const YAML = "application/yaml";
const META = "io.k8s.apimachinery.pkg.apis.meta.v1.";
