/**
 * Writes what `kubectl explain` tells about built-in types, read from the comments of the dev dependency `@kubernetes/client-node`:
 * `sh tools/node.sh tools/generate/descriptions.ts build/descriptions.json`. The result is built, never committed.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { allSchemas } from "../../src/api/schemas.ts";

const MODELS = "node_modules/@kubernetes/client-node/dist/gen/models";

/** By type's name in OpenAPI: its own words under the empty name, its fields' under theirs. */
type Descriptions = Record<string, Record<string, string>>;

export function readDescriptions(folder: string = MODELS): Descriptions {
  const byClass = new Map<string, string[]>();
  for (const name of allSchemas().keys()) {
    const [group, version, type] = name.split(".").slice(-3) as [string, string, string];
    for (const spelt of [`${version}${type}`, `${group}${version}${type}`]) {
      const key = spelt.toLowerCase();
      byClass.set(key, [...(byClass.get(key) ?? []), name]);
    }
  }
  const descriptions: Descriptions = {};
  for (const file of readdirSync(folder).filter((name) => /V\d.*\.d\.ts$/.test(name))) {
    const names = byClass.get(file.slice(0, -".d.ts".length).toLowerCase());
    if (names?.length !== 1) continue;
    const text = readFileSync(`${folder}/${file}`, "utf8");
    const found: Record<string, string> = {};
    const comment = /\/\*\*((?:(?!\*\/)[^])*)\*\/\s*(?:export declare class \w+|'([^']+)'\??:)/g;
    for (const [, words, field] of text.matchAll(comment)) {
      const prose = words!
        .split("\n")
        .map((line) =>
          line
            .replace(/^\s*\* ?/, "")
            .trimEnd()
            .replaceAll('\\"', '"')
            .replaceAll("\\'", "'")
            // The client writes each end of a line as a space.
            .replaceAll("  ", "\n\n"),
        )
        .join("\n")
        .trim();
      if (prose !== "") found[fieldName(field)] = prose;
    }
    descriptions[names[0]!] = found;
  }
  return descriptions;
}

/** The client's names of fields that aren't names in TypeScript. */
function fieldName(spelt: string | undefined): string {
  if (spelt === undefined) return "";
  if (spelt.startsWith("x_kubernetes_")) return spelt.replaceAll("_", "-");
  return spelt.replace(/^_/, "");
}

if (process.argv[1]?.endsWith("descriptions.ts")) {
  const out = process.argv[2] ?? "build/descriptions.json";
  mkdirSync(dirname(out), { recursive: true });
  const descriptions = readDescriptions();
  writeFileSync(out, JSON.stringify(descriptions));
  console.log(`${out}: ${Object.keys(descriptions).length} types`);
}
