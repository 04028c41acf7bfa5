/**
 * Which validation rules have a row of ours: `node tools/validation-coverage.ts TABLE.tsv...` prints counts by kind and every rule without one;
 * `--summary FILE.md` writes the page for docs/reference. A table has a line for each rule of upstream: kind, operation, field path, condition,
 * error type, detail; `{shared:name}` stands for the rules of `shared/name`, and other braces for what varies.
 * The core group's table has a notation of its own: kinds without a group, `[*]` for any index, `{a,b}` for one of several fields,
 * `see shared:name`, and paths of shared rules that start where they are used.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { PROOFS } from "./validation-proofs.ts";
import { type PlacedRow, readValidationRows } from "../src/testing/validation-rows.ts";

interface Rule {
  readonly id: number;
  readonly kind: string;
  readonly operation: string;
  readonly path: string;
  readonly condition: string;
  readonly type: string;
  readonly detail: string;
  readonly note: string;
}

/** A rule down to the shared one that has its words. */
interface Leaf {
  readonly chain: readonly number[];
  readonly path: RegExp;
  readonly words: RegExp;
  /** Whether the words tell nothing but the type. */
  readonly blank: boolean;
}

const WORDS: Readonly<Record<string, string>> = {
  Required: "Required value",
  Invalid: "Invalid value",
  NotSupported: "Unsupported value",
  Duplicate: "Duplicate value",
  Forbidden: "Forbidden",
  TooLong: "Too long",
  TooMany: "Too many",
  TooFew: "Too few",
  TooShort: "Too short",
  NotFound: "Not found",
  InternalError: "Internal error",
  TypeInvalid: "Invalid value",
};

function readTable(file: string, from: number): Rule[] {
  const [, ...lines] = readFileSync(file, "utf8").trimEnd().split("\n");
  return lines.map((line, i) => {
    const [kind = "", operation = "", path = "", condition = "", type = "", detail = "", note = ""] = line.split("\t");
    const rule = { id: from + i, kind, operation, path, condition, type, detail, note };
    if (!kind.includes("/")) return fromCore(rule);
    return { ...rule, path: /\bpath is (\{path\}\.[\w.]+),/.exec(note)?.[1] ?? path };
  });
}

/** A rule of the core group's table in the others' notation. */
function fromCore(rule: Rule): Rule {
  const { detail } = rule;
  // The rules for names have their kind for a place.
  const [kind, at] = rule.kind === "ObjectMeta names" ? [rule.path, "metadata.name"] : [rule.kind, rule.path];
  const path = kind === INLINE ? `spec.source.inlineVolumeSpec.${at}` : at;
  const shared = /^shared:(.+)$/.exec(kind)?.[1];
  const words = detail
    .replace(/(^|\s)\|\s*$/, "")
    .replace(/^see (the shared rule named per kind|.* and the name rule of the kind)$/, "{name rule}")
    .trim();
  const reference = /^(?:see|same text as) shared:([\w-]+)/.exec(words)?.[1];
  return {
    ...rule,
    kind: shared === undefined ? (KINDS[kind] ?? `core/${kind}`) : `${CORE_SHARED}${shared}`,
    path: shared === undefined ? place(path) : relative(place(path)),
    detail: reference === undefined ? words : `{shared:core:${reference}}`,
  };
}

const CORE_SHARED = "shared/core:";
const CUSTOM_KIND = "customresource/*";
/** Some of its rules are those of another table, at the very places. */
const META_UPDATE = "shared/objectMetaUpdate";
const WHOLE = /^(<nil>|status)?$/;
/** Rules of all kinds, and of kinds that hold another's rules. */
const ANY_KIND = "any";
const KINDS: Readonly<Record<string, string>> = {
  ObjectMeta: ANY_KIND,
  "Event (events.k8s.io/v1 only)": "core/Event",
  "PersistentVolume (inline, VolumeAttachment.spec.source.inlineVolumeSpec)": "storage.k8s.io/VolumeAttachment",
};

/** Places that the table tells apart from those of the rules it refers to. */
const PLACES: Readonly<Record<string, string>> = {
  "spec.overhead.limits[{resource}]": "spec.overhead",
  "reportingComponent (v1) / reportingController (events.k8s.io)": "{reportingComponent,reportingController}",
};

/** A node's references to its configuration, of which there are four. */
const CONFIGURATIONS = /^\{spec\.configSource\.configMap, [^]*\.configMap\}\./;
/** Volumes of attachments, whose rules are said from where the volume starts. */
const INLINE = "PersistentVolume (inline, VolumeAttachment.spec.source.inlineVolumeSpec)";

