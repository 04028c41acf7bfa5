/** Warnings about ports of a pod that may conflict. Upstream: pkg/api/pod/warnings.go */
import type { ContainerPort } from "../../../generated/core.v1.ts";
import type { PlacedContainer } from "./validation/containers-of.ts";

interface PlacedPort {
  readonly port: ContainerPort;
  readonly path: string;
}

export function portWarnings(containers: readonly PlacedContainer[]): readonly string[] {
  const ports = containers.flatMap(({ container, path }) =>
    (container.ports ?? []).map((port, i) => ({ port, path: `${path}.ports[${i}]` })),
  );
  return [...definitionWarnings(ports), ...nameWarnings(ports)];
}

function definitionWarnings(ports: readonly PlacedPort[]): readonly string[] {
  const byNumber = new Map<string, PlacedPort[]>();
  return ports.flatMap((placed) => {
    const { port, path } = placed;
    const { containerPort, protocol, hostIP = "", hostPort = 0, name = "" } = port;
    const key = `${containerPort}/${protocol}`;
    const others = byNumber.get(key) ?? [];
    byNumber.set(key, [...others, placed]);
    const shown = `{Name:${name} HostPort:${hostPort} ContainerPort:${containerPort} Protocol:${protocol} HostIP:${hostIP}}`;
    return [
      ...(hostIP !== "" && hostPort === 0 ? [`${path}: hostIP set without hostPort: ${shown}`] : []),
      ...others.flatMap((other) => {
        const what = clash(port, other.port);
        return what === undefined ? [] : [`${path}: ${what} port definition with ${other.path}`];
      }),
    ];
  });
}

function clash(a: ContainerPort, b: ContainerPort): string | undefined {
  const [ipOfA, ipOfB] = [a.hostIP ?? "", b.hostIP ?? ""];
  const [portOfA, portOfB] = [a.hostPort ?? 0, b.hostPort ?? 0];
  if (ipOfA === ipOfB && portOfA === portOfB) return "duplicate";
  if (portOfA === 0 || portOfB === 0) return "overlapping";
  return portOfA === portOfB && (ipOfA === "") !== (ipOfB === "") ? "dangerously ambiguous" : undefined;
}

function nameWarnings(ports: readonly PlacedPort[]): readonly string[] {
  const byName = new Map<string, string>();
  return ports.flatMap(({ port: { name }, path }) => {
    if (!name) return [];
    const other = byName.get(name);
    if (other === undefined) {
      byName.set(name, path);
      return [];
    }
    return [
      `${path}: duplicate port name ${JSON.stringify(name)} with ${other}, services and probes that select ports by name will use ${other}`,
    ];
  });
}
