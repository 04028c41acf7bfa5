/** The table of decisions: each row asks its plugin, and all of them are the page `docs/reference/admission.md`. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { goldenFile } from "../../testing/golden.ts";
import { simulatedWorld } from "../../testing/sim/world.ts";
import { contains, decide } from "../testing/decide.ts";
import { DECISIONS } from "../testing/decisions/index.ts";
import { plugins } from "./plugins/index.ts";

for (const row of DECISIONS)
  test(`${row.plugin}: ${row.when}: ${row.says ?? "yes"}`, async () => {
    const { says, object, warns, makes } = await decide(row, simulatedWorld(1));
    assert.equal(says, row.says);
    if (row.becomes !== undefined)
      assert.ok(contains(object, row.becomes), `it became ${JSON.stringify(object, undefined, 1)}`);
    assert.deepEqual(warns, row.warns ?? []);
    assert.deepEqual(makes, row.makes ?? []);
  });

test("plugins run in upstream's order, and those are on that upstream has on", () => {
  const off = plugins.filter(({ onByDefault }) => !onByDefault).map(({ name }) => name);
  assert.equal(plugins.length, 41);
  assert.deepEqual(off, [
    "AlwaysAdmit",
    "NamespaceAutoProvision",
    "NamespaceExists",
    "LimitPodHardAntiAffinityTopology",
    "NodeRestriction",
    "AlwaysPullImages",
    "ImagePolicyWebhook",
    "PodNodeSelector",
    "PodTolerationRestriction",
    "EventRateLimit",
    "ExtendedResourceToleration",
    "OwnerReferencesPermissionEnforcement",
    "DenyServiceExternalIPs",
    "AlwaysDeny",
  ]);
});

test("docs/reference/admission.md is up to date", () => {
  const cell = (text: string) => text.replaceAll("|", "\\|").replaceAll("\n", " ");
  const rowsOf = (name: string) => DECISIONS.filter(({ plugin }) => plugin === name);
  const list = plugins.map(
    ({ name, onByDefault, handles }, i) =>
      `| ${i + 1} | ${name} | ${onByDefault ? "on" : ""} | ${handles.operations.join(", ")} | ${handles.resources?.join(", ") ?? "all"} | ${rowsOf(name).length} |`,
  );
  const decisions = DECISIONS.map(
    ({ plugin, when, says, becomes, warns, makes }) =>
      `| ${plugin} | ${cell(when)} | ${cell(says ?? (warns !== undefined ? `warns: ${warns.join("; ")}` : makes !== undefined ? `namespaces made: ${makes.join(", ") || "none"}` : becomes !== undefined ? "changes the object" : "lets it through"))} |`,
  );
  const text = `# Admission plugins and what they decide

Written by \`src/apiserver/admission/decisions.test.ts\` from the registry of plugins and the table of decisions, each row of which is a test. Webhooks and
policies decide what their owners say: their tests are \`test/integration/webhooks.test.ts\` and \`admission-policies.test.ts\`. All mutating halves run first
in this order, then all validating ones.

| | plugin | by default | operations | resources | decisions |
|---|---|---|---|---|---|
${list.join("\n")}

## Decisions

A refusal is a 403 with these words after \`is forbidden:\` unless another code stands before them.

| plugin | when | answer |
|---|---|---|
${decisions.join("\n")}
`;
  goldenFile(fileURLToPath(new URL("../../../docs/reference/admission.md", import.meta.url)), text);
});