const place = (path: string): string =>
  (PLACES[path] ?? path)
    .replace(/^\((path|value|any)\)$/, "{path}")
    .replace(/^\(empty path\)$/, "[]")
    .replace(CONFIGURATIONS, "{reference}.configMap.")
    .replaceAll("[*]", "[i]");

function relative(path: string): string {
  if (path.startsWith("{path}") || path === "[]") return path;
  return path.startsWith("[") ? `{path}${path}` : `{path}.${path}`;
}

const escape = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");

/** `spec.a[i].{field}`: letters in brackets are numbers, braces anything, or one of several words. */
function pathPattern(path: string): string {
  return escape(path)
    .replace(/\\\[[a-z]\\\]/g, "\\[\\d+\\]")
    .replace(/\\\{([^}]*)\\\}/g, (_, inner: string) => {
      if (/^\w+(,\w+)+$/.test(inner)) return `(?:${inner.replaceAll(",", "|")})`;
      return inner.includes(", ") ? `\\{${inner}\\}` : ".*?";
    });
}

function detailPattern(detail: string): string {
  const pattern = escape(detail.replace(/\{shared:[^}]*\}/g, "{}")).replace(/\\\{[^}]*\\\}/g, "[^]*");
  return pattern.replace("\\.\\.\\.", "[^]*");
}

function leavesOf(rule: Rule, shared: ReadonlyMap<string, readonly Rule[]>, at = rule.path, depth = 0): Leaf[] {
  if (isReference(rule) || rule.detail.startsWith("{core part:"))
    return [{ chain: [rule.id], path: new RegExp(`^${pathPattern(at)}`), words: /^/, blank: true }];
  const words = WORDS[rule.type];
  // What has no type is told without a place: by a handler, or as a warning.
  if (words === undefined)
    return rule.detail === ""
      ? []
      : [{ chain: [rule.id], path: /^$/, words: new RegExp(`^[^]*${detailPattern(rule.detail)}`), blank: false }];
  const own: Leaf = {
    chain: [rule.id],
    // What a custom object's schema says of the whole is told without a place.
    path: rule.kind === CUSTOM_KIND && at === "" ? WHOLE : new RegExp(at === "*" ? "^" : `^${pathPattern(at)}$`),
    words: new RegExp(`^${words}[^]*${rule.detail === "" ? "" : `${detailPattern(rule.detail)}`}`),
    blank: rule.detail === "",
  };
  const names = /^\{shared:[^}]+\}(?: and \{shared:[^}]+\})*$/.test(rule.detail)
    ? [...rule.detail.matchAll(/\{shared:([^}]+)\}/g)].map(([, name]) => name!)
    : [];
  const inner = names.flatMap((name) => (shared.get(name) ?? []).map((one) => ({ name, one })));
  if (inner.length === 0 || depth > 4) return names.length === 0 || depth <= 4 ? [own] : [];
  return inner.flatMap(({ name, one }) => {
    // A preference is one term of a selector.
    const place = at.endsWith(".preference")
      ? one.path.replace(".nodeSelectorTerms[i]", "")
      : at.endsWith(".requirements[i]")
        ? one.path.replace(/\.matchExpressions\[\w\]/, "")
        : one.path;
    const path =
      rule.kind === META_UPDATE
        ? one.path
        : place.includes("{path}")
          ? place.replace("{path}", at)
          : name === "objectMeta" || name === "objectMetaUpdate"
            ? one.path
            : at;
    return leavesOf(one, shared, path, depth + 1).map((leaf) => ({ ...leaf, chain: [rule.id, ...leaf.chain] }));
  });
}

/** `see ObjectMeta update rows`: the rules of other lines, at this place and below. */
const isReference = ({ detail }: Rule): boolean => /^see .*rows/.test(detail);

/** What a server answers to requests; each tells whose rules it breaks. */
const requestRows = (): readonly AskedRow[] =>
  ["requests.rows.jsonl", "requests-gated.rows.jsonl"].flatMap(requestRowsOf);

function requestRowsOf(file: string): readonly AskedRow[] {
  const lines = readFileSync(new URL(`../src/apiserver/${file}`, import.meta.url), "utf8");
  return lines
    .trimEnd()
    .split("\n")
    .flatMap((text, i) => {
      const { of: kinds, method, url, errors = [], message } = JSON.parse(text);
      if (kinds === undefined) return [];
      const op = method === "POST" ? "create" : url.endsWith("/status") ? "status" : "update";
      // Without causes a message may be that of an error all the same.
      const said = message === undefined ? [] : [`: ${message}`, message.replace(/^.* as requested: /, "")];
      return [
        { of: "", op, set: {}, kinds, errors: [...errors, ...said], group: "", file, line: i + 1, object: undefined },
      ];
    });
}

const SUBRESOURCES: readonly string[] = ["resize", "ephemeralcontainers", "finalize"];

