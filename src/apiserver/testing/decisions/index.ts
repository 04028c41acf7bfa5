/** What each admission plugin decides: one row for each decision, with upstream's words. The reference page is made from it. */
import { assert } from "../../../base/assert.ts";
import { plugins } from "../../admission/plugins/index.ts";
import type { Decision } from "../decide.ts";
import { certificateDecisions } from "./certificates.ts";
import { limitDecisions } from "./limits.ts";
import { namespaceDecisions } from "./namespaces.ts";
import { nodeDecisions } from "./nodes.ts";
import { otherDecisions } from "./others.ts";
import { podDecisions } from "./pods.ts";
import { securityDecisions } from "./security.ts";
import type { DecisionTable } from "./table.ts";

const TABLE: DecisionTable = {
  ...namespaceDecisions,
  ...podDecisions,
  ...nodeDecisions,
  ...limitDecisions,
  ...securityDecisions,
  ...certificateDecisions,
  ...otherDecisions,
};

const unknown = Object.keys(TABLE).filter((name) => plugins.every((plugin) => plugin.name !== name));
assert(unknown.length === 0, `no plugin has the name ${unknown.join(", ")}`);

/** In the order in which the plugins run. */
export const DECISIONS: readonly Decision[] = plugins.flatMap(({ name }) =>
  (TABLE[name] ?? []).map((row) => ({ plugin: name, ...row })),
);
