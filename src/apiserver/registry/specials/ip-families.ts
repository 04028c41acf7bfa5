/**
 * The IP families of a service, from its spec and from those that the cluster has.
 * Upstream: pkg/registry/core/service/storage/alloc.go, initIPFamilyFields
 */
import { validateClusterIPs } from "../../../api/core/v1/service/validation.ts";
import type { FieldError } from "../../../machinery/validation/field-error.ts";
import { invalid } from "../../../machinery/validation/field-error.ts";
import { familyOf } from "./ip-range.ts";
import type { IpFamily } from "./ip-range.ts";

const other = (family: IpFamily): IpFamily => (family === "IPv4" ? "IPv6" : "IPv4");
const same = (a: unknown, b: unknown): boolean => JSON.stringify(a ?? []) === JSON.stringify(b ?? []);

/** Changes the draft. Nothing of a service that has no cluster IPs is asked. */
export function settleFamilies(spec: any, old: any, families: readonly IpFamily[]): readonly FieldError[] {
  if (keepsPreference(spec, old)) return [];
  const headless = spec.clusterIP === "None" && Object.keys(spec.selector ?? {}).length === 0;
  spec.ipFamilyPolicy ??= old?.ipFamilyPolicy ?? (headless ? "RequireDualStack" : "SingleStack");
  const errors: FieldError[] = validateClusterIPs(spec, old);
  if (errors.length > 0) return errors;
  const ips: readonly string[] = spec.clusterIPs ?? [];
  const policy: string = spec.ipFamilyPolicy;
  const single = policy === "SingleStack";
  const policyIs = (message: string) => errors.push(invalid("spec.ipFamilyPolicy", policy, message));
  if (old !== undefined) {
    if (single) {
      if (same(old.clusterIPs, spec.clusterIPs) && ips.length > 1) spec.clusterIPs = ips.slice(0, 1);
      if (same(old.ipFamilies, spec.ipFamilies) && spec.ipFamilies?.length > 1)
        spec.ipFamilies = spec.ipFamilies.slice(0, 1);
    } else {
      if (reduced(ips, old.clusterIPs)) policyIs("must be 'SingleStack' to release the secondary cluster IP");
      if (reduced(spec.ipFamilies, old.ipFamilies))
        policyIs("must be 'SingleStack' to release the secondary IP family");
    }
  }
  if (single) {
    if (spec.clusterIPs?.length === 2)
      policyIs("must be 'RequireDualStack' or 'PreferDualStack' when multiple cluster IPs are specified");
    if (spec.ipFamilies?.length === 2)
      policyIs("must be 'RequireDualStack' or 'PreferDualStack' when multiple IP families are specified");
  }
  const wanted: IpFamily[] = [...(spec.ipFamilies ?? [])];
  for (const [i, ip] of ((spec.clusterIPs ?? []) as readonly string[]).entries()) {
    if (ip === "None") break;
    const family = familyOf(ip)!;
    if (i < wanted.length) continue;
    if (families.includes(family)) wanted.push(family);
    else errors.push(invalid(`spec.clusterIPs[${i}]`, spec.clusterIPs, `${family} is not configured on this cluster`));
  }
  if (errors.length > 0) return errors;
  if (headless) {
    if (wanted.length === 0) wanted.push(families[0]!);
    if (wanted.length < 2 && !single) wanted.push(other(wanted[0]!));
    spec.ipFamilies = wanted;
    return [];
  }
  if (policy === "RequireDualStack" && families.length < 2)
    policyIs("this cluster is not configured for dual-stack services");
  for (const [i, family] of wanted.entries())
    if (!families.includes(family))
      errors.push(invalid(`spec.ipFamilies[${i}]`, family, "not configured on this cluster"));
  if (errors.length > 0) return errors;
  if (wanted.length === 0) wanted.push(families[0]!);
  if (!single && wanted.length === 1 && families.length === 2) wanted.push(other(wanted[0]!));
  spec.ipFamilies = wanted;
  return [];
}

function reduced(now: readonly string[] | undefined, before: readonly string[] | undefined): boolean {
  // Cleared altogether means: as it was.
  if ((now ?? []).length === 0 || (before ?? []).length === 0) return false;
  return now!.length < before!.length && now![0] === before![0];
}

/** A service that prefers two families isn't moved because the cluster has changed: only when its writer changes something. */
function keepsPreference(spec: any, old: any): boolean {
  if (old === undefined || old.type === "ExternalName") return false;
  if (spec.ipFamilyPolicy !== "PreferDualStack" || old.ipFamilyPolicy !== "PreferDualStack") return false;
  return same(spec.clusterIPs, old.clusterIPs) && same(spec.ipFamilies, old.ipFamilies) && spec.ipFamilies?.length > 0;
}
