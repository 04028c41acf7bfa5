/** Every pod runs as a service account and gets a volume with its token. Upstream: plugin/pkg/admission/serviceaccount. */
import { generateName } from "../../registry/names.ts";
import type { AdmissionContext, AdmissionRequest, AnyObject } from "../framework.ts";
import { defineAdmission, refuse } from "../framework.ts";

const MIRROR = "kubernetes.io/config.mirror";
const ENFORCE = "kubernetes.io/enforce-mountable-secrets";
const MOUNT_PATH = "/var/run/secrets/kubernetes.io/serviceaccount";
const TOKEN_SECONDS = 3607;
const VOLUME_PREFIX = "kube-api-access-";

export const serviceAccount = defineAdmission({
  name: "ServiceAccount",
  onByDefault: true,
  reads: ["serviceaccounts"],
  handles: { operations: ["CREATE", "UPDATE"], resources: ["pods"], subresources: ["ephemeralcontainers"] },
  async admit(request, context) {
    if (request.operation !== "CREATE" || request.subresource !== "") return;
    const pod = request.object;
    if (isMirror(pod)) {
      checkMirror(request);
      return;
    }
    pod.spec.serviceAccountName ||= "default";
    pod.spec.serviceAccount = pod.spec.serviceAccountName;
    const account = await accountOf(request, context);
    if (mounts(pod, account)) mountToken(pod, context);
    if ((pod.spec.imagePullSecrets ?? []).length === 0 && (account.imagePullSecrets ?? []).length > 0)
      pod.spec.imagePullSecrets = account.imagePullSecrets.map(({ name }: AnyObject) => ({ name }));
  },
  async validate(request, context) {
    const pod = request.object;
    if (isMirror(pod)) {
      checkMirror(request);
      return;
    }
    if (request.operation === "UPDATE" && request.subresource !== "ephemeralcontainers") return;
    const account = await accountOf(request, context);
    if (account.metadata.annotations?.[ENFORCE] === "true") checkSecrets(request, account);
  },
});

function isMirror(pod: AnyObject): boolean {
  return pod.metadata.annotations?.[MIRROR] !== undefined;
}

/** The kubelet's image of a static pod: it can have nothing that only the API knows. */
function checkMirror(request: AdmissionRequest): void {
  const { spec } = request.object;
  if ((spec.serviceAccountName ?? "") !== "") throw refuse(request, "a mirror pod may not reference service accounts");
  for (const volume of spec.volumes ?? []) {
    if (volume.secret !== undefined) throw refuse(request, "a mirror pod may not reference secrets");
    for (const source of volume.projected?.sources ?? [])
      if (source.serviceAccountToken !== undefined)
        throw refuse(request, "a mirror pod may not use ServiceAccountToken volume projections");
  }
}

async function accountOf(request: AdmissionRequest, { cluster }: AdmissionContext): Promise<AnyObject> {
  const { namespace } = request;
  const name: string = request.object.spec.serviceAccountName;
  const found =
    cluster.get("serviceaccounts", namespace, name) ?? (await cluster.live("serviceaccounts", namespace, name));
  if (found === undefined)
    throw refuse(
      request,
      `error looking up service account ${namespace}/${name}: serviceaccount ${JSON.stringify(name)} not found`,
    );
  return found;
}

/** The pod's word counts before the account's. */
function mounts(pod: AnyObject, account: AnyObject): boolean {
  return pod.spec.automountServiceAccountToken ?? account.automountServiceAccountToken ?? true;
}

function mountToken(pod: AnyObject, { random }: AdmissionContext): void {
  const { spec } = pod;
  const existing = (spec.volumes ?? []).find((volume: AnyObject) => volume.name.startsWith(VOLUME_PREFIX));
  const name: string = existing?.name ?? generateName(random, VOLUME_PREFIX);
  let needed = false;
  for (const container of [...(spec.initContainers ?? []), ...spec.containers]) {
    if ((container.volumeMounts ?? []).some((mount: AnyObject) => mount.mountPath === MOUNT_PATH)) continue;
    container.volumeMounts = (container.volumeMounts ?? []).concat({ name, readOnly: true, mountPath: MOUNT_PATH });
    needed = true;
  }
  if (!needed || existing !== undefined) return;
  spec.volumes = (spec.volumes ?? []).concat({
    name,
    projected: {
      sources: [
        { serviceAccountToken: { expirationSeconds: TOKEN_SECONDS, path: "token" } },
        { configMap: { name: "kube-root-ca.crt", items: [{ key: "ca.crt", path: "ca.crt" }] } },
        {
          downwardAPI: {
            items: [{ path: "namespace", fieldRef: { apiVersion: "v1", fieldPath: "metadata.namespace" } }],
          },
        },
      ],
      defaultMode: 0o644,
    },
  });
}

function checkSecrets(request: AdmissionRequest, account: AnyObject): void {
  const { spec } = request.object;
  const allowed = new Set((account.secrets ?? []).map(({ name }: AnyObject) => name));
  const because = (what: string) =>
    refuse(
      request,
      `${what} is not allowed because service account ${account.metadata.name} does not reference that secret`,
    );
  for (const volume of spec.volumes ?? []) {
    const secret = volume.secret?.secretName;
    if (secret && !allowed.has(secret)) throw because(`volume with secret.secretName=${JSON.stringify(secret)}`);
  }
  const kinds = [
    ["initContainers", "init container"],
    ["containers", "container"],
    ["ephemeralContainers", "ephemeral container"],
  ] as const;
  for (const [list, words] of kinds)
    for (const container of spec[list] ?? []) {
      for (const variable of container.env ?? []) {
        const secret = variable.valueFrom?.secretKeyRef?.name;
        if (secret !== undefined && !allowed.has(secret))
          throw because(
            `${words} ${container.name} with envVar ${variable.name} referencing secret.secretName=${JSON.stringify(secret)}`,
          );
      }
      for (const source of container.envFrom ?? []) {
        const secret = source.secretRef?.name;
        if (secret !== undefined && !allowed.has(secret))
          throw because(
            `${words} ${container.name} with envFrom referencing secret.secretName=${JSON.stringify(secret)}`,
          );
      }
    }
  const pullable = new Set((account.imagePullSecrets ?? []).map(({ name }: AnyObject) => name));
  for (const [i, { name }] of (spec.imagePullSecrets ?? []).entries())
    if (!pullable.has(name))
      throw refuse(
        request,
        `imagePullSecrets[${i}].name=${JSON.stringify(name)} is not allowed because service account ${account.metadata.name} does not reference that imagePullSecret`,
      );
}
