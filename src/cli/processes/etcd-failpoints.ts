/** Failpoints of an etcd process, where the environment enables them. Upstream: go.etcd.io/gofail/runtime/runtime.go */
import type { Component } from "../../base/component-group.ts";
import { failpointHandler } from "../../etcd/failpoint-server.ts";
import { FailpointSwitch } from "../../etcd/failpoints.ts";
import type { World } from "../../world/world.ts";
import { writeWhole } from "../write-whole.ts";

export interface EtcdFailpoints {
  readonly points: FailpointSwitch;
  /** The control server, where one is asked for. */
  readonly server: Component | undefined;
}

/** Undefined where neither `GOFAIL_HTTP` nor `GOFAIL_FAILPOINTS` is set. */
export function etcdFailpoints({
  host,
  random,
  net,
}: Pick<World, "host" | "random" | "net">): EtcdFailpoints | undefined {
  const { GOFAIL_HTTP: http = "", GOFAIL_FAILPOINTS: set = "" } = host.environment;
  if (http === "" && set === "") return undefined;
  const err = (text: string) => writeWhole(2, text);
  const points = new FailpointSwitch({
    random: random.fork("failpoints"),
    // Nothing after this point may run, so no handler may: exit code 2 is what a Go program leaves that panics.
    panic(message) {
      err(`panic: ${message}\n\n${new Error("at").stack}\n`);
      return process.exit(2);
    },
    block: (ms) => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms),
    print: err,
  });
  points.setAll(set);
  return { points, server: http === "" ? undefined : controlServer(http, points, net) };
}

function controlServer(address: string, points: FailpointSwitch, net: World["net"]): Component {
  return {
    name: "failpoints",
    async run(signal, ready) {
      const colon = address.lastIndexOf(":");
      const at = { host: address.slice(0, colon).replace(/^\[|\]$/g, ""), port: Number(address.slice(colon + 1)) };
      await using _listener = await net.serveHttp({ ...at, http1Only: true }, failpointHandler(points));
      ready();
      if (!signal.aborted) await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
    },
  };
}
