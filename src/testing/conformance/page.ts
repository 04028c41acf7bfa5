/** What is known of upstream's conformance tests, as a page: read back before a run, so that a run of a part leaves what others found. */
export interface Outcome {
  readonly result: "pass" | "fail" | "not run";
  readonly runtime: string;
  readonly why: string;
}

/** By a test's full name. */
export type Outcomes = ReadonlyMap<string, Outcome>;

/** What a report of ginkgo's says of a test, as far as it is read here. */
export interface Spec {
  readonly ContainerHierarchyTexts: readonly string[] | null;
  readonly LeafNodeType: string;
  readonly LeafNodeText: string;
  readonly State: string;
  readonly Failure?: { readonly Message?: string };
}

/** What is known of those that don't pass, by their names. */
const REASONS: readonly (readonly [RegExp, string])[] = [
  [/InPlace Resize/, "running containers are not given other resources in place"],
  [/ImageVolume/, "the image would have to come from a registry"],
];

/** The conformance tests of a report: those it ran with what came of them, the others as not run. */
export function outcomesOf(specs: readonly Spec[], runtime: string): Outcomes {
  const found = new Map<string, Outcome>();
  for (const spec of specs) {
    if (spec.LeafNodeType !== "It" || !spec.LeafNodeText.includes("[Conformance]")) continue;
    const name = [...(spec.ContainerHierarchyTexts ?? []), spec.LeafNodeText].join(" ");
    const noted = REASONS.find(([pattern]) => pattern.test(name))?.[1];
    if (spec.State === "passed") found.set(name, { result: "pass", runtime, why: "" });
    else if (spec.State === "skipped" && spec.Failure?.Message === undefined)
      found.set(name, { result: "not run", runtime: "", why: noted ?? "no run has come to it yet" });
    else if (["skipped", "interrupted", "pending", "aborted"].includes(spec.State) || isCutShort(spec))
      found.set(name, { result: "not run", runtime: "", why: noted ?? "the run's time was over" });
    else found.set(name, { result: "fail", runtime, why: noted ?? firstLine(spec.Failure?.Message) });
  }
  return found;
}

const isCutShort = ({ State, Failure }: Spec) => State === "timedout" && /suite timeout/i.test(Failure?.Message ?? "");

const firstLine = (text = "") =>
  text.split("\n").find((line) => line.trim() !== "")?.trim().replaceAll("|", "\\|").slice(0, 200) ?? ""; // prettier-ignore

/** What the page said and what is new: a test that was not run now keeps what was found before. */
export function merged(before: Outcomes, now: Outcomes): Outcomes {
  const all = new Map<string, Outcome>();
  for (const [name, outcome] of now) {
    const old = before.get(name);
    all.set(name, outcome.result === "not run" && old !== undefined && old.result !== "not run" ? old : outcome);
  }
  return all;
}

const ROW = /^\| (?<name>.+?) \| (?<result>pass|fail|not run) \| (?<runtime>.*?) ?\| (?<why>.*?) ?\|$/;

export function readPage(text: string): Outcomes {
  const found = new Map<string, Outcome>();
  let sig = "";
  for (const line of text.split("\n")) {
    if (line.startsWith("## sig-")) sig = line.slice(3);
    const row = ROW.exec(line)?.groups;
    if (row !== undefined && sig !== "")
      found.set(`[${sig}] ${row["name"]}`, {
        result: row["result"] as Outcome["result"],
        runtime: row["runtime"]!,
        why: row["why"]!,
      });
  }
  return found;
}

const count = (outcomes: Iterable<Outcome>, result: Outcome["result"]) =>
  [...outcomes].filter((outcome) => outcome.result === result).length;

const bySig = (outcomes: Outcomes): ReadonlyMap<string, readonly (readonly [string, Outcome])[]> =>
  Map.groupBy(
    [...outcomes].toSorted(([a], [b]) => (a < b ? -1 : 1)),
    ([name]) => /^\[(sig-[\w-]+)\]/.exec(name)![1]!,
  );

/** A table of how many: for the page and the terminal. */
export function counts(outcomes: Outcomes): readonly (readonly string[])[] {
  const line = (title: string, of: readonly Outcome[]) => [
    title,
    ...(["pass", "fail", "not run"] as const).map((result) => String(count(of, result))),
    String(of.length),
  ];
  return [
    ["", "pass", "fail", "not run", "all"],
    ...[...bySig(outcomes)].map(([sig, tests]) => line(sig, tests.map(([, outcome]) => outcome))), // prettier-ignore
    line("together", [...outcomes.values()]),
  ];
}

const row = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;

export function pageOf(outcomes: Outcomes): string {
  const [head, ...lines] = counts(outcomes);
  const sections = [...bySig(outcomes)].map(
    ([sig, tests]) =>
      `## ${sig}\n\n| Test | Result | Runtime | Why |\n| --- | --- | --- | --- |\n${tests
        .map(([name, { result, runtime, why }]) => row([name.slice(sig.length + 3), result, runtime, why]))
        .join("\n")}\n`,
  );
  return `# Conformance

Upstream's end-to-end tests of version 1.36.2 that bear \`[Conformance]\`, run as they are against \`t8s up\`. Written by \`npm run conformance\`, which builds them from upstream's modules; a run of some (\`npm run conformance -- 'sig-auth' 'Job'\`) brings those rows up to date.

With the containerd runtime there are two nodes of one machine, each with a network of its own. Images come from no registry. agnhost, the sample API server and etcd are upstream's programs built from upstream's sources, on busybox, with the machine's bash, curl, dig and nc. \`nginx\` is busybox's web server under that name; \`pause\`, \`nautilus\` and \`kitten\` are agnhost's.

${row(head!)}
${row(head!.map((_, index) => (index === 0 ? "---" : "---:")))}
${lines.map(row).join("\n")}

${sections.join("\n")}`;
}
