/** Which service CIDRs hold what, and whether one may go. Pure. Upstream: pkg/controller/servicecidrs, pkg/util/servicecidr */
import type { IPAddress, ServiceCIDR } from "../../api/generated/networking.v1.ts";
import { cidrHolds, parseCidr } from "../../machinery/validation/ip.ts";

const MANAGED_BY = "ipaddress.kubernetes.io/managed-by";

const networksOf = ({ spec }: ServiceCIDR): readonly string[] => spec?.cidrs ?? [];

/** Whether all of `inner` is in `outer`; a network holds itself. */
export function holdsNetwork(outer: string, inner: string): boolean {
  const [a, b] = [parseCidr(outer), parseCidr(inner)];
  return a !== undefined && b !== undefined && a.bits <= b.bits && cidrHolds(outer, inner.slice(0, inner.indexOf("/")));
}

/** By name, whom a change of this one may concern. */
export function overlapping(one: ServiceCIDR, all: readonly ServiceCIDR[]): readonly string[] {
  return all
    .filter((other) =>
      networksOf(one).some((a) => networksOf(other).some((b) => holdsNetwork(a, b) || holdsNetwork(b, a))),
    )
    .map(({ metadata }) => metadata.name);
}

/** Whose an address is: nobody's, if no allocator made it. */
export function holding({ metadata }: IPAddress, all: readonly ServiceCIDR[]): readonly ServiceCIDR[] {
  if (metadata.labels?.[MANAGED_BY] !== "ipallocator.k8s.io") return [];
  return all.filter((one) => networksOf(one).some((network) => cidrHolds(network, metadata.name)));
}

/** No address may be left in no network at all. */
export function mayGo(one: ServiceCIDR, all: readonly ServiceCIDR[], addresses: readonly IPAddress[]): boolean {
  const others = all.filter(({ metadata }) => metadata.name !== one.metadata.name);
  const hasParent = networksOf(one).every((network) =>
    others.some((other) => networksOf(other).some((outer) => holdsNetwork(outer, network))),
  );
  if (hasParent) return true;
  return addresses.every((address) => {
    const holders = holding(address, all);
    return holders.length !== 1 || holders[0]!.metadata.name !== one.metadata.name;
  });
}
