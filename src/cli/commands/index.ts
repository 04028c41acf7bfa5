/** All commands, in the order that `t8s help` lists them. */
import type { Command } from "../command.ts";
import { deleteCluster } from "./delete.ts";
import { down } from "./down.ts";
import { etcd } from "./etcd.ts";
import { image } from "./image.ts";
import { kubeconfig } from "./kubeconfig.ts";
import { status } from "./status.ts";
import { up } from "./up.ts";

export const commands: readonly Command[] = [up, down, deleteCluster, status, kubeconfig, image, etcd];
