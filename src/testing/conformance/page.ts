/** What is known of upstream's conformance tests, as a page: read back before a run, so that a run of a part leaves what others found. */
export interface Outcome {
  readonly result: "pass" | "fail" | "not run";
  readonly runtime: string;
  /** When the run began that it is from; empty where nobody wrote it down. */
  readonly run: string;
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

const NOBODY = "no run has come to it yet";

/** What is known of those that don't pass, by their names. */
const REASONS: readonly (readonly [RegExp, string])[] = [
  [/InPlace Resize/, "running containers are not given other resources in place"],
  [/ImageVolume/, "volumes of images are not mounted"],
  [
    /built-in object/,
    "kubectl explain takes short names from an old cache: https://github.com/kubernetes/kubernetes/issues/65517",
  ],
];
/** What a test says that leaves itself out, in words that fit a table. */
const LEFT_OUT: readonly (readonly [RegExp, string])[] = [
  [/No default storage class/, "there is no default storage class"],
  [/expected SelfSubjectReview API/, "the version is not served"],
  [/is on localhost/, "the server is on localhost"],
];

const isConformance = (name: string) => name.includes("[Conformance]");

/** Tests beyond conformance that are about what is in every cluster: no features that are off, no machines that a test could restart, no images of others. */
export const BEYOND = {
  focus: "\\[sig-(api-machinery|auth|cli|instrumentation|apps|scheduling|architecture)\\]",
  skip: [
    "\\[Conformance\\]",
    "\\[Disruptive\\]",
    "OffByDefault",
    "Feature:(StatefulUpgrade|StatefulSet|BoundServiceAccount|StorageVersionAPI|CoordinatedLeader|APIServerIdentity)",
    "private image",
    "cloud load-balancer",
    "Multi-AZ",
  ].join("|"),
} as const;
const isBeyond = (name: string) => new RegExp(BEYOND.focus).test(name) && !new RegExp(BEYOND.skip).test(name);

/** The tests of a report that the page is about: those it ran with what came of them, the others as not run. */
export function outcomesOf(specs: readonly Spec[], runtime: string, run: string): Outcomes {
  const found = new Map<string, Outcome>();
  for (const spec of specs) {
    const name = [...(spec.ContainerHierarchyTexts ?? []), spec.LeafNodeText].join(" ");
    if (spec.LeafNodeType !== "It" || !(isConformance(name) || isBeyond(name))) continue;
    const noted = REASONS.find(([pattern]) => pattern.test(name))?.[1];
    const message = spec.Failure?.Message;
    const notRun = (why: string): Outcome => ({ result: "not run", runtime: "", run: "", why: noted ?? why });
    if (spec.State === "passed") found.set(name, { result: "pass", runtime, run, why: "" });
    else if (spec.State === "skipped" && (message ?? "") === "") found.set(name, notRun(NOBODY));
    else if (spec.State === "skipped" && !/timeout|interrupt/i.test(message!))
      found.set(name, notRun(LEFT_OUT.find(([pattern]) => pattern.test(message!))?.[1] ?? firstLine(message)));
    else if (["skipped", "interrupted", "pending", "aborted"].includes(spec.State) || isCutShort(spec))
      found.set(name, notRun("the run's time was over"));
    else found.set(name, { result: "fail", runtime, run, why: noted ?? firstLine(message) });
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
    const isNews =
      outcome.result !== "not run" || old === undefined || (old.result === "not run" && outcome.why !== NOBODY);
    all.set(name, isNews ? outcome : old);
  }
  return all;
}

const ROW = /^\| (?<name>.+?) \| (?<result>pass|fail|not run) \| (?<runtime>.*?) ?\| (?<run>.*?) ?\| (?<why>.*?) ?\|$/;

export function readPage(text: string): Outcomes {
  const found = new Map<string, Outcome>();
  let sig = "";
  for (const line of text.split("\n")) {
    sig = /^###? (sig-.*)/.exec(line)?.[1] ?? sig;
    const row = ROW.exec(line)?.groups;
    if (row !== undefined && sig !== "")
      found.set(`[${sig}] ${row["name"]}`, {
        result: row["result"] as Outcome["result"],
        runtime: row["runtime"]!,
        run: row["run"]!,
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

function tablesOf(outcomes: Outcomes, level: string): string {
  const [head, ...lines] = counts(outcomes);
  const sections = [...bySig(outcomes)].map(
    ([sig, tests]) =>
      `${level} ${sig}\n\n| Test | Result | Runtime | Run | Why |\n| --- | --- | --- | --- | --- |\n${tests
        .map(([name, { result, runtime, run, why }]) => row([name.slice(sig.length + 3), result, runtime, run, why]))
        .join("\n")}\n`,
  );
  return `${row(head!)}
${row(head!.map((_, index) => (index === 0 ? "---" : "---:")))}
${lines.map(row).join("\n")}

${sections.join("\n")}`;
}

/** How many figures are of which run. */
function runsOf(outcomes: Outcomes): string {
  const runs = Map.groupBy(
    [...outcomes.values()].filter(({ result }) => result !== "not run"),
    ({ run }) => run,
  );
  if (runs.size === 1 && !runs.has("")) return `All figures are of one run, begun at ${[...runs.keys()][0]}.`;
  const parts = [...runs]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([run, rows]) => `${rows.length} ${run === "" ? "of runs before these" : `of that of ${run}`}`);
  return `The figures are of several runs, the newest for each test: ${parts.join(", ")}.`;
}

const chosen = (outcomes: Outcomes, isMine: (name: string) => boolean): Outcomes =>
  new Map([...outcomes].filter(([name]) => isMine(name)));

export function pageOf(outcomes: Outcomes): string {
  const conformance = chosen(outcomes, isConformance);
  const beyond = chosen(outcomes, (name) => !isConformance(name));
  return `# Conformance

Upstream's end-to-end tests of version 1.36.2 that bear \`[Conformance]\`, run as they are against \`t8s up\`. Written by \`npm run conformance\`, which builds them from upstream's modules; a run of some (\`npm run conformance -- 'sig-auth' 'Job'\`) brings those rows up to date.

With the containerd runtime there are two nodes of one machine, each with a network of its own. Images come from no registry. agnhost, the sample API server and etcd are upstream's programs built from upstream's sources, on busybox, with the machine's bash, curl, dig and nc. \`nginx\` is busybox's web server under that name; \`pause\`, \`nautilus\` and \`kitten\` are agnhost's.

${runsOf(conformance)}

${tablesOf(conformance, "##")}
## Beyond conformance

Upstream's other tests of the API server, its clients, the controllers and the scheduler (\`npm run conformance -- --beyond\`): all that need no feature that is off by default, no machine to restart, and no images or machines of a cloud.

${runsOf(beyond)}

${tablesOf(beyond, "###")}`;
}
