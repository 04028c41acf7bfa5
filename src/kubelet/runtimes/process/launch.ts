/**
 * How a container becomes a process: the program and arguments that make its file system, start it, and leave its pid and exit code in files, so that
 * both survive us. Pure.
 */
export interface Identity {
  readonly uid: number;
  readonly gid: number;
  readonly groups: readonly number[];
}

/** "root": namespaces of its own; "user": the same inside a user namespace; "none": no namespaces, so no mounts and no root of its own. */
export type Isolation = "root" | "user" | "none";

export interface Launch {
  readonly id: string;
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
  /** Who the command runs as; undefined: as we do. */
  readonly identity: Identity | undefined;
  readonly tty: boolean;
  /** "" keeps the machine's. */
  readonly hostname: string;
  /** The path of a network namespace; undefined shares the machine's network. */
  readonly network: string | undefined;
  readonly readonlyRoot: boolean;
  /** Sees the machine's devices. */
  readonly privileged: boolean;
  readonly isolation: Isolation;
}

/** Paths of programs of the machine, found once. */
export interface Programs {
  readonly sh: string;
  readonly unshare: string;
  readonly nsenter: string;
  readonly setpriv: string;
  readonly setsid: string;
  readonly script: string | undefined;
}

export interface Invocation {
  readonly command: string;
  readonly args: readonly string[];
}

/**
 * Shell functions. `resolve` finds where a path of the container is, following links inside its root and never out of it. `expose` shows a folder of
 * the machine with a layer of the container's own above it; a folder that can't be a layer, because an unprivileged user may not look below the
 * mounts in it, is rebuilt from what it holds.
 */
const FUNCTIONS = `resolve() {
  rest=$1 at=
  while [ -n "$rest" ]; do
    rest=\${rest#/} name=\${rest%%/*}
    case $rest in */*) rest=\${rest#*/} ;; *) rest= ;; esac
    case $name in ''|.) continue ;; ..) at=\${at%/*}; continue ;; esac
    if [ -L "$R$at/$name" ]; then
      link=$(readlink "$R$at/$name")
      case $link in /*) at= ;; esac
      rest=$link/$rest
    else at=$at/$name; fi
  done
}
expose() {
  mkdir -p "$R$1" "$U$1" "$W$1"
  if mount -t overlay overlay -o "lowerdir=$1,upperdir=$U$1,workdir=$W$1$X" "$R$1" 2>/dev/null; then return 0; fi
  case $1 in /*/*/*) mount --rbind "$1" "$R$1" 2>/dev/null || :; return 0 ;; esac
  mount -t tmpfs -o mode=755 tmpfs "$R$1"
  for entry in "$1"/*; do show "$entry"; done
}
show() {
  if [ -L "$1" ]; then cp -P "$1" "$R$1"
  elif [ -d "$1" ]; then expose "$1"
  elif [ -e "$1" ]; then : > "$R$1"; mount --bind "$1" "$R$1" 2>/dev/null || :
  fi
}
devices() {
  mount -t tmpfs -o mode=755 tmpfs "$R/dev"
  for device in null zero full random urandom tty ptmx; do
    : > "$R/dev/$device"
    mount --bind "/dev/$device" "$R/dev/$device"
  done
  mkdir "$R/dev/pts" "$R/dev/shm"
  mount --rbind /dev/pts "$R/dev/pts"
  mount -t tmpfs -o mode=1777,nosuid,nodev,size=64m tmpfs "$R/dev/shm"
  ln -s /proc/self/fd "$R/dev/fd"
  for i in 0:stdin 1:stdout 2:stderr; do ln -s "/proc/self/fd/\${i%:*}" "$R/dev/\${i#*:}"; done
}`;

/**
 * A script, to be written to `start` in the container's folder, and what runs it:
 * 1. (with isolation) an overlay over the image, /proc, /dev and /sys, then the pod's volumes;
 * 2. the command in a shell that becomes it, its pid written before anybody may ask;
 * 3. its exit code written when it ends: the shell that waits is what outlives us, and the first process of the container's pid namespace, so that
 *    nothing in there outlives it.
 */
