import { test } from "node:test";
import { golden } from "../../../testing/golden.ts";
import type { Service } from "../../../api/generated/core.v1.ts";
import type { EndpointSlice } from "../../../api/generated/discovery.v1.ts";
import { modelService } from "../../model/model.ts";
import { type RenderOptions, renderRestore, renderService } from "./render.ts";

const options: RenderOptions = {
  family: 4,
  clusterCidr: "10.244.0.0/16",
  masqueradeAll: false,
  masqueradeBit: 14,
  localhostNodePorts: true,
  nodePortIps: [],
  nodeIps: ["192.168.0.2"],
  randomFully: true,
  nfacct: true,
  conntrackTcpLiberal: false,
};

/** `NAME spec-as-JSON | endpoints: IP[/flags] …` where flags are r(emote) t(erminating) n(ot ready). */
function parse(input: string): readonly [Service, readonly EndpointSlice[]] {
  const given = JSON.parse(input) as {
    readonly name: string;
    readonly namespace?: string;
    readonly spec: object;
    readonly status?: object;
    readonly endpoints?: readonly string[];
    readonly family?: number;
    readonly targetPort?: number;
  };
  const namespace = given.namespace ?? "default";
  const metadata = { name: given.name, namespace, uid: "u", resourceVersion: "1", creationTimestamp: "" };
  const service = {
    apiVersion: "v1",
    kind: "Service",
    metadata,
    spec: given.spec,
    status: given.status ?? {},
  } as Service;
  const ports = (service.spec.ports ?? []).map(({ name = "", protocol = "TCP" }) => ({
    name,
    protocol,
    port: given.targetPort ?? 8080,
  }));
  const endpoints = (given.endpoints ?? []).map((text) => {
    const [ip = "", flags = ""] = text.split("/");
    const terminating = flags.includes("t");
    return {
      addresses: [ip],
      nodeName: flags.includes("r") ? "other" : "me",
      conditions: { ready: !terminating && !flags.includes("n"), serving: !flags.includes("n"), terminating },
    };
  });
  const slice = {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata,
    addressType: given.family === 6 ? "IPv6" : "IPv4",
    ports,
    endpoints,
  };
  return [service, [slice]];
}

test("services become the rules that upstream writes", () =>
  golden("src/proxy/backends/iptables/testdata/services.txt", (command, input) => {
    const [service, slices] = parse(input);
    const family = command.includes("ipv6") ? 6 : 4;
    const rules = renderService(modelService(service, slices, family, { name: "me", zone: undefined }), {
      ...options,
      family,
      ...(family === 6 && { clusterCidr: "fd00:10:244::/56", nodeIps: [] }),
    });
    return [
      ...(rules.filter.length > 0 ? ["*filter", ...rules.filter] : []),
      "*nat",
      ...rules.dispatch,
      ...[...rules.chains.values()].flat(),
    ].join("\n");
  }));

test("a restore rewrites dispatch in full, the chains of changed services only, and drops stale chains", () =>
  golden("src/proxy/backends/iptables/testdata/restore.txt", (command, input) => {
    const services = new Map(
      input.split("\n").map((line) => {
        const [service, slices] = parse(line);
        return [
          service.metadata.name,
          renderService(modelService(service, slices, 4, { name: "me", zone: undefined }), {
            ...options,
            nfacct: false,
          }),
        ] as const;
      }),
    );
    const words = command.split(" ").slice(1);
    const changed = words[0] === "all" ? undefined : new Set(words.filter((word) => !word.startsWith("KUBE-")));
    return renderRestore(
      services,
      changed,
      words.filter((word) => word.startsWith("KUBE-")),
      { ...options, nfacct: false },
    ).text;
  }));
