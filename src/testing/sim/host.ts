import type { ExecResult, Host } from "../../world/host.ts";

type Program = (
  args: readonly string[],
  stdin: string,
) => { readonly code?: number; readonly stdout?: string; readonly stderr?: string };

/** A machine without programs: whatever a test wants to run, it declares. */
export function simulatedHost(programs: Readonly<Record<string, Program>> = {}): Host {
  const missing = (command: string) => Object.assign(new Error(`spawn ${command} ENOENT`), { code: "ENOENT" });
  return {
    platform: "linux",
    arch: "x64",
    hostname: "simulated",
    pid: 1,
    uid: 0,
    environment: {},
    cpus: () => 4,
    memory: () => ({ totalBytes: 16 * 2 ** 30, freeBytes: 12 * 2 ** 30 }),
    kernelRelease: () => "6.6.0-simulated",
    usage: () => ({ cpuMs: 0, residentBytes: 0 }),
    interfaces: () => [{ name: "eth0", address: "192.0.2.10", cidr: "192.0.2.10/24", family: 4, internal: false }],
    async exec(command, args, options): Promise<ExecResult> {
      const program = programs[command];
      if (program === undefined) throw missing(command);
      const stdin = options?.stdin === undefined ? "" : Buffer.from(options.stdin).toString();
      const { code = 0, stdout = "", stderr = "" } = program(args, stdin);
      return { code, stdout: new TextEncoder().encode(stdout), stderr: new TextEncoder().encode(stderr) };
    },
    spawn(command) {
      throw missing(command);
    },
    kill: () => false,
    which: async (program) => (program in programs ? `/usr/bin/${program}` : undefined),
  };
}
