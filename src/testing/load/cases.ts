/** What an API server is put under, each case by its name. Sizes are arguments: `npm run load` takes them in full, the tests in small. */
import type { LoadCase, Sizes } from "./case.ts";
import { customObjects } from "./custom-objects.ts";
import { deafClients } from "./deaf-clients.ts";
import { largeNamespace } from "./large-namespace.ts";
import { listers } from "./listers.ts";
import { kubeletWatchers, watchersOfAll } from "./watchers.ts";

export const FULL: Sizes = {
  watchers: 1000,
  writesPerSecond: 500,
  seconds: 20,
  listers: 100,
  pods: 10_000,
  customObjects: 10_000,
  objects: 1_000_000,
};

export const CASES: readonly LoadCase[] = [
  kubeletWatchers,
  watchersOfAll,
  listers,
  customObjects,
  deafClients,
  largeNamespace,
];