export function launch(container: Launch, programs: Programs): Invocation & { readonly script: string } {
  const { dir, isolation } = container;
  const isolated = isolation !== "none";
  const root = `${dir}/root`;
  const environment = Object.entries(container.environment).map(([name, value]) => quote(`${name}=${value}`));
  const { before, setuid } = become(container.identity, programs);
  const terminal = container.tty && isolation === "root" ? [quote(programs.setsid), "--ctty"] : [];
  const start = (
    isolated
      ? ["exec env -i", ...environment, ...before, ...terminal, quote(programs.unshare), quote(`--root=${root}`)]
          .concat(quote(`--wd=${container.workingDir}`), setuid, "--")
          .concat(container.command.map(quote))
      : [`cd ${quote(container.workingDir)} && exec env -i`, ...environment, ...container.command.map(quote)]
  ).join(" ");
  const pid = isolated ? "read -r stat < /proc/self/stat" : `stat="$(exec sh -c 'echo $PPID')"`;
  const script = [
    "set -e",
    ...(isolated ? setUp(container, root) : findable(container)),
    "set +e",
    // A subshell that becomes the command: its pid is the command's own. What stops the group must not stop who waits for it.
    "trap : INT TERM HUP QUIT",
    `( ${pid}; echo "$stat" > ${quote(`${dir}/pid`)}; ${start} )`,
    `echo $? > ${quote(`${dir}/exit`)}`,
    "",
  ].join("\n");
  const file = `${dir}/start`;
  if (!isolated) return { script, command: programs.sh, args: [file] };
  const namespaces = ["--mount", "--propagation", "private", "--uts", "--pid", "--fork"];
  const args = [...(isolation === "user" ? ["--user", "--map-root-user"] : []), ...namespaces, programs.sh, file];
  return container.network === undefined
    ? { script, command: programs.unshare, args }
    : { script, command: programs.nsenter, args: [`--net=${container.network}`, programs.unshare, ...args] };
}

function setUp(
  { dir, lower, mounts, isolation, hostname, readonlyRoot, privileged, workingDir }: Launch,
  root: string,
): string[] {
  const extra = isolation === "user" ? ",userxattr" : "";
  const files =
    lower === "/"
      ? [
          `mount -t tmpfs -o mode=755 tmpfs "$R"`,
          // The machine's folder for passing files around stays one.
          `for entry in /*; do case $entry in /proc|/dev|/sys|/tmp) ;; *) show "$entry" ;; esac; done`,
          `mkdir "$R/proc" "$R/dev" "$R/sys" "$R/tmp"`,
          `mount --rbind /tmp "$R/tmp"`,
        ]
      : [
          `mount -t overlay overlay -o ${quote(`lowerdir=${lower},upperdir=${dir}/upper,workdir=${dir}/work${extra}`)} "$R"`,
          `mkdir -p "$R/proc" "$R/dev" "$R/sys"`,
        ];
  return [
    `R=${quote(root)} U=${quote(`${dir}/upper`)} W=${quote(`${dir}/work`)} X=${extra}`,
    FUNCTIONS,
    ...(hostname === ""
      ? []
      : [
          // The file belongs to the machine's root, so in a user namespace only the call is allowed.
          `(echo ${quote(hostname)} > /proc/sys/kernel/hostname) 2>/dev/null || hostname ${quote(hostname)} 2>/dev/null || :`,
        ]),
    ...files,
    `mount -t proc proc "$R/proc" 2>/dev/null || mount --rbind /proc "$R/proc"`,
    privileged ? `mount --rbind /dev "$R/dev"` : "devices",
    `mount --rbind /sys "$R/sys"`,
    ...mounts.flatMap(({ source, target, readonly, file }) => [
      `resolve ${quote(target)}`,
      file ? `mkdir -p "$R\${at%/*}"; [ -e "$R$at" ] || : > "$R$at"` : `mkdir -p "$R$at"`,
      `mount --rbind ${quote(source)} "$R$at"`,
      ...(readonly ? [`mount -o remount,bind,ro "$R$at"`] : []),
    ]),
    `resolve ${quote(workingDir)}`,
    `mkdir -p "$R$at" 2>/dev/null || :`,
    ...(readonlyRoot ? [`mount -o remount,bind,ro "$R"`] : []),
  ];
}

