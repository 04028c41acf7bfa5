/** A server with a few objects, for tests that send it what is wrong. */
import { builtinResources } from "../api/index.ts";
import { pathOf } from "../machinery/resource.ts";
import { SAMPLE_NAMESPACE, sampleOf } from "./samples.ts";
import { nodeWorld } from "../world/node/index.ts";
import { type Answer, ask, ASKABLE } from "../apiserver/testing/ask.ts";
import { startServer } from "../apiserver/testing/harness.ts";

export const MAPS = "/api/v1/namespaces/default/configmaps";
export const DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments";
export const JSON_PATCH = "application/json-patch+json";
export const MERGE = "application/merge-patch+json";
export const STRATEGIC = "application/strategic-merge-patch+json";
export const APPLY = "application/apply-patch+yaml";
export const YAML = "application/yaml";

export type Send = (method: string, url: string, body?: unknown, type?: string) => Promise<Answer>;

/** It has the config map `a` and a sample of some kinds. */
export async function startFilledServer() {
  const harness = await startServer(nodeWorld(), {
    ...ASKABLE,
    resources: builtinResources,
    disableAdmissionPlugins: ["ServiceAccount"],
  });
  const send: Send = (method, url, body, type = "application/json") =>
    ask(harness, method, url, {
      headers: { "content-type": type },
      ...(body !== undefined && {
        body: typeof body === "string" || body instanceof Uint8Array ? body : JSON.stringify(body),
      }),
    });
  await send("POST", MAPS, { metadata: { name: "a" }, data: { k: "v" } });
  for (const kind of ["Deployment", "Pod", "Service", "Secret"]) {
    const resource = builtinResources.find((one) => one.kind === kind)!;
    await send("POST", pathOf(resource, { namespace: SAMPLE_NAMESPACE }), sampleOf(resource));
  }
  return { harness, send };
}

/** A continue token as a client could make one up. */
export const continueToken = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
