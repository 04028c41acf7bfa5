/**
 * Parameters that many operations take are said once in a document of v2 and referred to by name.
 * Upstream: kube-openapi/pkg/builder/parameters.go
 */
import { createHash } from "node:crypto";
import type { Json } from "./schemas.ts";

type Item = Readonly<Record<string, unknown>>;

/** Collects what is shared, while one path after the other is rewritten. */
export class SharedParameters {
  readonly #names = new Map<string, string>();
  readonly #found = new Map<string, Json>();

  /** A path's operations, with references in place of the parameters that aren't their own. */
  rewrite(item: Item): Item {
    const list = (of: unknown) => (of as readonly Json[]).map((parameter) => this.#shared(parameter));
    return Object.fromEntries(
      Object.entries(item).map(([key, value]) => {
        if (key === "parameters") return [key, list(value)];
        const operation = value as Item;
        if (operation["parameters"] === undefined) return [key, operation];
        return [key, { ...operation, parameters: list(operation["parameters"]) }];
      }),
    );
  }

  /** All of them, by name. */
  sorted(): Json {
    return Object.fromEntries([...this.#found].sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  #shared(parameter: Json): Json {
    if (isOwn(parameter)) return parameter;
    const text = JSON.stringify(parameter);
    let name = this.#names.get(text);
    if (name === undefined) {
      name = `${parameter["name"] as string}-${createHash("sha256").update(text).digest("base64url").slice(0, 8)}`;
      this.#names.set(text, name);
      this.#found.set(name, parameter);
    }
    return { $ref: `#/parameters/${name}` };
  }
}

/** What speaks of the kind; and two by which old versions of kubectl learn what a server can do. */
function isOwn({ name, in: place, schema }: Json): boolean {
  if (place !== "body") return name === "name" || name === "fieldValidation" || name === "dryRun";
  return !String((schema as Json)["$ref"]).startsWith("#/definitions/io.k8s.apimachinery");
}
