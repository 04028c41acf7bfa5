/** Marks ServiceCIDRs as ready, and protects them while services use addresses of theirs. Upstream: pkg/controller/servicecidrs */
import type { ServiceCIDR } from "../../api/generated/networking.v1.ts";
import type { Client } from "../../client/client.ts";
import { again, defineController, done } from "../../client/controller.ts";
import { itself } from "../../client/controller-runner.ts";
import { ipAddresses, serviceCIDRs } from "../../client/resources.ts";
import { formatTime } from "../../machinery/meta/time.ts";
import { hasReason } from "../../machinery/status.ts";
import { holding, mayGo, overlapping } from "./plan.ts";

const NAME = "service-cidr-controller";
const FINALIZER = "networking.k8s.io/service-cidr-finalizer";
/** So long the allocators may take to hear that a CIDR goes, and give out its addresses. */
const GRACE_MS = 10_000;

const READY = { type: "Ready", status: "True", reason: "", message: "Kubernetes Service CIDR is ready" };
const HELD = {
  type: "Ready",
  status: "False",
  reason: "Terminating",
  message: "There are still IPAddresses referencing the ServiceCIDR, please remove them or create a new ServiceCIDR",
};

export const serviceCidrController = defineController({
  name: NAME,
  workers: { default: 5 },
  triggers: [
    itself(serviceCIDRs),
    {
      resource: serviceCIDRs,
      keys: (one, informers) => overlapping(one, informers.of(serviceCIDRs).list()),
      on: ["add", "delete"],
    },
    {
      resource: ipAddresses,
      keys: (address, informers) =>
        holding(address, informers.of(serviceCIDRs).list()).map(({ metadata }) => metadata.name),
      on: ["add", "delete"],
    },
  ],
  create: ({ informers, clock, events }) => ({
    async reconcile(name, signal, client) {
      const cidr = informers.of(serviceCIDRs).get(name);
      if (cidr === undefined) return done;
      const { deletionTimestamp, finalizers = [] } = cidr.metadata;
      if (deletionTimestamp !== undefined) {
        if (!mayGo(cidr, informers.of(serviceCIDRs).list(), informers.of(ipAddresses).list())) {
          await say(cidr, HELD, clock.now(), client, signal);
          return done;
        }
        const left = Date.parse(deletionTimestamp) + GRACE_MS - clock.now();
        if (left > 0) return again(left);
        if (finalizers.includes(FINALIZER))
          await patchFinalizer(name, "$deleteFromPrimitiveList/finalizers", client, signal);
        return done;
      }
      if (!finalizers.includes(FINALIZER)) await patchFinalizer(name, "finalizers", client, signal);
      try {
        await say(cidr, READY, clock.now(), client, signal);
      } catch (error) {
        const words = "The ServiceCIDR Status can not be set to Ready=True";
        events.event(cidr, "Warning", "KubernetesServiceCIDRError", words);
        throw error;
      }
      return done;
    },
  }),
});

async function patchFinalizer(name: string, field: string, client: Client, signal: AbortSignal): Promise<void> {
  const patch = { metadata: { [field]: [FINALIZER] } };
  try {
    await client.patch(serviceCIDRs, { name }, "application/strategic-merge-patch+json", patch, { signal });
  } catch (error) {
    if (!hasReason(error, "NotFound")) throw error;
  }
}

async function say(
  { metadata, status }: ServiceCIDR,
  condition: typeof READY,
  now: number,
  client: Client,
  signal: AbortSignal,
): Promise<void> {
  const current = status?.conditions?.find(({ type }) => type === condition.type);
  const isSaid =
    current?.status === condition.status &&
    (current.reason ?? "") === condition.reason &&
    current.message === condition.message;
  if (isSaid) return;
  await client.patch(
    serviceCIDRs,
    { name: metadata.name },
    "application/apply-patch+yaml",
    {
      apiVersion: "networking.k8s.io/v1",
      kind: "ServiceCIDR",
      metadata: { name: metadata.name },
      status: { conditions: [{ ...condition, lastTransitionTime: formatTime(now) }] },
    },
    { subresource: "status", fieldManager: NAME, force: true, signal },
  );
}
