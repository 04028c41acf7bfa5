/** `--runtime-config`: which built-in resources are served. Upstream: apiserver/pkg/server/resourceconfig/helpers.go */
import type { Resource } from "../../machinery/resource.ts";
import { CommandError } from "../command.ts";

/** From the widest to the narrowest: what is said of a resource beats what is said of its version, and that what is said of all. */
const WIDE = ["api/all", "api/ga", "api/beta", "api/alpha"];

export function servedResources<T extends Pick<Resource, "group" | "version" | "plural" | "servedByDefault">>(
  all: readonly T[],
  words: readonly string[],
): readonly T[] {
  const said = new Map<string, boolean>();
  for (const word of words) {
    const [key = "", value = "true"] = word.split(/=(.*)/s);
    if (!/^(true|false|1|0|)$/i.test(value)) throw new CommandError(`invalid value of ${key}=${value}`);
    // The core group has no name: `api/v1`, or `v1` alone.
    const name = WIDE.includes(key) ? key : key.replace(/^api\/(?=v\d)/, "");
    const [group, version, plural] =
      name.split("/").length === 1 || /^v\d/.test(name) ? ["", ...name.split("/")] : name.split("/");
    const known =
      WIDE.includes(key) ||
      all.some(
        (resource) =>
          resource.group === group &&
          (version === undefined || resource.version === version) &&
          (plural === undefined || resource.plural === plural),
      );
    // Versions come and go, and old configurations name them: only the group has to be one.
    if (!known && !all.some((resource) => resource.group === group))
      throw new CommandError(`unknown api groups ${group}`);
    said.set(name, /^(true|1|)$/i.test(value));
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
