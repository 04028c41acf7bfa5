/** The answers of `protocol-table.ts` as a page: methods a line for each endpoint, encodings a line for all endpoints that are alike. */
import { apiVersionOf } from "../machinery/resource.ts";
import type { EndpointRow, TableName } from "./protocol-table.ts";

const INTRODUCTION = `# Resources and the protocol

What the API server answers for every resource and subresource, asked with every method, patch type and encoding. A test asks and writes this page
(\`UPDATE=1\`), and compares it afterwards. Each number is the code of an answer; changes are made as a dry run, by an administrator, on a valid object.
All groups and versions are switched on, and so is the feature gate \`CBORServingAndStorage\`: without it CBOR is 406 and 415.`;

const SECTIONS: readonly (readonly [TableName, string, string])[] = [
  ["read", "Read as", "`Accept` of a GET of one object."],
  ["listed", "Listed as", "`Accept` of a GET of all."],
  ["watched", "Watched as", "`Accept` of a watch."],
  ["patched", "Patched with", "`Content-Type` of a PATCH."],
  ["created", "Created from", "`Content-Type` of a POST."],
  ["updated", "Updated from", "`Content-Type` of a PUT."],
  ["deleted", "Deleted with", "`Content-Type` of the options of a DELETE."],
];

export function protocolPage(rows: readonly EndpointRow[]): string {
  const parts = [INTRODUCTION, "## Methods", methods(rows)];
  for (const [table, title, words] of SECTIONS) parts.push(`## ${title}`, words, alike(rows, table));
  return `${parts.join("\n\n")}\n`;
}

function methods(rows: readonly EndpointRow[]): string {
  const columns = Object.keys(rows[0]!.tables.methods);
  return table(
    ["group and version", "resource", ...columns],
    rows.map((row) => [
      apiVersionOf(row.resource),
      nameOf(row),
      ...columns.map((column) => String(row.tables.methods[column]?.status ?? "")),
    ]),
  );
}

/** One line for each way to answer. */
function alike(rows: readonly EndpointRow[], name: TableName): string {
  const groups = new Map<string, EndpointRow[]>();
  for (const row of rows) {
    const cells = Object.values(row.tables[name]).map(({ status }) => status);
    if (cells.length === 0) continue;
    const key = cells.join(" ");
    groups.set(key, [...(groups.get(key) ?? []), row]);
  }
  const columns = Object.keys(rows.find((row) => Object.keys(row.tables[name]).length > 0)!.tables[name]);
  const most = [...groups].sort(([, a], [, b]) => b.length - a.length);
  return table(
    [...columns, "resources"],
    most.map(([key, members]) => [...key.split(" "), byVersion(members)]),
  );
}

function byVersion(rows: readonly EndpointRow[]): string {
  const versions = new Map<string, string[]>();
  for (const row of rows) {
    const version = apiVersionOf(row.resource);
    versions.set(version, [...(versions.get(version) ?? []), nameOf(row)]);
  }
  return [...versions].map(([version, names]) => `**${version}** ${names.join(", ")}`).join("; ");
}

const nameOf = ({ resource, subresource }: EndpointRow): string =>
  subresource === "" ? resource.plural : `${resource.plural}/${subresource}`;

function table(head: readonly string[], lines: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...lines.map(line)].join("\n");
}
