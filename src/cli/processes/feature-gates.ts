import { CommandError } from "../command.ts";

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
