import colors from "picocolors";
import { formatKubeconfig } from "../../client/kubeconfig.ts";
import { noContainerd } from "../../kubelet/runtimes/containerd/containerd.ts";
import { noPodNetworks } from "../../kubelet/runtimes/process/isolation.ts";
import { pause } from "../../world/time.ts";
import { adminKubeconfig } from "../admin.ts";
import { type ClusterOptions, runCluster } from "../cluster.ts";
import { CommandError, type CommandContext, defineCommand } from "../command.ts";
import { upFlags } from "../flags/up.ts";
import type { Values } from "../flags.ts";
import { freePort, nameServers, primaryAddress } from "../host-facts.ts";
import { addToKubeconfig, contextOf } from "../kubeconfig-file.ts";
import { MACHINES_MAX, planLan } from "../machines/plan.ts";
import { ensurePki } from "../pki.ts";
import { releaseMemory } from "../memory.ts";
import { createProgress } from "../progress.ts";
import { type ClusterState, dataDirOf, isRunning, readState, removeState, writeState } from "../state.ts";
import { sweep } from "../sweep.ts";

type Options = Values<typeof upFlags>;

const AFTER_START_MS = 3000;

export const up = defineCommand({
  name: "up",
  usage: "[flags]",
  about: "Start a cluster, or go on with one that was stopped or killed.",
  flags: upFlags,
  async run(context, values, positional, parsed) {
    if (positional.length > 0) throw new CommandError(`unexpected argument ${JSON.stringify(positional[0])}`);
    const { world } = context;
    const dir = dataDirOf(world, values.name, values["data-dir"]);
    const running = await readState(world, dir);
    if (isRunning(world, running))
      throw new CommandError(
        `cluster ${values.name} is already running as process ${running.pid} (t8s down --name ${values.name} stops it)`,
      );
    if (values.detach) return await detach(context, values, dir, [...parsed.set]);
    return await foreground(context, values, dir, running);
  },
});

/** `killed` is the state of an earlier run that did not end in order: what it left is gone on with. */
async function foreground(
  context: CommandContext,
  values: Options,
  dir: string,
  killed: ClusterState | undefined,
): Promise<number> {
  const { world, out, signal } = context;
  const begun = world.clock.monotonic();
  const file = `${dir}/t8s.log`;
  const format = values["logging-format"] === "json" ? "json" : "text";
  const log = context.logger({ verbosity: values.v, format, file });
  const options = await settle(context, values, dir, killed);
  // Other nodes than before: the earlier ones would run on with nobody to stop them.
  if (killed !== undefined && (killed.runtime !== options.runtime || killed.nodes.join() !== options.nodes.join()))
    await sweep(world, dir, killed, log);
  const progress = createProgress(world.clock, out, context.interactive);
  const state: ClusterState = {
    name: values.name,
    pid: world.host.pid,
    server: `https://127.0.0.1:${options.serving?.port}`,
    runtime: options.runtime,
    nodes: options.nodes,
    ...(options.machines && { lan: options.machines.lan }),
    startedAt: world.clock.now(),
    ready: false,
    options: { ...values, "proxy-mode": options.proxyMode, "advertise-address": options.advertiseAddress },
  };
  await writeState(world, dir, state);
  try {
    await runCluster(options, { world, log, progress }, signal, async () => {
      await writeState(world, dir, { ...state, ready: true });
      const config = await adminKubeconfig(world, values.name, dir);
      await world.fs.writeFile(`${dir}/kubeconfig`, formatKubeconfig(config), { mode: 0o600, atomic: true });
      const merged = values["kubeconfig-merge"] ? await addToKubeconfig(world, config) : undefined;
      out(
        welcome(
          state,
          merged ?? `${dir}/kubeconfig`,
          merged !== undefined,
          (world.clock.monotonic() - begun) / 1000,
          file,
          context.interactive,
        ),
      );
      // Not in the way of the first commands that follow.
      world.clock.after(AFTER_START_MS, releaseMemory);
    });
  } catch (error) {
    if (!signal.aborted) {
      log.error("The cluster stopped", error);
      throw error;
    }
  } finally {
    await removeState(world, dir);
  }
  out("stopped; everything is kept for the next `t8s up`\n");
  return 0;
}

