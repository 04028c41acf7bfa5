/** `t8s etcd gateway start`: a TCP proxy in front of a cluster. `etcd grpc-proxy` is refused here, too, with the reason. */
import { ComponentGroup } from "../../base/component-group.ts";
import type { Endpoint } from "../../etcd/gateway.ts";
import { createZapLogger } from "../../observe/zap.ts";
import { CommandError, defineCommand } from "../command.ts";
import { etcdGatewayFlags } from "../flags/etcd-gateway.ts";

export const etcdGateway = defineCommand({
  name: "etcd gateway",
  program: "etcd gateway",
  usage: "start [flags]",
  about: "Hand connections on to the members of an etcd cluster, in turn.",
  flags: etcdGatewayFlags,
  diesBySignal: true,
  async run({ world, signal, err }, values, positional) {
    if (positional[0] === "grpc-proxy")
      throw new CommandError(
        "grpc-proxy is not supported: a member serves watchers of one key from one encoded event, and the gateway spreads connections",
      );
    if (positional[1] !== "start" || positional.length > 2)
      throw new CommandError(`unknown command ${JSON.stringify(positional[1] ?? "")} for "etcd gateway"`);
    const { createGateway } = await import("../../etcd/gateway.ts");
    const { resolver } = await import("../../etcd/cluster/resolver.ts");
    const log = createZapLogger({ clock: world.clock, format: "json", level: "info", write: err });
    log.info("Running: ", { args: process.argv.slice(1) });
    const listen = addressOf(values["listen-addr"]);
    const found: Endpoint[] = [];
    if (values["discovery-srv"] !== "") {
      const suffix = values["discovery-srv-name"] === "" ? "" : `-${values["discovery-srv-name"]}`;
      const services = [`etcd-client-ssl${suffix}`, ...(values["insecure-discovery"] ? [`etcd-client${suffix}`] : [])];
      for (const service of services)
        for (const { target: host, ...rest } of await resolver(world)
          .srv(`_${service}._tcp.${values["discovery-srv"]}`)
          .catch(() => []))
          found.push({ host, ...rest });
    }
    const told = values.endpoints.map((endpoint) => addressOf(endpoint.replace(/^\w+:\/\//, "").replace(/\/.*$/, "")));
    const endpoints = found.length > 0 ? found : told;
    if (endpoints.length === 0) throw new CommandError("no endpoints found");
    const own = endpoints.find(({ host, port }) => port === listen.port && host === listen.host);
    if (own !== undefined)
      throw new CommandError(
        `SRV or endpoint (${own.host}:${own.port}) should not resolve to the gateway listen addr (${values["listen-addr"]})`,
      );
    await using group = new ComponentGroup();
    await group.start(createGateway({ listen, endpoints, retryMs: values["retry-delay"] }, { ...world, log }));
    await group.wait(signal);
    return 0;
  },
});

function addressOf(text: string) {
  const match = /^\[?([^\]]*?)\]?:(\d+)$/.exec(text);
  if (match === null) throw new CommandError(`error parsing endpoint ${JSON.stringify(text)}`);
  return { host: match[1]!, port: Number(match[2]) };
}
