/**
 * The authorities that sign certificate requests, from files that are read again when they change.
 * Upstream: pkg/controller/certificates/signer/ca_provider.go
 */
import { createPrivateKey, X509Certificate } from "node:crypto";
import type { Component } from "../../base/component-group.ts";
import {
  KUBE_APISERVER_CLIENT,
  KUBELET_CLIENT,
  KUBELET_SERVING,
  LEGACY_UNKNOWN,
} from "../../controllers/certificates/requests.ts";
import type { SigningAuthorities } from "../../controllers/certificates/signing.ts";
import type { Authority } from "../../machinery/pki/certificate.ts";
import type { Logger } from "../../observe/log.ts";
import type { World } from "../../world/world.ts";
import { CommandError } from "../command.ts";
import type { Values } from "../flags.ts";
import type { kubeControllerManagerFlags } from "../flags/kube-controller-manager.ts";
import { readPair } from "./files.ts";
import { watchFiles } from "./watched-files.ts";

type Options = Values<typeof kubeControllerManagerFlags>;

/** With the words that upstream's errors call them by. */
const SIGNER_FLAGS = [
  { flag: "cluster-signing-kubelet-serving", says: "cluster-signing-kubelet-serving", signer: KUBELET_SERVING },
  { flag: "cluster-signing-kubelet-client", says: "cluster-signing-kube-apiserver-client", signer: KUBELET_CLIENT },
  {
    flag: "cluster-signing-kube-apiserver-client",
    says: "cluster-signing-kube-apiserver",
    signer: KUBE_APISERVER_CLIENT,
  },
  { flag: "cluster-signing-legacy-unknown", says: "cluster-signing-legacy-unknown", signer: LEGACY_UNKNOWN },
] as const;

/** One authority for all signers, or some of their own; undefined where there is none. */
async function signingAuthorities(
  fs: Pick<World["fs"], "readFile">,
  values: Options,
): Promise<Authority | ReadonlyMap<string, Authority> | undefined> {
  const own = new Map<string, Authority>();
  const errors: string[] = [];
  for (const { flag, says, signer } of SIGNER_FLAGS) {
    const [cert, key] = [`${flag}-cert-file`, `${flag}-key-file`] as const;
    if ((values[cert] === "") !== (values[key] === ""))
      errors.push(`"${says}": cannot specify ${values[cert] === "" ? "key without cert" : "cert without key"}`);
    else if (values[cert] !== "") own.set(signer, (await readPair(fs, [cert, values[cert]], [key, values[key]]))!);
  }
  const [cert, key] = [values["cluster-signing-cert-file"], values["cluster-signing-key-file"]];
  if (own.size > 0 && (cert !== "" || key !== ""))
    errors.push(
      "cannot specify --cluster-signing-{cert,key}-file and other --cluster-signing-*-file flags at the same time",
    );
  if (errors.length > 0) throw new CommandError(errors.length === 1 ? errors[0]! : `[${errors.join(", ")}]`);
  if (own.size > 0) return own;
  return cert === "" || key === ""
    ? undefined
    : await readPair(fs, ["cluster-signing-cert-file", cert], ["cluster-signing-key-file", key]);
}

/** The authorities as the files have them now; `component` looks after the files while it runs. Undefined where there are none. */
export async function followedAuthorities(
  world: Pick<World, "fs" | "clock">,
  values: Options,
  log: Logger,
): Promise<{ readonly authorities: SigningAuthorities; readonly component: Component } | undefined> {
  let current = await signingAuthorities(world.fs, values);
  if (current === undefined) return undefined;
  const flags = ["cluster-signing", ...SIGNER_FLAGS.map(({ flag }) => flag)] as const;
  const paths = flags.flatMap((flag) => [values[`${flag}-cert-file`], values[`${flag}-key-file`]]);
  return {
    authorities: () => current!,
    component: {
      name: "signing authorities",
      async run(signal, ready) {
        const watching = watchFiles(
          world,
          [
            {
              what: "signing authorities",
              paths,
              async apply() {
                const next = (await signingAuthorities(world.fs, values))!;
                for (const one of next instanceof Map ? next.values() : [next as Authority]) checkPair(one);
                current = next;
              },
            },
          ],
          log,
          signal,
        );
        ready();
        await watching;
      },
    },
  };
}

/** A certificate and its key are written one after the other: halves of two pairs are no pair. */
function checkPair({ cert, key }: Authority): void {
  if (!new X509Certificate(cert).checkPrivateKey(createPrivateKey(key)))
    throw new Error("tls: private key does not match public key");
}