/** From flags and the machine to what the cluster is made of. */
async function settle(
  context: CommandContext,
  values: Options,
  dir: string,
  killed: ClusterState | undefined,
): Promise<ClusterOptions> {
  const { world } = context;
  if (!["auto", "containerd", "process", "simulated"].includes(values.runtime))
    throw new CommandError(
      `--runtime takes auto, containerd, process or simulated, not ${JSON.stringify(values.runtime)}`,
    );
  if (!Number.isInteger(values.nodes) || values.nodes < 1) throw new CommandError("--nodes takes a number from 1 on");
  const missing =
    values.runtime === "process" || values.runtime === "simulated" ? undefined : await noContainerd(world);
  if (values.runtime === "containerd" && missing !== undefined)
    throw new CommandError(`--runtime containerd can't be had: ${missing}`);
  const runtime =
    values.runtime !== "auto"
      ? (values.runtime as ClusterOptions["runtime"])
      : missing === undefined && values.nodes <= MACHINES_MAX
        ? "containerd"
        : "process";
  const nodes =
    values.nodes === 1
      ? [world.host.hostname.toLowerCase()]
      : Array.from({ length: values.nodes }, (_, i) => `node-${i + 1}`);
  const lan =
    runtime !== "containerd" || nodes.length === 1
      ? undefined
      : killed?.lan !== undefined && killed.nodes.join() === nodes.join()
        ? killed.lan
        : planLan(values.name, nodes, dir, world.host.interfaces());
  if (lan !== undefined && values["container-runtime-endpoint"] !== "")
    throw new CommandError(
      "--container-runtime-endpoint is for one node: of several, each runs a containerd of its own",
    );
  if (lan !== undefined && nodes.length > MACHINES_MAX)
    throw new CommandError(`--runtime containerd has ${MACHINES_MAX} nodes on one machine at most`);
  if (values.runtime === "auto" && missing !== undefined) context.out(`containers run as processes: ${missing}\n`);
  if (!["auto", "iptables", "none"].includes(values["proxy-mode"]))
    throw new CommandError(
      `unsupported proxy mode ${JSON.stringify(values["proxy-mode"])}: this version has iptables and none`,
    );
  const proxyMode =
    values["proxy-mode"] !== "auto"
      ? (values["proxy-mode"] as "iptables" | "none")
      : runtime === "containerd" || (runtime === "process" && (await noPodNetworks(world)) === undefined)
        ? "iptables"
        : "none";

  await world.fs.mkdir(dir, { recursive: true, mode: 0o711 });
  const advertiseAddress = values["advertise-address"] || (lan?.address ?? primaryAddress(world));
  const port = await freePort(world, "0.0.0.0", values.port);
  if (values.port !== 0 && port !== values.port) {
    throw new CommandError(`port ${values.port} is taken; --port takes another one, or 0 for any that is free`);
  }
  const [a, b, c] = values["service-cluster-ip-range"].split("/")[0]!.split(".");
  const pki = await ensurePki(
    world,
    `${dir}/pki`,
    [world.host.hostname.toLowerCase()],
    [advertiseAddress, `${a}.${b}.${c}.1`],
  );
  return {
    dataDir: dir,
    nodes,
    runtime,
    serving: { port, pki },
    serviceAccountKey: pki.serviceAccountKey,
    advertiseAddress,
    // A node takes a /24.
    clusterCidr: values["cluster-cidr"] || (values.nodes > 256 ? "10.128.0.0/10" : "10.244.0.0/16"),
    serviceRange: values["service-cluster-ip-range"],
    etcdServers: values["etcd-servers"],
    proxyMode,
    // An endpoint can't be a loopback address, so a machine without another one has no cluster DNS.
    dns: runtime !== "simulated" && !advertiseAddress.startsWith("127."),
    nameServers: await nameServers(world),
    containerRuntimeEndpoint: values["container-runtime-endpoint"],
    staticPodPath: values["pod-manifest-path"],
    staticPodUrl: values["manifest-url"],
    // A second cluster on the machine finds upstream's port taken: any free one does, the API server reads it from the node.
    kubeletPort: (await freePort(world, "0.0.0.0", 10_250)) === 10_250 ? 10_250 : 0,
    ...(lan && { machines: { lan, logArgs: [`--v=${values.v}`, `--logging-format=${values["logging-format"]}`] } }),
    nodeMonitorGracePeriodMs: values["node-monitor-grace-period"],
  };
}

function welcome(
  state: ClusterState,
  kubeconfig: string,
  merged: boolean,
  seconds: number,
  log: string,
  interactive: boolean,
): string {
  const { bold, dim } = colors.createColors(interactive);
  const context = contextOf(state.name);
  const nodes = state.nodes.length === 1 ? state.nodes[0] : `${state.nodes[0]} … ${state.nodes.at(-1)}`;
  const prefix = merged ? "kubectl" : `kubectl --kubeconfig ${kubeconfig}`;
  return `
${bold(`Ready in ${seconds.toFixed(2)} s.`)}

  node      ${nodes}
  server    ${state.server}
  context   ${context} ${dim(`(${kubeconfig})`)}
  log       ${log}

Try:
  ${prefix} get nodes
  ${prefix} create deployment web --image=nginx --replicas=3
  ${prefix} expose deployment web --port=80 --type=NodePort

`;
}

/** Starts the same command in the background and waits until it is ready or dead. */
async function detach(context: CommandContext, values: Options, dir: string, set: readonly string[]): Promise<number> {
  const { world, out, err, signal } = context;
  await world.fs.mkdir(dir, { recursive: true, mode: 0o711 });
  const outFile = `${dir}/up.out`;
  await world.fs.writeFile(outFile, "");
  const args = set.flatMap((name) => {
    if (name === "detach") return [];
    const value = values[name as keyof Options];
    return [`--${name}=${Array.isArray(value) ? value.join(",") : String(value)}`];
  });
  const child = world.host.spawn(
    process.execPath,
    ["--disable-warning=ExperimentalWarning", process.argv[1]!, "up", ...args],
    { detached: true, stdoutFile: outFile, stderrFile: outFile },
  );
  let code: number | undefined;
  void child.exited.then((exit) => {
    code = exit.code;
  });
  for (;;) {
    const state = await readState(world, dir);
    const ready = state?.pid === child.pid && state.ready;
    const text = Buffer.from(await world.fs.readFile(outFile)).toString();
    if (code !== undefined) {
      err(text);
      return code === 0 ? 1 : code;
    }
    // The state is written just before the last lines are printed.
    if (ready && text.includes("Try:")) {
      out(text);
      return 0;
    }
    if (!(await pause(world.clock, 25, signal))) {
      child.kill("SIGTERM");
      await child.exited;
      return 130;
    }
  }
}