function applies(rule: Rule, op: string): boolean {
  if (SUBRESOURCES.includes(rule.operation)) return op === rule.operation;
  if (rule.operation === "update") return op === "update";
  if (rule.operation === "status") return op !== "create" && op !== "update";
  return true;
}

/** Rows of objects of custom kinds. */
function customRows(): readonly PlacedRow[] {
  const lines = readFileSync(new URL("../src/apiserver/crd/objects.rows.jsonl", import.meta.url), "utf8");
  return lines
    .trimEnd()
    .split("\n")
    .flatMap((text, i) => {
      const {
        of,
        op,
        problem,
        warnings = [],
        errors = problem && [problem.replace("decode: ", "")],
      } = JSON.parse(text);
      return errors === undefined
        ? []
        : [
            {
              of,
              op,
              errors: [...errors, ...warnings.map((text: string) => `: ${text}`)],
              set: {},
              group: "customresource",
              file: "objects.rows.jsonl",
              line: i + 1,
              object: undefined,
            },
          ];
    });
}

interface AskedRow extends PlacedRow {
  /** The tables' kinds whose rules it breaks, where that is known. */
  readonly kinds?: readonly string[];
}

/** A row's warnings are of rules that have a table of their own. */
const withWarnings = (row: AskedRow): AskedRow =>
  row.warnings === undefined ? row : { ...row, errors: [...row.errors, ...row.warnings.map((text) => `: ${text}`)] };

function kindOf({ object, group: from }: PlacedRow): string {
  if (from === "customresource") return CUSTOM_KIND;
  const group = object.apiVersion.includes("/") ? object.apiVersion.split("/")[0] : "";
  return group === "" ? `core/${object.kind}` : `${group}/${object.kind}`;
}

/** Tags count only where they are enforced. */
const DECLARED: readonly string[] = ["shared/declarativeValidation"];
/** Of what all errors have in common, any error tells. */
const FORMAT = "shared/errorFormat";
const ENFORCED = /^(scheduling\.k8s\.io\/(PodGroup|Workload)|resource\.k8s\.io\/ResourcePoolStatusRequest)$/;

function coveredRules(rules: readonly Rule[], rows: readonly AskedRow[]): ReadonlySet<number> {
  const shared = new Map<string, Rule[]>();
  for (const rule of rules)
    if (rule.kind.startsWith("shared/")) {
      const name = rule.kind.slice("shared/".length);
      shared.set(name, [...(shared.get(name) ?? []), rule]);
    }
  const byKind = new Map<string, AskedRow[]>();
  for (const row of rows)
    for (const kind of row.kinds ?? [kindOf(row)]) byKind.set(kind, [...(byKind.get(kind) ?? []), row]);
  const covered = new Set<number>();
  for (const rule of rules) {
    // The words of some are others' too.
    if (reasonOf(rule) !== undefined) continue;
    const asked = rowsFor(rule, rows, byKind);
    if (asked.length === 0) continue;
    const isShared = rule.kind.startsWith("shared/");
    // A shared rule is seen wherever its words are; without words of its own, only where it is used, or where that is known.
    const isKnown =
      asked.every(({ kinds }) => kinds !== undefined) || rule.kind === FORMAT || DECLARED.includes(rule.kind);
    for (const leaf of leavesOf(rule, shared).filter(({ blank }) => !isShared || !blank || isKnown))
      for (const row of asked)
        for (const error of row.errors) {
          const end = Math.max(error.indexOf(": "), 0);
          if (!leaf.path.test(error.slice(0, end)) || !leaf.words.test(error.slice(end + 2))) continue;
          for (const id of leaf.chain) covered.add(id);
        }
  }
  return covered;
}

function rowsFor(
  rule: Rule,
  rows: readonly AskedRow[],
  byKind: ReadonlyMap<string, readonly AskedRow[]>,
): readonly AskedRow[] {
  if (DECLARED.includes(rule.kind)) return rows.filter((row) => row.kinds === undefined && ENFORCED.test(kindOf(row)));
  // Where requests are known to be for a shared rule, the same words elsewhere are another's.
  if (ONLY_ASKED.includes(rule.kind)) return (byKind.get(rule.kind) ?? []).filter((row) => applies(rule, row.op));
  if (rule.kind === ANY_KIND || rule.kind.startsWith("shared/")) return rows.filter((row) => applies(rule, row.op));
  // The rules of a definition's schema have tables of their own.
  const kind = byKind.has(rule.kind) ? rule.kind : rule.kind.replace(/ .*$/, "");
  const asked =
    kind === "core/Event"
      ? [...(byKind.get(kind) ?? []), ...(byKind.get("events.k8s.io/Event") ?? [])]
      : (byKind.get(kind) ?? byKind.get(`core/${rule.kind.replace(/^.*\//, "")}`) ?? []);
  return asked.filter((row) => applies(rule, row.op));
}

