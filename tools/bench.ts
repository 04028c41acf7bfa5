/**
 * `npm run bench` lists the questions with their aims; `npm run bench -- NAME…` asks some; `all` asks every one, one after the other. `all` and `keep` keep the
 * answers in bench/results/<machine>.md, where each replaces the one before.
 */
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { cpus, loadavg } from "node:os";
import { join } from "node:path";
import { describeMachine } from "../bench/kit/machine.ts";

interface Question {
  readonly name: string;
  readonly question: string;
  readonly aim: string;
}

const QUESTIONS: readonly Question[] = [
  {
    name: "up",
    question: "How long does `t8s up` take until everything is ready?",
    aim: "process runtime < 2 s, API alone in process < 300 ms",
  },
  { name: "idle", question: "What does a cluster cost that nobody uses?", aim: "< 2 % of a core, < 150 MB" },
  {
    name: "creates",
    question: "How many small requests a second does the API server take over HTTPS?",
    aim: "> 1,500 creates/s",
  },
  {
    name: "apiserver",
    question:
      "What does each kind of request cost the API server over HTTPS, against a genuine one where there is one?",
    aim: "5,000 creates/s and 20,000 gets/s a core over either HTTP version, ready within 150 ms in process",
  },
  {
    name: "http2",
    question: "What does a request cost the wire, over HTTP/2 of our own and over Node's?",
    aim: "> 5x the requests of node:http2 for unary gRPC",
  },
  {
    name: "watch",
    question: "What do a thousand watchers of pods cost, and how soon do they hear of a change?",
    aim: "every event reaches all of them, p99 < 1 s",
  },
  {
    name: "create-to-running",
    question: "How long does a pod take to Running, against the same raw CRI calls?",
    aim: "< 1.5x",
  },
  {
    name: "simulated-nodes",
    question: "How long do 5,000 pods on 500 simulated nodes take to run, all of them?",
    aim: "< 60 s, < 1 GB",
  },
  {
    name: "scheduling",
    question: "How many pods a second does the scheduler place among 5,000 nodes?",
    aim: "5x upstream's floors",
  },
  {
    name: "etcd",
    question: "What does each kind of request cost, against Debian's etcd?",
    aim: ">= 1.0x its throughput, <= 1.0x its p99 and its CPU in each row",
  },
  { name: "etcd-puts", question: "How many puts a second does etcd take, against Debian's etcd?", aim: ">= 1.0x" },
  {
    name: "protobuf",
    question: "How fast is the protobuf codec on etcd's messages, against protobufjs?",
    aim: ">= 1.0x",
  },
];

const root = join(import.meta.dirname, "..");
const file = (name: string) => join(root, "bench", `${name}.ts`);
const known = QUESTIONS.filter(({ name }) => existsSync(file(name)));
const given = process.argv.slice(2);

if (given.length === 0) {
  const width = Math.max(...known.map(({ name }) => name.length)) + 2;
  for (const { name, question, aim } of known)
    console.log(`${name.padEnd(width)}${question}\n${"".padEnd(width)}Aim: ${aim}.`);
  console.log(
    "\nnpm run bench -- NAME… asks these, `all` every one; `keep` (and `all`) keeps the answers in bench/results.",
  );
  process.exit(0);
}
const unknown = given.find(
  (name) => name !== "all" && name !== "keep" && !known.some((question) => question.name === name),
);
if (unknown !== undefined) {
  console.error(`there is no benchmark ${unknown}; there are ${known.map(({ name }) => name).join(", ")}`);
  process.exit(1);
}

const all = given.includes("all");
const keeps = all || given.includes("keep");
let failed = 0;
for (const question of known.filter(({ name }) => all || given.includes(name))) {
  console.log(`\n${question.name}: ${question.question}`);
  const load = loadavg()[0]!;
  const { code, text } = await run(question.name);
  if (code !== 0) failed++;
  if (keeps)
    keep(
      question.name,
      `${question.question} Aim: ${question.aim}. ${new Date().toISOString().slice(0, 10)}, load average before: ${load.toFixed(1)}.\n\n\`\`\`\n${text.trim()}${code === 0 ? "" : `\nended with ${code}`}\n\`\`\`\n`,
    );
}
process.exit(failed === 0 ? 0 : 1);

/** After each answer: a run that is cut short keeps what it has. */
function keep(name: string, answer: string): void {
  const folder = join(root, "bench/results");
  const path = join(folder, `${machineName()}.md`);
  const answers = new Map<string, string>();
  if (existsSync(path)) {
    for (const section of readFileSync(path, "utf8").split("\n## ").slice(1)) {
      const [title = "", ...lines] = section.split("\n");
      answers.set(title, lines.join("\n").trim());
    }
  }
  answers.set(name, answer.trim());
  const sections = QUESTIONS.filter((question) => answers.has(question.name)).map(
    (question) => `## ${question.name}\n\n${answers.get(question.name)}\n`,
  );
  mkdirSync(folder, { recursive: true });
  writeFileSync(
    path,
    `# ${describeMachine()}\n\nA load average near or above the number of cores means that others worked on the machine meanwhile: read the ratios then, and the CPU that a request costs.\n\n${sections.join("\n")}`,
  );
}

/** A process of its own for each question: none of them sees what another left in memory. */
async function run(name: string): Promise<{ readonly code: number | null; readonly text: string }> {
  const child = spawn(process.execPath, [...process.execArgv, file(name)], {
    cwd: root,
    stdio: ["ignore", "pipe", "inherit"],
  });
  let text = "";
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    text += chunk;
    process.stdout.write(chunk);
  });
  const code = await new Promise<number | null>((resolve) => child.on("close", resolve));
  return { code, text };
}

function machineName(): string {
  const all = cpus();
  const model = all[0]?.model ?? "unknown";
  return `${model}-${all.length}-cores`
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-|-$/g, "");
}
