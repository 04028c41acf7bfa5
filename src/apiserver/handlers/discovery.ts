/** What is served: `/api`, `/apis`, and the lists below them, in the legacy and the aggregated form. */
import { createHash } from "node:crypto";
import { parseAccept } from "../../machinery/codec/content.ts";
import { AGGREGATED_DISCOVERY, aggregatedDiscovery } from "../../machinery/discovery/aggregated.ts";
import { groupsOf } from "../../machinery/discovery/groups.ts";
import { apiGroup, apiGroupList, apiResourceList, apiVersions } from "../../machinery/discovery/legacy.ts";
import type { Resource } from "../../machinery/resource.ts";
import type { ApiRequest, ApiResponse } from "../request.ts";
import { object } from "../request.ts";

export function discovery(
  resources: readonly Resource[],
  request: ApiRequest,
  serverAddress: string,
): ApiResponse | undefined {
  const [root, group, version, ...more] = request.path.split("/").filter((part) => part !== "");
  const groups = groupsOf(resources);
  const listOf = (name: string, wanted: string): ApiResponse | undefined => {
    const found = groups.find((one) => one.name === name)?.versions.find((one) => one.version === wanted);
    return found && object(200, apiResourceList(name, wanted, found.resources));
  };
  if (more.length > 0) return undefined;
  if (root === "api") {
    if (group === undefined) return aggregated(resources, request, "/api") ?? object(200, apiVersions(serverAddress));
    return version === undefined ? listOf("", group) : undefined;
  }
  if (group === undefined) return aggregated(resources, request, "/apis") ?? object(200, apiGroupList(groups));
  if (version !== undefined) return listOf(group, version);
  const found = groups.find(({ name }) => name === group && name !== "");
  return found && object(200, apiGroup(found));
}

function aggregated(
  resources: readonly Resource[],
  request: ApiRequest,
  at: "/api" | "/apis",
): ApiResponse | undefined {
  const { kind, group, version } = AGGREGATED_DISCOVERY;
  // The first clause that can be met decides; protobuf can't.
  const wanted = parseAccept(request.header("accept") ?? "").find(
    ({ type, parameters }) =>
      (type === "application/json" || type === "*/*") &&
      (parameters["as"] === undefined || (parameters["g"] === group && parameters["v"] === version)),
  );
  if (wanted?.parameters["as"] !== kind) return undefined;
  const body = `${JSON.stringify(aggregatedDiscovery(groupsOf(resources), at))}\n`;
  const etag = `"${createHash("sha512").update(body).digest("hex").toUpperCase()}"`;
  const headers = {
    "content-type": `application/json;g=${group};v=${version};as=${kind}`,
    etag,
    vary: "Accept",
    "cache-control": "public",
  };
  if (request.header("if-none-match") === etag) return { kind: "raw", status: 304, headers, body: "" };
  return { kind: "raw", status: 200, headers, body };
}