const ONLY_ASKED: readonly string[] = ["shared/fieldSelectorRequirement", "shared/requestOptions", "core/Options"];

interface Reason {
  readonly kind: string;
  readonly path: string;
  /** How the rule's condition begins. */
  readonly condition: string;
  readonly why: string;
  /** `file | how a test's name begins`: what shows it instead of a row. */
  readonly test: string;
}

/** Why each rule can have no row, and where upstream makes it so. */
function readReasons(): readonly Reason[] {
  const file = new URL("validation-reasons.tsv", import.meta.url);
  return readFileSync(file, "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => {
      const [kind = "", path = "", condition = "", why = "", test = ""] = line.split("\t");
      if (test !== "") assertTest(test);
      return { kind, path, condition, why, test };
    });
}

function assertTest(test: string): void {
  const [file = "", name = ""] = test.split(" | ");
  const text = readFileSync(new URL(`../${file}`, import.meta.url), "utf8");
  if (!text.includes(name)) throw new Error(`${file} has no test "${name}"`);
}

const REASONS = readReasons();

const reasonOf = (rule: Rule): Reason | undefined =>
  REASONS.find(
    ({ kind, path, condition }) => kind === rule.kind && path === rule.path && rule.condition.startsWith(condition),
  );

function excuseOf(rule: Rule): string | undefined {
  const known = reasonOf(rule);
  if (known !== undefined) return known.test === "" ? known.why : `${known.why}; shown by ${known.test}`;
  for (const [why, rules] of Object.entries(PROOFS))
    if (
      rules.some(
        ([kind, ...conditions]) => kind === rule.kind && conditions.some((one) => rule.condition.startsWith(one)),
      )
    )
      return why;
  return undefined;
}

function report(rules: readonly Rule[], covered: ReadonlySet<number>, rows: number): string {
  const lines: string[] = [];
  const without = rules.filter(({ id }) => !covered.has(id));
  lines.push(
    "# Validation rules and their tests",
    "",
    `Written by \`tools/validation-coverage.ts\`. ${rows} rows of \`src/api/*/validation*.rows.jsonl\`, \`src/apiserver/crd/objects.rows.jsonl\` and \`src/apiserver/requests.rows.jsonl\` give upstream's errors for a change of a valid object, or for a request; tests ask our hooks and our server for each. Of ${rules.length} rules ${covered.size} have a row.`,
    "",
    "| kind | rules | with a row | without | of these excused |",
    "|---|---|---|---|---|",
  );
  for (const [kind, all] of Map.groupBy(rules, (rule) => rule.kind)) {
    const missing = all.filter(({ id }) => !covered.has(id));
    const excused = missing.filter((rule) => excuseOf(rule) !== undefined).length;
    lines.push(`| ${kind} | ${all.length} | ${all.length - missing.length} | ${missing.length} | ${excused} |`);
  }
  lines.push("", "## Rules without a row, and why", "");
  for (const [kind, some] of Map.groupBy(
    without.filter((rule) => excuseOf(rule) !== undefined),
    (rule) => rule.kind,
  )) {
    lines.push(`### ${kind}`, "");
    for (const rule of some)
      lines.push(`- ${rule.operation} \`${rule.path}\`: ${rule.condition} (${rule.type}): **${excuseOf(rule)}**`);
    lines.push("");
  }
  lines.pop();
  lines.push("", "## Rules without a row that nothing excuses", "");
  for (const [kind, some] of Map.groupBy(
    without.filter((rule) => excuseOf(rule) === undefined),
    (rule) => rule.kind,
  )) {
    lines.push(`### ${kind}`, "");
    for (const { operation, path, condition, type } of some)
      lines.push(`- ${operation} \`${path}\`: ${condition} (${type})`);
    lines.push("");
  }
  return `${lines.join("\n").trimEnd()}\n`;
}

const args = process.argv.slice(2);
const summary = args.includes("--summary") ? args.splice(args.indexOf("--summary"), 2)[1] : undefined;
const tables = args.length > 0 ? args : (process.env["T8S_VALIDATION_TABLES"] ?? "").split(":").filter(Boolean);
if (tables.length === 0) {
  console.error("usage: validation-coverage.ts [--summary FILE.md] TABLE.tsv...");
  process.exit(2);
}
const rules: Rule[] = [];
for (const table of tables) rules.push(...readTable(table, rules.length));
const rows = [...readValidationRows().map(withWarnings), ...customRows(), ...requestRows()];
const text = report(rules, coveredRules(rules, rows), rows.length);
if (summary === undefined) process.stdout.write(text);
else writeFileSync(summary, text);
