/** Regenerates everything under `src/api/generated`, the list of operations and `src/protocols/*‍/generated.ts` from a folder of fact tables: `npm run generate -- FOLDER`. */
import { writeApi } from "./generate/api.ts";
import { writeBootstrap } from "./generate/bootstrap.ts";
import { writeProtocols } from "./generate/protocols.ts";
import { writeOperations, writeResources } from "./generate/resources.ts";

const facts = process.argv[2];
if (facts === undefined) {
  console.error("usage: npm run generate -- FOLDER_WITH_FACT_TABLES");
  process.exit(2);
}
writeProtocols(facts);
writeApi(facts);
writeResources(facts);
writeOperations(facts);
writeBootstrap(facts);
