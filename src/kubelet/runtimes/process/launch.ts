/**
 * How a container becomes a process: the program and arguments that build its file system, start it, and record its pid and exit code in files, so
 * that both outlive us. Pure.
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
  /** Undefined: all that we have. */
  readonly capabilities: readonly string[] | undefined;
  readonly noNewPrivileges: boolean;
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
protect() {
  mount -t sysfs -o ro,nosuid,nodev,noexec sysfs "$R/sys"
  for path in bus fs irq sys sysrq-trigger; do
    if [ -e "$R/proc/$path" ]; then mount -o bind,ro "$R/proc/$path" "$R/proc/$path"; fi
  done
  for path in kcore keys timer_list; do
    if [ -e "$R/proc/$path" ]; then mount --bind /dev/null "$R/proc/$path"; fi
  done
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
  const terminal = container.tty && isolation === "root" ? [programs.setsid, "--ctty"] : [];
  const start = [
    ...(isolated ? [] : [`cd ${quote(container.workingDir)} &&`]),
    "exec env -i",
    ...environment,
    ...(isolated ? [...terminal, ...becoming(container, programs), "--"].map(quote) : []),
    ...container.command.map(quote),
  ].join(" ");
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
    // What changes the machine itself is for privileged containers; in a user namespace the kernel sees to that.
    isolation === "root" && !privileged ? "protect" : `mount --rbind /sys "$R/sys"`,
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

export const NOT_STARTED = "unshare: failed to execute ";

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
  return why;
}

/** The program and arguments that run `command` where the container's process `pid` is. */
export function enter(pid: number, command: readonly string[], container: Entered, programs: Programs): Invocation {
  const { isolation, workingDir, tty } = container;
  if (isolation === "none")
    return { command: programs.sh, args: ["-c", 'cd "$1" && shift && exec "$@"', "sh", workingDir, ...command] };
  const user = isolation === "user" ? ["--user", "--preserve-credentials"] : ["--net"];
  const namespaces = [`--target=${pid}`, ...user, "--mount", "--uts", "--pid", "--"];
  const become = [...becoming(container, programs), "--", ...command];
  if (!tty || (isolation === "user" && programs.script === undefined))
    return { command: programs.nsenter, args: [...namespaces, ...become] };
  // Job control needs a session whose leader is in the pid namespace: root may take the terminal over, others get a second one in between.
  const terminal =
    isolation === "root"
      ? [programs.setsid, "--ctty", ...become]
      : [programs.script!, "--quiet", "--return", "--command", `exec ${become.map(quote).join(" ")}`, "/dev/null"];
  return { command: programs.nsenter, args: [...namespaces, ...terminal] };
}

type Entered = Pick<
  Launch,
  "dir" | "isolation" | "workingDir" | "identity" | "tty" | "capabilities" | "noNewPrivileges"
>;

/** From the machine's files, which the mount namespace still has, to the container's root, place and user: groups first, the user last. */
function becoming(container: Entered, { setpriv, unshare }: Programs): readonly string[] {
  const { dir, identity, workingDir, capabilities, noNewPrivileges, isolation } = container;
  const groups = identity?.groups ?? [];
  const privileges = [
    ...(noNewPrivileges ? ["--no-new-privs"] : []),
    ...(isolation === "root" && capabilities !== undefined
      ? ["--inh-caps=-all", `--bounding-set=-all${capabilities.map((name) => `,+${name}`).join("")}`]
      : []),
    ...(identity === undefined
      ? []
      : [`--regid=${identity.gid}`, groups.length === 0 ? "--clear-groups" : `--groups=${groups.join(",")}`]),
  ];
  return [
    ...(privileges.length === 0 ? [] : [setpriv, ...privileges]),
    unshare,
    `--root=${dir}/root`,
    `--wd=${workingDir}`,
    ...(identity === undefined ? [] : [`--setuid=${identity.uid}`]),
  ];
}

const DEFAULT_CAPABILITIES =
  "chown dac_override fsetid fowner mknod net_raw setgid setuid setfcap setpcap net_bind_service sys_chroot kill audit_write".split(
    " ",
  );

/**
 * What a container's processes may at most get: a runtime's usual set, with what is added and without what is dropped; undefined for everything.
 * Changing root and user on the way in needs two of them, which stay.
 */
export function capabilitiesOf(added: readonly string[], dropped: readonly string[]): readonly string[] | undefined {
  const plain = (names: readonly string[]) => names.map((name) => name.toLowerCase().replace(/^cap_/, ""));
  const [adding, dropping] = [plain(added), plain(dropped)];
  if (adding.includes("all") && dropping.length === 0) return undefined;
  const base = dropping.includes("all") ? [] : DEFAULT_CAPABILITIES;
  const kept = [...base, ...adding].filter((name) => name !== "all" && !dropping.includes(name));
  return [...new Set([...kept, "sys_chroot", "setuid", "setgid"])].sort();
}

/** The parts of `/proc/PID/stat`: a pid may be given to another process, which then has another start. */
export function parseStat(text: string): { readonly pid: number; readonly group: number; readonly started: string } {
  const [pid] = text.split(" ", 1);
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return { pid: Number(pid), group: Number(fields[2] ?? 0), started: fields[19] ?? "" };
}

const quote = (text: string): string => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`);
