import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { bind, grpcHandler } from "../../wire/rpc/grpc-server.ts";
import { nodeWorld } from "../../world/node/index.ts";
import { connectCsi, csiCodec } from "./connect.ts";
import { Identity } from "./generated.ts";

test("a driver is reached through its socket, and wrapped values keep absent and false apart", async () => {
  const world = nodeWorld();
  const folder = mkdtempSync(join(tmpdir(), "typernetes-csi-"));
  let ready: { value: boolean } | undefined = { value: false };
  const identity = bind(Identity, {
    GetPluginInfo: () => ({ name: "hostpath.csi.k8s.io", manifest: { a: "b" } }),
    GetPluginCapabilities: () => ({ capabilities: [{ service: { type: "CONTROLLER_SERVICE" } }] }),
    Probe: () => ({ ready }),
  });
  const path = join(folder, "csi.sock");
  const handler = grpcHandler({ services: [identity], codec: csiCodec(), clock: world.clock });
  const listener = await world.net.serveHttp({ path }, handler);
  const client = connectCsi(world, `unix://${path}`);
  assert.deepEqual(await client.identity.GetPluginInfo({}), {
    name: "hostpath.csi.k8s.io",
    vendor_version: "",
    manifest: { a: "b" },
  });
  assert.equal((await client.identity.GetPluginCapabilities({})).capabilities[0]!.service!.type, "CONTROLLER_SERVICE");
  assert.deepEqual((await client.identity.Probe({})).ready, { value: false });
  ready = undefined;
  assert.equal((await client.identity.Probe({})).ready, undefined);
  await client.close();
  await listener.close();
  rmSync(folder, { recursive: true });
});
