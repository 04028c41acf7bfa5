import assert from "node:assert/strict";
import { test } from "node:test";
import { goldenFile } from "../../testing/golden.ts";
import { renderContainerdConfig } from "../runtimes/containerd/config.ts";
import { renderConflist, renderNetworkRules, routesTo } from "./conflist.ts";

test("the node's network files are what they were", () => {
  goldenFile(
    "src/kubelet/network/testdata/node.txt",
    [
      renderConflist({ bridge: "cni0", podCidrs: ["10.244.1.0/24", "fd00:10:244:1::/64"], stateDir: "/data/cni" }),
      renderNetworkRules("10.244.1.0/24", "10.244.0.0/16"),
      renderContainerdConfig({
        dir: "/data/containerd",
        sandboxImage: "localhost/typernetes/pause:1",
        cniBinDirs: ["/opt/cni/bin"],
        cniConfDir: "/data/cni/conf",
        mayLowerOomScore: false,
        snapshotter: "overlayfs",
        systemdCgroup: false,
        runtimes: { crun: "/usr/bin/crun" },
      }),
    ].join("\n"),
  );
});

test("a node has a route to each other node's subnet, and none to nodes at its own address or without one", () => {
  const nodes = [
    { name: "a", podCidr: "10.244.0.0/24", internalIp: "192.0.2.1" },
    { name: "b", podCidr: "10.244.1.0/24", internalIp: "192.0.2.2" },
    { name: "c", podCidr: undefined, internalIp: "192.0.2.3" },
    { name: "d", podCidr: "10.244.3.0/24", internalIp: "192.0.2.1" },
  ];
  assert.deepEqual(routesTo(nodes, "a"), [{ to: "10.244.1.0/24", via: "192.0.2.2" }]);
});
