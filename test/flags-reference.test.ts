/** The pages in `docs/reference/flags` say what the flag tables say; `npm run update` writes them anew. */
import { test } from "node:test";
import { join } from "node:path";
import { goldenFile } from "../src/testing/golden.ts";
import { FLAGS_FOLDER, flagPages } from "../tools/generate/flags.ts";

for (const [name, text] of await flagPages())
  test(`docs/reference/flags/${name} is up to date`, () => goldenFile(join(FLAGS_FOLDER, name), text));
