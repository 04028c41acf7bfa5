/** Conversions by webhook for code that works on several versions of an object and cannot wait itself. */
import type { JsonObject } from "../../machinery/patch/json-value.ts";
import { Unfinished } from "../../machinery/patch/apply/unfinished.ts";
import type { Resource } from "../../machinery/resource.ts";

type Convert = NonNullable<Resource["storage"]["convert"]>;
type Known = { readonly object: JsonObject } | { readonly error: unknown };

/** What one request has had converted. */
export class Conversions {
  readonly #known = new Map<string, Known>();

  /** The object in another version; `Unfinished` where that has to be asked first. */
  of(object: JsonObject, apiVersion: string, convert: Convert): JsonObject {
    if (object["apiVersion"] === apiVersion) return object;
    const key = `${apiVersion} ${JSON.stringify(object)}`;
    const known = this.#known.get(key);
    if (known === undefined) throw new Unfinished(() => this.#ask(key, object, apiVersion, convert));
    if ("error" in known) throw known.error;
    return known.object;
  }

  async #ask(key: string, object: JsonObject, apiVersion: string, convert: Convert): Promise<void> {
    try {
      const [converted] = await convert([object], apiVersion);
      this.#known.set(key, { object: converted });
    } catch (error) {
      this.#known.set(key, { error });
    }
  }
}
