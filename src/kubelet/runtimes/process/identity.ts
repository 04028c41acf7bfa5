/**
 * The user as which a container runs: from its security context, else from its image's `User`, looked up in the image's own passwd and group files.
 * Pure.
 */
import type { Identity } from "./launch.ts";

export interface Wanted {
  readonly uid: number | undefined;
  readonly gid: number | undefined;
  /** `name` or `uid`. */
  readonly username: string;
  /** The image's `User`: `user`, `user:group`, by name or number. */
  readonly imageUser: string;
  readonly supplementalGroups: readonly number[];
}

/** Undefined where nobody in particular is asked for. Throws in a runtime's words where the name is unknown. */
export function ownerOf(wanted: Wanted, passwd: string, group: string): Identity | undefined {
  const { uid, gid, username, imageUser, supplementalGroups } = wanted;
  const [fromImage = "", imageGroup = ""] = imageUser.split(":");
  const user = uid !== undefined ? String(uid) : username || fromImage;
  if (user === "" && gid === undefined && supplementalGroups.length === 0) return undefined;
  const entry = linesOf(passwd).find(([name, , id]) => name === user || id === user);
  const number = user === "" ? 0 : entry === undefined ? Number(user) : Number(entry[2]);
  if (!Number.isInteger(number)) throw new Error(`unable to find user ${user}: no matching entries in passwd file`);
  const groups = linesOf(group);
  const named = imageGroup === "" || uid !== undefined || username !== "" ? undefined : imageGroup;
  const ownGroup =
    gid ??
    (named === undefined
      ? Number(entry?.[3] ?? 0)
      : Number(groups.find(([name, , id]) => name === named || id === named)?.[2] ?? named));
  const memberOf = groups.filter(([, , , members]) => entry !== undefined && members?.split(",").includes(entry[0]!));
  return {
    uid: number,
    gid: ownGroup,
    groups: [...new Set([...memberOf.map(([, , id]) => Number(id)), ...supplementalGroups])],
  };
}

const linesOf = (text: string): readonly (readonly string[])[] =>
  text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => line.split(":"));
