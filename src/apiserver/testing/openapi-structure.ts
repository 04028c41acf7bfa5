/** What an OpenAPI document says beside its prose, as a short hash: two servers that agree on everything but words have the same. */
import { createHash } from "node:crypto";

export function structureOf(document: any): string {
  const shared = document.parameters;
  const walk = (value: any, within = ""): any => {
    if (Array.isArray(value)) return value.map((item) => walk(item));
    if (typeof value !== "object" || value === null) return value;
    if (typeof value.$ref === "string" && value.$ref.startsWith(PARAMETERS))
      return walk(shared[value.$ref.slice(PARAMETERS.length)]);
    return Object.fromEntries(
      Object.entries(value)
        .filter(([key, inner]) => within === "properties" || key !== "description" || typeof inner !== "string")
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([key, inner]) => [key, walk(inner, key)]),
    );
  };
  const { parameters: _, ...rest } = document;
  return createHash("sha256")
    .update(JSON.stringify(walk(rest)))
    .digest("hex")
    .slice(0, 16);
}
const PARAMETERS = "#/parameters/";
