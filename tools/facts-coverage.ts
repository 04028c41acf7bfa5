/**
 * Which rows of the tables of strategies, columns, RBAC, flow control and admission hold here: `node tools/facts-coverage.ts [--summary FILE.md] FOLDER`
 * compares each with our registries, and prints every row that differs, or that nothing checks.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { isDeepStrictEqual } from "node:util";
import { builtinResources } from "../src/api/index.ts";
import policy from "../src/apiserver/authz/bootstrap-policy.json" with { type: "json" };
import flows from "../src/apiserver/bootstrap/flow-control.json" with { type: "json" };
import type { Resource } from "../src/machinery/resource.ts";
import { apiVersionOf } from "../src/machinery/resource.ts";
import { readBases, readStrategyRows } from "../src/testing/prepared-rows.ts";

/** Where the tables are wrong, or speak of what isn't stored: what upstream's own server was seen to do, or where the row is shown. */
const KNOWN: Readonly<Record<string, string>> = {
  "<crd plural>.<crd group>": "custom kinds: `src/apiserver/crd/objects.test.ts`",
  "carps.testapigroup.apimachinery.k8s.io": "a kind of upstream's own tests, which no server has",
  Event: "upstream's server describes Subobject by fieldPath of ObjectReference, as ours does",
  "LeaseCandidate.coordination.k8s.io": "upstream's server describes the two versions by nothing",
  "RuntimeClass.node.k8s.io": "upstream's server describes the handler by nothing",
  "CSIStorageCapacity.storage.k8s.io": "upstream's server shows a name and the time of creation alone",
  Status: "not stored: told with every error",
  "Scale.autoscaling":
    "not stored: the scale subresource has these columns (`src/apiserver/registry/specials/scale.ts`)",
  "hook max-in-flight-filter": "only where priority and fairness is off",
  "hook start-encryption-provider-config-automatic-reload": "only where encryption is configured to be reloaded",
  "hook mixed-version-proxy-handler": "only with the alpha gate UnknownVersionInteroperabilityProxy",
  "hook local-discovery-cache-sync": "only with the alpha gate UnknownVersionInteroperabilityProxy",
  "hook peer-discovery-workers": "only with the alpha gate UnknownVersionInteroperabilityProxy",
  "hook start-kube-apiserver-coordinated-leader-election-controller":
    "only with the beta gate CoordinatedLeaderElection",
  "hook aggregator-reload-proxy-client-cert": "only with a client certificate for the proxy",
  "hook built-in-resources-storage-version-updater": "only with the alpha gate StorageVersionAPI",
  "hook apiservice-wait-for-first-sync": "upstream's server has no such check",
};

interface Row {
  readonly name: string;
  /** What isn't as the table says; undefined where all is. */
  readonly differs?: string;
}

const args = process.argv.slice(2);
const summary = args.includes("--summary") ? args.splice(args.indexOf("--summary"), 2)[1] : undefined;
const [folder] = args;
if (folder === undefined) {
  console.error("usage: facts-coverage.ts [--summary FILE.md] FOLDER");
  process.exit(2);
}
const facts = (name: string): any => JSON.parse(readFileSync(`${folder}/${name}.json`, "utf8"));

const row = (name: string, differences: readonly (string | false)[]): Row => {
  const all = differences.filter((one) => one !== false);
  return { name, ...(all.length > 0 && { differs: all.join("; ") }) };
};
const unless = (what: string, upstream: unknown, ours: unknown): string | false =>
  upstream !== undefined &&
  !isDeepStrictEqual(upstream, ours) &&
  `${what}: ${JSON.stringify(upstream)}, here ${JSON.stringify(ours)}`;

const served = (group: string, kind: string): readonly Resource[] =>
  builtinResources.filter((one) => one.group === group && one.kind === kind);

function strategies(): readonly Row[] {
  const bases = readBases();
  const withRows = new Set(
    readStrategyRows().map(({ group, of }) => {
      const { apiVersion, kind } = bases.get(`${group}/${of}`);
      return `${apiVersion} ${kind}`;
    }),
  );
  return facts("strategies").resources.map((one: any) => {
    const found = builtinResources.filter(({ group, plural }) => group === one.group && plural === one.plural);
    const name = one.group === "" ? one.plural : `${one.plural}.${one.group}`;
    const [first] = found;
    if (first === undefined) return { name, differs: "not served" };
    return row(name, [
      unless("kind", one.kind, first.kind),
      unless("namespaced", one.namespaced, first.scope === "Namespaced"),
      unless("singular", one.singular, first.singular),
      unless("short names", one.shortNames, first.shortNames),
      unless("categories", one.categories, first.categories),
      typeof one.allowCreateOnUpdate === "boolean" &&
        unless("creates on update", one.allowCreateOnUpdate, first.createOnUpdate),
      typeof one.allowUnconditionalUpdate === "boolean" &&
        unless("updates unconditionally", one.allowUnconditionalUpdate, first.unconditionalUpdate),
      ...one.versions
        .filter((version: string) => !found.some((each) => each.version === version))
        .map((version: string) => `${version} is not served`),
      ...(one.subresources ?? [])
        .filter((each: string) => /^[a-z]+$/.test(each) && !(each in first.subresources))
        .map((each: string) => `no subresource ${each}`),
      ...found
        .filter((each) => each.storage.virtual !== true && !withRows.has(`${apiVersionOf(each)} ${each.kind}`))
        .map((each) => `${each.version} has no strategy row`),
    ]);
  });
}

