import known from "../../apiserver/feature-gates.json" with { type: "json" };
import { CommandError } from "../command.ts";

type Row = readonly [name: string, stage: string, on: number, locked?: number];

/** As an API server takes them: by upstream's names, and none that is settled. */
export function serverGates(words: Readonly<Record<string, string>>): ReadonlyMap<string, boolean> {
  const rows = new Map((known as unknown as readonly Row[]).map((row) => [row[0], row]));
  const gates = new Map<string, boolean>();
  for (const [word, text] of Object.entries(words)) {
    const [component, name] = word.includes(":") ? (word.split(/:(.*)/s) as [string, string]) : ["kube", word];
    if (component !== "kube") throw new CommandError(`component not registered: ${component}`);
    const row = rows.get(name);
    if (row === undefined) throw new CommandError(`unrecognized feature gate: ${name}`);
    const [, , standard, locked] = row;
    const on = /^(1|t|T|TRUE|true|True)$/.test(text);
    if (!on && !/^(0|f|F|FALSE|false|False)$/.test(text))
      throw new CommandError(
        `invalid value of ${name}=${text}, err: strconv.ParseBool: parsing ${JSON.stringify(text)}: invalid syntax`,
      );
    if (locked === 1 && on !== (standard === 1))
      throw new CommandError(`cannot set feature gate ${name} to ${on}, feature is locked to ${!on}`);
    gates.set(name, on);
  }
  for (const [all, stage] of GROUPS)
    for (const [name, itsStage, , locked] of rows.values())
      if (gates.has(all) && itsStage === stage && name !== all && locked !== 1 && !gates.has(name))
        gates.set(name, gates.get(all)!);
  return gates;
}

/** Gates that speak for all others of their stage, but for those that are named. */
const GROUPS = [
  ["AllAlpha", "ALPHA"],
  ["AllBeta", "BETA"],
] as const;

/** `--feature-gates`, and `featureGates` of configuration files. Gates of features that aren't here are known by nobody and change nothing. */
export function featureGates(words: Readonly<Record<string, string>>): ReadonlyMap<string, boolean> {
  return new Map(
    Object.entries(words).map(([name, text]) => {
      if (/^(1|t|true)$/i.test(text)) return [name, true];
      if (/^(0|f|false)$/i.test(text)) return [name, false];
      throw new CommandError(
        `invalid argument "${name}=${text}" for "--feature-gates" flag: invalid value of ${name}=${text}, err: strconv.ParseBool: parsing ${JSON.stringify(text)}: invalid syntax`,
      );
    }),
  );
}
