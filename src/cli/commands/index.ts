/**
 * All commands, in the order in which `t8s help` lists them. A command's code is loaded only when it is run: scripts call `kube-apiserver --help`
 * before they start one, and should not wait for the code of a whole cluster to load.
 */
import type { Command } from "../command.ts";

interface Entry {
  readonly name: string;
  /** One sentence for the list. */
  readonly about: string;
  /** Not in the list: another command starts it. */
  readonly hidden?: true;
  /** `args` are those behind the name. */
  load(args: readonly string[]): Promise<Command>;
}

export const commands: readonly Entry[] = [
  {
    name: "up",
    about: "Start a cluster, or go on with one that was stopped or killed.",
    load: async () => (await import("./up.ts")).up,
  },
  {
    name: "down",
    about: "Stop a cluster and all its containers; its objects stay.",
    load: async () => (await import("./down.ts")).down,
  },
  {
    name: "delete",
    about: "Stop a cluster and remove everything it kept, its context in the kubeconfig too.",
    load: async () => (await import("./delete.ts")).deleteCluster,
  },
  {
    name: "status",
    about: "Tell whether a cluster runs, and how its nodes and pods are.",
    load: async () => (await import("./status.ts")).status,
  },
  {
    name: "kubeconfig",
    about: "Print a kubeconfig with the cluster's administrator.",
    load: async () => (await import("./kubeconfig.ts")).kubeconfig,
  },
  {
    name: "envtest",
    about: "Print a folder for KUBEBUILDER_ASSETS: etcd, kube-apiserver and kubectl for envtest.",
    load: async () => (await import("./envtest.ts")).envtest,
  },
  {
    name: "image",
    about: "Load images from OCI or docker archives into the cluster's nodes.",
    load: async () => (await import("./image.ts")).image,
  },
  {
    name: "etcd",
    about: "Run one etcd member alone, with upstream's flags, ports and files.",
    load: async ([word = ""]) => {
      if (word === "dump-logs") return (await import("./etcd-dump-logs.ts")).etcdDumpLogs;
      const { etcdutl, ETCDUTL_WORDS } = await import("./etcdutl.ts");
      if (word === "gateway" || word === "grpc-proxy") return (await import("./etcd-gateway.ts")).etcdGateway;
      return ETCDUTL_WORDS.includes(word) ? etcdutl : (await import("./etcd.ts")).etcd;
    },
  },
  {
    name: "etcdutl",
    about: "Look into, restore and tidy etcd's files.",
    load: async () => (await import("./etcdutl.ts")).etcdutl,
  },
  {
    name: "kube-apiserver",
    about: "Run an API server alone, with upstream's flags, ports and files.",
    load: async () => (await import("./kube-apiserver.ts")).kubeApiserver,
  },
  {
    name: "kube-controller-manager",
    about: "Run a controller manager alone, with upstream's flags and ports.",
    load: async () => (await import("./kube-controller-manager.ts")).kubeControllerManager,
  },
  {
    name: "kube-scheduler",
    about: "Run a scheduler alone, with upstream's flags, ports and configuration file.",
    load: async () => (await import("./kube-scheduler.ts")).kubeScheduler,
  },
  {
    name: "kubelet",
    about: "Run a node's agent alone, with upstream's flags, ports and configuration file.",
    load: async () => (await import("./kubelet.ts")).kubelet,
  },
  {
    name: "kube-proxy",
    about: "Run a node's proxy alone, with upstream's flags, ports and configuration file.",
    load: async () => (await import("./kube-proxy.ts")).kubeProxy,
  },
  {
    name: "node",
    about: "Run a node on a machine of its own.",
    hidden: true,
    load: async () => (await import("./node.ts")).node,
  },
];