function columns(): readonly Row[] {
  return facts("columns").kinds.map((one: any) => {
    const name = one.group ? `${one.kind}.${one.group}` : one.kind;
    const found = served(one.group, one.kind);
    if (found.length === 0) return { name, differs: "not served" };
    return row(
      name,
      found.flatMap((resource) => {
        const ours = resource.columns.filter(({ isUntold }) => isUntold !== true);
        const shown = (list: readonly any[]) =>
          list.map(({ name: head, type, format = "", priority = 0 }) => `${head}:${type}:${format}:${priority}`);
        return [
          unless(`${resource.version} columns`, shown(one.columns), shown(ours)),
          ...one.columns.flatMap(({ name: head, description, descriptionFrom }: any, i: number) => {
            const own = ours[i]?.description;
            if (description !== undefined)
              return [unless(`${resource.version} ${head} is about`, description, own ?? "")];
            if (descriptionFrom === undefined) return [];
            // The words of the field themselves are as good as its name.
            if (typeof own === "string" && own !== "") return [];
            const field = typeof own === "object" ? own.field : own;
            return [unless(`${resource.version} ${head} is described by`, descriptionFrom.split(".").at(-1), field)];
          }),
        ];
      }),
    );
  });
}

/** Without what says nothing. */
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value), (_, one: unknown) => one ?? undefined);

function objects(upstream: readonly any[], ours: readonly any[]): readonly Row[] {
  return upstream.map((object) => {
    const { name, namespace } = object.metadata;
    const found = ours.find((one) => one.metadata.name === name && one.metadata.namespace === namespace);
    const id = `${object.kind} ${namespace === undefined ? "" : `${namespace}/`}${name}`;
    const { apiVersion: _, ...expected } = object;
    const { apiVersion: __, ...actual } = found ?? {};
    return row(id, [
      found === undefined ? "missing" : unless("differs", plain(expected), plain({ ...actual, kind: object.kind })),
    ]);
  });
}

function rbac(): readonly Row[] {
  const table = facts("rbac");
  return [
    ...objects([...table.clusterRoles, ...table.controllerClusterRoles], policy.clusterRoles),
    ...objects([...table.clusterRoleBindings, ...table.controllerClusterRoleBindings], policy.clusterRoleBindings),
    ...objects(table.namespaceRoles, policy.roles),
    ...objects(table.namespaceRoleBindings, policy.roleBindings),
  ];
}

function flowControl(): readonly Row[] {
  const { mandatory, suggested } = facts("apf");
  return (["priorityLevelConfigurations", "flowSchemas"] as const).flatMap((list) =>
    objects([...mandatory[list], ...suggested[list]], flows[list]),
  );
}

function admission(): readonly Row[] {
  const { plugins, postStartHooks } = facts("admission");
  const page = readFileSync(new URL("../docs/reference/admission.md", import.meta.url), "utf8");
  const hooks = readFileSync(new URL("../src/apiserver/handlers/non-resource.test.ts", import.meta.url), "utf8");
  return [
    ...plugins.map(({ name, order, enabledByDefault }: any) => {
      const [, at, on] = new RegExp(`^\\| (\\d+) \\| ${name} \\| (on)? *\\|`, "m").exec(page) ?? [];
      return row(`plugin ${name}`, [
        at === undefined
          ? "has no decisions"
          : unless("order", order, Number(at)) || unless("on by default", enabledByDefault, on === "on"),
      ]);
    }),
    ...postStartHooks.map(({ name }: any) =>
      row(`hook ${name}`, [!hooks.includes(`poststarthook/${name}`) && "in no test of the health pages"]),
    ),
  ];
}

const TABLES: readonly (readonly [title: string, proof: string, rows: () => readonly Row[]])[] = [
  ["Strategies", "`src/api/prepared-rows.test.ts` asks for what each keeps, drops and sets", strategies],
  ["Columns", "`src/api/columns.test.ts` and `src/apiserver/table.test.ts`", columns],
  ["RBAC", "`src/apiserver/authz/bootstrap-policy.test.ts`", rbac],
  ["Flow control", "`src/apiserver/bootstrap/flow-control.json` is what a server writes", flowControl],
  [
    "Admission",
    "`src/apiserver/admission/decisions.test.ts`, `src/apiserver/handlers/non-resource.test.ts`",
    admission,
  ],
];

const lines = [
  "# Tables of facts and what holds of them",
  "",
  "Written by `tools/facts-coverage.ts`, which compares each row of upstream's tables with our registries. Where upstream's server has been seen to differ from a table, it is right.",
  "",
  "| table | rows | hold | explained | differ | proof |",
  "|---|---|---|---|---|---|",
];
const details: string[] = [];
for (const [title, proof, read] of TABLES) {
  const rows = read();
  const wrong = rows.filter(({ differs }) => differs !== undefined);
  const open = wrong.filter(({ name }) => KNOWN[name] === undefined).length;
  lines.push(
    `| ${title} | ${rows.length} | ${rows.length - wrong.length} | ${wrong.length - open} | ${open} | ${proof} |`,
  );
  details.push("", `## ${title}: rows that differ, or that nothing shows`, "");
  const told = ({ name, differs }: Row) => `- ${name}: ${differs}${KNOWN[name] ? ` (${KNOWN[name]})` : ""}`;
  details.push(...(wrong.length === 0 ? ["None."] : wrong.map(told)));
}
const text = `${[...lines, ...details].join("\n")}\n`;
if (summary === undefined) process.stdout.write(text);
else writeFileSync(summary, text);
