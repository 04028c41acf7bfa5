/**
 * How a container becomes a process: the program and arguments that make its file system, start it, and leave its pid and exit code in files, so that
 * both survive us. Pure.
 */
export interface Launch {
  /** The container's own folder: `upper`, `work` and `root` for its files, `pid` and `exit` for us. */
  readonly dir: string;
  /** What the container's root is made over: an unpacked image, or `/` for this machine's own files. */
  readonly lower: string;
  readonly mounts: readonly {
    readonly source: string;
    readonly target: string;
    readonly readonly: boolean;
    readonly file: boolean;
  }[];
  readonly command: readonly string[];
  readonly workingDir: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly uid: number | undefined;
  readonly gid: number | undefined;
  /** "root": mount namespaces as they are; "user": in a user namespace of its own; "none": no namespaces, so no mounts and no root of its own. */
  readonly isolation: "root" | "user" | "none";
}

/** Paths of programs of the machine, found once. */
export interface Programs {
  readonly sh: string;
  readonly unshare: string;
  readonly nsenter: string;
}

/**
 * 1. (with isolation) an overlay over the image, /proc, /dev and /sys bound in, then the pod's volumes;
 * 2. the command in the background, its pid written before anybody may ask;
 * 3. its exit code written when it ends: the shell that waits is what outlives us.
 */
export function launch(
  container: Launch,
  programs: Programs,
): { readonly command: string; readonly args: readonly string[] } {
  const { dir, isolation } = container;
  const root = `${dir}/root`;
  const setup =
    isolation === "none"
      ? []
      : [
          `mount -t overlay overlay -o lowerdir=${quote(container.lower)},upperdir=${quote(`${dir}/upper`)},workdir=${quote(`${dir}/work`)}${isolation === "user" ? ",userxattr" : ""} ${quote(root)}`,
          ...["proc", "dev", "sys"].flatMap((name) => [
            `mkdir -p ${quote(`${root}/${name}`)}`,
            `mount --rbind /${name} ${quote(`${root}/${name}`)}`,
          ]),
          ...container.mounts.flatMap(({ source, target, readonly, file }) => {
            const at = quote(`${root}${target}`);
            const parent = quote(`${root}${target}`.slice(0, `${root}${target}`.lastIndexOf("/")) || "/");
            return [
              file ? `mkdir -p ${parent} && { [ -e ${at} ] || : > ${at}; }` : `mkdir -p ${at}`,
              `mount --bind ${quote(source)} ${at}`,
              ...(readonly ? [`mount -o remount,bind,ro ${at}`] : []),
            ];
          }),
        ];
  const environment = Object.entries(container.environment).map(([name, value]) => quote(`${name}=${value}`));
  const user = [
    ...(container.gid === undefined ? [] : [`--setgid ${container.gid}`]),
    ...(container.uid === undefined ? [] : [`--setuid ${container.uid}`]),
  ];
  const inside = isolation === "none" ? `cd ${quote(container.workingDir)} && exec env -i` : "exec env -i";
  const enter =
    isolation === "none"
      ? []
      : [quote(programs.unshare), `--root=${quote(root)}`, `--wd=${quote(container.workingDir)}`, ...user, "--"];
  const start = [inside, ...environment, ...enter, ...container.command.map(quote)].join(" ");
  const script = [
    "set -e",
    ...setup,
    "set +e",
    // A subshell that becomes the command: its pid is the command's own.
    `( echo "$(exec sh -c 'echo $PPID')" > ${quote(`${dir}/pid.new`)}; mv ${quote(`${dir}/pid.new`)} ${quote(`${dir}/pid`)}; ${start} ) <&0 &`,
    "wait $!",
    `echo $? > ${quote(`${dir}/exit.new`)}; mv ${quote(`${dir}/exit.new`)} ${quote(`${dir}/exit`)}`,
  ].join("\n");
  switch (isolation) {
    case "root":
      return { command: programs.unshare, args: ["--mount", "--propagation", "private", programs.sh, "-c", script] };
    case "user":
      return {
        command: programs.unshare,
        args: ["--user", "--map-root-user", "--mount", "--propagation", "private", programs.sh, "-c", script],
      };
    case "none":
      return { command: programs.sh, args: ["-c", script] };
  }
}

/** The program and arguments that run `command` where the container's process `pid` is. */
export function enter(
  pid: number,
  command: readonly string[],
  workingDir: string,
  isolation: Launch["isolation"],
  programs: Programs,
): { readonly command: string; readonly args: readonly string[] } {
  switch (isolation) {
    case "root":
      return {
        command: programs.nsenter,
        args: ["--target", String(pid), "--mount", "--root", `--wd=/proc/${pid}/root${workingDir}`, "--", ...command],
      };
    case "user":
      return {
        command: programs.nsenter,
        args: ["--target", String(pid), "--user", "--preserve-credentials", "--mount", "--root", "--", ...command],
      };
    case "none":
      return { command: programs.sh, args: ["-c", 'cd "$1" && shift && exec "$@"', "sh", workingDir, ...command] };
  }
}

const quote = (text: string): string => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`);
