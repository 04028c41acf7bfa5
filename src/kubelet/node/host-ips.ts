/** Upstream: staging/src/k8s.io/component-helpers/node/util/ips.go (GetNodeHostIPs) */
import type { NodeAddress } from "../../api/generated/core.v1.ts";
import { parseIp } from "../../machinery/validation/ip.ts";

/** The addresses that pods are told their node has: its first, and the first of the other family. */
export function hostIpsOf(addresses: readonly NodeAddress[]): readonly string[] {
  const all = ["InternalIP", "ExternalIP"].flatMap((wanted) =>
    addresses.filter(({ type, address }) => type === wanted && parseIp(address) !== undefined),
  );
  const familyOf = ({ address }: NodeAddress) => (address.includes(":") ? 6 : 4);
  const [first] = all;
  if (first === undefined) return [];
  const second = all.find((one) => familyOf(one) !== familyOf(first));
  return [first.address, ...(second === undefined ? [] : [second.address])];
}
