/** The reference pages of all commands' flags, from the tables that the commands read: `sh tools/node.sh tools/generate/flags.ts` writes `docs/reference/flags`. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "../../src/cli/command.ts";
import { commands } from "../../src/cli/commands/index.ts";
import { defaultText, type Flag, kindOf } from "../../src/cli/flags.ts";

export const FLAGS_FOLDER = join(import.meta.dirname, "../../docs/reference/flags");

/** Pages by file name. */
export async function flagPages(): Promise<ReadonlyMap<string, string>> {
  // A command's own subcommand stands behind it where its flags are others.
  const all = await Promise.all(
    commands.flatMap(({ name, load }) =>
      name === "etcd" ? [load([]), load(["dump-logs"]), load(["gateway"])] : [load([])],
    ),
  );
  return new Map([
    ["README.md", overview(all)],
    ...all.map((command) => [`${fileOf(command)}.md`, page(command)] as const),
  ]);
}

function fileOf({ name }: Pick<Command, "name">): string {
  return name.replace(" ", "-");
}

function overview(all: readonly Command[]): string {
  const rows = all.map(
    ({ name, about, flags }) => `| [\`${name}\`](${fileOf({ name })}.md) | ${about} | ${Object.keys(flags).length} |`,
  );
  return `# Commands and flags\n\nGenerated from the flag tables in \`src/cli/flags\`. \`t8s COMMAND --help\` says the same; the components are also in \`bin/\`, under upstream's names.\n\n| Command | | Flags |\n|---|---|---:|\n${rows.join("\n")}\n`;
}

function page({ name, about, usage, program, flags }: Command): string {
  const all = Object.entries<Flag>(flags).sort(([a], [b]) => (a < b ? -1 : 1));
  const read = all.filter(([, { ignored, refused }]) => !ignored && refused === undefined);
  const refused = all.filter(([, flag]) => flag.refused !== undefined);
  const ignored = all.filter(([, flag]) => flag.ignored);
  const sections = [
    `# ${name}\n\n${about}\n\n\`\`\`\n${program ?? `t8s ${name}`} ${usage}\n\`\`\``,
    read.length === 0
      ? "It has no flags."
      : `| Flag | Type | Default | |\n|---|---|---|---|\n${read.map(row).join("\n")}`,
    ...(refused.length === 0
      ? []
      : [
          `## Refused\n\nKnown, and not supported: to go on without them would be unsafe.\n\n| Flag | Why |\n|---|---|\n${refused.map(([flag, { refused: why = "" }]) => `| \`--${flag}\` | ${cell(why)} |`).join("\n")}`,
        ]),
    ...(ignored.length === 0
      ? []
      : [
          [
            "## Without effect",
            "Accepted, so that unit files and scripts run as they are; the log says so when one is set.",
            ...withReasons(ignored),
          ].join("\n\n"),
        ]),
  ];
  return `${sections.join("\n\n")}\n`;
}

/** Those of which the reason is known as a table, the others by name. */
function withReasons(ignored: readonly (readonly [string, Flag])[]): readonly string[] {
  const told = ignored.filter(([, flag]) => typeof flag.ignored === "string");
  const others = ignored.filter(([, flag]) => typeof flag.ignored !== "string");
  return [
    ...(told.length === 0
      ? []
      : [
          `| Flag | Default | Why |\n|---|---|---|\n${told.map(([name, flag]) => `| \`--${name}\` | ${defaultText(flag) === "" ? "" : `\`${cell(defaultText(flag))}\``} | ${cell(String(flag.ignored))} |`).join("\n")}`,
        ]),
    ...(others.length === 0 ? [] : [others.map(([name]) => `\`--${name}\``).join(", ")]),
  ];
}

function row([name, flag]: readonly [string, Flag]): string {
  const short = flag.short === undefined ? "" : `, \`-${flag.short}\``;
  const standard = defaultText(flag);
  return `| \`--${name}\`${short === `, \`-${name}\`` ? ` (\`-${name}\`)` : short} | ${kindOf(flag) || "bool"} | ${standard === "" ? "" : `\`${cell(standard)}\``} | ${cell(flag.help)} |`;
}

const cell = (text: string): string => text.replaceAll("|", "\\|").replaceAll("\n", " ");

if (process.argv[1] === import.meta.filename) {
  mkdirSync(FLAGS_FOLDER, { recursive: true });
  for (const [name, text] of await flagPages()) writeFileSync(join(FLAGS_FOLDER, name), text);
}