/** Without a root of its own a command can be looked for before it is started. */
function findable({ command, environment }: Launch): string[] {
  const program = quote(command[0] ?? "");
  return [
    `PATH=${quote(environment["PATH"] ?? "")} command -v ${program} >/dev/null || { echo ${quote(`${NOT_STARTED}${command[0]}: No such file or directory`)} >&2; exit 127; }`,
  ];
}

const NOT_STARTED = "unshare: failed to execute ";

/**
 * Why the command never ran, in a container runtime's words, from the end of the last program that ran instead of it; undefined where it did run.
 */
export function startError(exitCode: number, stderr: string, command: readonly string[]): string | undefined {
  if (exitCode !== 126 && exitCode !== 127 && exitCode !== 1) return undefined;
  const program = command[0] ?? "";
  const line = stderr.split("\n", 1)[0]!;
  const after = /^\S*unshare: (failed to execute .*|cannot chdir to .*|cannot change root .*|set\w+ failed.*)$/.exec(
    line,
  )?.[1];
  if (after === undefined) return undefined;
  const said = JSON.stringify(program);
  const why = !after.startsWith("failed to execute ")
    ? after
    : !after.endsWith("No such file or directory")
      ? `exec: ${said}: ${after.slice(after.lastIndexOf(": ") + 2).toLowerCase()}`
      : program.includes("/")
        ? `exec: ${said}: stat ${program}: no such file or directory`
        : `exec: ${said}: executable file not found in $PATH`;
  return `failed to create containerd task: failed to create shim task: OCI runtime create failed: unable to start container process: error during container init: ${why}`;
}

/** The program and arguments that run `command` where the container's process `pid` is. */
export function enter(
  pid: number,
  command: readonly string[],
  { isolation, workingDir, identity, tty }: Pick<Launch, "isolation" | "workingDir" | "identity" | "tty">,
  programs: Programs,
): Invocation {
  if (isolation === "none")
    return { command: programs.sh, args: ["-c", 'cd "$1" && shift && exec "$@"', "sh", workingDir, ...command] };
  const { before, setuid } = become(identity, programs);
  const target = `--target=${pid}`;
  const user = isolation === "user" ? ["--user", "--preserve-credentials"] : [];
  const namespaces = [...(isolation === "user" ? [] : ["--net"]), "--mount", "--uts"];
  const place = ["--root", `--wdns=${workingDir}`, ...setuid, "--", ...command];
  // Job control needs a session whose leader is in the pid namespace: root may take the terminal over, others get a second one in between.
  const [program, ...args] = !tty
    ? [...before, programs.nsenter, target, ...user, ...namespaces, "--pid", ...place]
    : isolation === "root"
      ? [...before, programs.nsenter, target, "--pid", "--", programs.setsid, "--ctty"].concat([
          programs.nsenter,
          target,
          ...namespaces,
          ...place,
        ])
      : programs.script === undefined
        ? [programs.nsenter, target, ...user, ...namespaces, "--pid", ...place]
        : [
            programs.nsenter,
            target,
            ...user,
            "--pid",
            "--",
            programs.script,
            "--quiet",
            "--return",
            "--command",
          ].concat(["exec", ...[programs.nsenter, target, ...namespaces, ...place].map(quote)].join(" "), "/dev/null");
  return { command: program!, args };
}

/** Groups first, while we may still change roots; the user last. */
function become(identity: Identity | undefined, { setpriv }: Programs) {
  if (identity === undefined) return { before: [], setuid: [] };
  const groups = identity.groups.length === 0 ? "--clear-groups" : `--groups=${identity.groups.join(",")}`;
  return { before: [setpriv, `--regid=${identity.gid}`, groups], setuid: [`--setuid=${identity.uid}`] };
}

/** The parts of `/proc/PID/stat`: a pid may be given to another process, which then has another start. */
export function parseStat(text: string): { readonly pid: number; readonly group: number; readonly started: string } {
  const [pid] = text.split(" ", 1);
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return { pid: Number(pid), group: Number(fields[2] ?? 0), started: fields[19] ?? "" };
}

const quote = (text: string): string => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`);
