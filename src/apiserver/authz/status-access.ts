/**
 * Permissions that writing certain statuses takes beyond the right to write them: binding a resource claim, reporting the status of devices, and
 * signing a pod's certificate.
 * Upstream: pkg/registry/resource/utils.go, pkg/registry/certificates/podcertificaterequest/strategy.go
 */
import { semanticEqual } from "../../api/semantic-equal.ts";
import type { Resource } from "../../machinery/resource.ts";
import { type FieldError, fieldForbidden } from "../../machinery/validation/field-error.ts";
import { isDns1123Subdomain } from "../../machinery/validation/names.ts";
import type { Services, WriteContext } from "../registry/context.ts";
import type { Attributes } from "./authorizer.ts";
import { forbiddenTo } from "./refuse.ts";
import { mayActFor } from "./signers.ts";

const GROUP = "resource.k8s.io";
const NODE_NAME = "authentication.kubernetes.io/node-name";

type Refusals = readonly FieldError[];

/** What the writer of a claim's status has no right to say. */
export async function claimStatusRefusals(
  services: Services,
  context: WriteContext,
  resource: Resource,
  draft: any,
  old: any,
): Promise<Refusals> {
  if (services.featureGates.get("DRAResourceClaimGranularStatusAuthorization") === false) return [];
  const [now, before] = [draft.status ?? {}, old.status ?? {}];
  const verb = context.verb ?? "update";
  const ask = async (wanted: Pick<Attributes, "verb" | "subresource" | "namespace" | "name">) => {
    const attributes: Attributes = {
      user: context.user,
      resourceRequest: true,
      group: GROUP,
      version: resource.version,
      resource: "resourceclaims",
      path: "",
      ...wanted,
    };
    const decision = await services.authorizer.authorize(attributes);
    return decision.decision === "allow" ? undefined : forbiddenTo(attributes, decision).message;
  };
  const refusals: FieldError[] = [];
  if (!semanticEqual(now.allocation, before.allocation) || !semanticEqual(now.reservedFor, before.reservedFor)) {
    const why = await ask({ verb, subresource: "binding", namespace: "", name: "" });
    if (why !== undefined)
      refusals.push(
        fieldForbidden(
          "status.allocation",
          `changing status.allocation or status.reservedFor requires resource="resourceclaims/binding", verb="${verb}" permission: ${why}`,
        ),
      );
  }
  if (now.allocation === undefined) return refusals;
  const near = isOnAllocatedNode(context, now.allocation);
  const verbs = [...(near ? [`associated-node:${verb}`] : []), `arbitrary-node:${verb}`];
  for (const driver of changedDrivers(now.devices ?? [], before.devices ?? [])) {
    const answers = [];
    for (const one of verbs) {
      const why = await ask({ verb: one, subresource: "driver", namespace: draft.metadata.namespace, name: driver });
      answers.push(why);
      if (why === undefined) break;
    }
    if (answers.includes(undefined)) continue;
    refusals.push(
      fieldForbidden(
        "status.devices",
        `changing status.devices requires resource="resourceclaims/driver", verb="[${verbs.join(" ")}]" permission: ${answers[0]}`,
      ),
    );
  }
  return refusals;
}

function changedDrivers(now: readonly any[], before: readonly any[]): readonly string[] {
  const keyOf = ({ driver, pool, device, shareID = "" }: any) => JSON.stringify([driver, pool, device, shareID]);
  const gone = new Map(before.map((one) => [keyOf(one), one]));
  const drivers = new Set<string>();
  for (const one of now) {
    if (!semanticEqual(one, gone.get(keyOf(one)))) drivers.add(one.driver);
    gone.delete(keyOf(one));
  }
  for (const { driver } of gone.values()) drivers.add(driver);
  return [...drivers].sort();
}

/** A driver's pod on the one node that the devices are on. */
function isOnAllocatedNode({ user }: WriteContext, { nodeSelector }: any): boolean {
  const terms = nodeSelector?.nodeSelectorTerms ?? [];
  const [{ matchExpressions = [], matchFields = [] } = {} as any] = terms;
  const [field] = matchFields;
  if (terms.length !== 1 || matchExpressions.length > 0 || matchFields.length !== 1) return false;
  if (field.key !== "metadata.name" || field.operator !== "In" || field.values?.length !== 1) return false;
  const [node, ...more] = user.extra?.[NODE_NAME] ?? [];
  if (!/^system:serviceaccount:[^:]+:[^:]+$/.test(user.name) || node === undefined || more.length > 0) return false;
  return node === field.values[0] && isDns1123Subdomain(node).length === 0;
}

/** Only signers say how a request for a pod's certificate ends. */
export async function podCertificateRefusals(
  services: Services,
  { user }: WriteContext,
  draft: any,
  old: any,
): Promise<Refusals> {
  if (semanticEqual(draft.status, old.status)) return [];
  const signer: string = old.spec.signerName;
  if (await mayActFor(signer, { user, verb: "sign", authorizer: services.authorizer })) return [];
  return [
    fieldForbidden(
      "spec.signerName",
      `User ${JSON.stringify(user.name)} is not permitted to "sign" for signer ${JSON.stringify(signer)}`,
    ),
  ];
}
