/** `--runtime-config`: which built-in resources are served. Upstream: apiserver/pkg/server/resourceconfig/helpers.go */
import type { Resource } from "../../machinery/resource.ts";
import { CommandError } from "../command.ts";

/** From the widest to the narrowest: what is said of a resource beats what is said of its version, and that what is said of all. */
const WIDE = ["api/all", "api/ga", "api/beta", "api/alpha"];

/** Versions that upstream still reads and serves no more: old configurations name them. */
const RETIRED = new Set(
  `admission.k8s.io/v1 admission.k8s.io/v1beta1 apps/v1beta1 apps/v1beta2 authentication.k8s.io/v1alpha1
  authentication.k8s.io/v1beta1 authorization.k8s.io/v1beta1 batch/v1beta1 discovery.k8s.io/v1beta1 events.k8s.io/v1beta1
  extensions/v1beta1 flowcontrol.apiserver.k8s.io/v1beta1 flowcontrol.apiserver.k8s.io/v1beta2
  flowcontrol.apiserver.k8s.io/v1beta3 imagepolicy.k8s.io/v1alpha1 node.k8s.io/v1alpha1 node.k8s.io/v1beta1 policy/v1beta1
  rbac.authorization.k8s.io/v1alpha1 rbac.authorization.k8s.io/v1beta1 scheduling.k8s.io/v1beta1
  storage.k8s.io/v1alpha1`.split(/\s+/),
);

export function servedResources<T extends Pick<Resource, "group" | "version" | "plural" | "servedByDefault">>(
  all: readonly T[],
  words: readonly string[],
): readonly T[] {
  const said = new Map<string, boolean>();
  for (const word of words) {
    const [key = "", value = "true"] = word.split(/=(.*)/s);
    if (!/^(1|t|T|TRUE|true|True|0|f|F|FALSE|false|False|)$/.test(value))
      throw new CommandError(
        `invalid value of ${key}: ${value}, err: strconv.ParseBool: parsing ${JSON.stringify(value)}: invalid syntax`,
      );
    // The core group has no name: `api/v1`, or `v1` alone.
    const name = WIDE.includes(key) ? key : key.replace(/^api\/(?=v\d)/, "");
    const [group, version, plural] =
      name.split("/").length === 1 || /^v\d/.test(name) ? ["", ...name.split("/")] : name.split("/");
    const known =
      WIDE.includes(key) ||
      RETIRED.has(`${group}/${version}`) ||
      all.some(
        (resource) =>
          resource.group === group &&
          (version === undefined || resource.version === version) &&
          (plural === undefined || resource.plural === plural),
      );
    if (!known && !all.some((resource) => resource.group === group))
      throw new CommandError(`unknown api groups ${key}`);
    if (!known && !all.some((resource) => resource.group === group && resource.version === version))
      throw new CommandError(`group version ${key} that has not been registered`);
    said.set(name, /^(1|t|true|)$/i.test(value));
  }
  return all.filter(({ group, version, plural, servedByDefault }) => {
    const prefix = group === "" ? version : `${group}/${version}`;
    const level = version.includes("alpha") ? "api/alpha" : version.includes("beta") ? "api/beta" : "api/ga";
    return (
      [`${prefix}/${plural}`, prefix, level, "api/all"].map((key) => said.get(key)).find((on) => on !== undefined) ??
      servedByDefault
    );
  });
}
