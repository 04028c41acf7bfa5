/**
 * Issues a token for a service account, bound to a pod, a secret or a node on request.
 * Upstream: pkg/registry/core/serviceaccount/storage/token.go.
 */
import { formatTime } from "../../../machinery/meta/time.ts";
import { badRequest, conflict, notFound } from "../../../machinery/status.ts";
import type { FieldError } from "../../../machinery/validation/field-error.ts";
import { invalid, invalidObject } from "../../../machinery/validation/field-error.ts";
import { writeContext } from "../../handlers/options.ts";
import { object } from "../../request.ts";
import type { Services } from "../context.ts";
import { admissionRequest, placeIn } from "../create.ts";
import { get } from "../read.ts";
import { decoded, noteBody, TOKEN_REQUEST } from "./body.ts";
import type { SpecialSubresource } from "./index.ts";

const DEFAULT_SECONDS = 3600;
const MIN_SECONDS = 600;
/** What the projected volume asks for: an hour and a little, by which the request is known. */
const PROJECTED_SECONDS = 3607;

export const token: SpecialSubresource = {
  verbs: ["create"],
  async handle(services, request, accounts, namespace) {
    const context = writeContext(services, request, "CreateOptions");
    const body = filledIn(await decoded(request, context, TOKEN_REQUEST));
    noteBody(request, body);
    const { name } = request.info;
    placeIn(accounts, namespace, body);
    const admission = admissionRequest(context, accounts, "token", "CREATE", namespace, name, body, undefined);
    await services.admission.admit(admission);
    const wanted = admission.object;
    const account: any = (await get(services, accounts, namespace, name, "")).view(accounts);
    const mismatch: FieldError[] = [];
    const said = wanted.metadata;
    if (said.name && said.name !== name)
      mismatch.push(invalid("metadata.name", said.name, "must match the service account name if specified"));
    if (mismatch.length > 0) throw invalidObject("authentication.k8s.io", "TokenRequest", name, mismatch);
    if (said.uid && said.uid !== account.metadata.uid)
      throw conflict(
        { group: "", plural: "serviceaccounts" },
        name,
        `the UID in the token request (${said.uid}) does not match the UID of the service account (${account.metadata.uid})`,
      );
    wanted.metadata = {
      name,
      namespace,
      uid: account.metadata.uid,
      creationTimestamp: formatTime(services.clock.now()),
    };
    const { spec } = wanted;
    if ((spec.audiences ?? []).length === 0) spec.audiences = [...services.accounts.audiences];
    const asked: number = spec.expirationSeconds;
    if (asked < MIN_SECONDS || asked > 2 ** 32)
      throw invalidObject("authentication.k8s.io", "TokenRequest", "", [
        invalid(
          "spec.expirationSeconds",
          asked,
          asked < MIN_SECONDS
            ? "may not specify a duration less than 10 minutes"
            : "may not specify a duration larger than 2^32 seconds",
        ),
      ]);
    await services.admission.validate(admission);
    const bound = await boundTo(services, namespace, name, spec.boundObjectRef);
    const max = services.options.serviceAccount.maxExpirationSeconds;
    let seconds = asked;
    if (max !== undefined && seconds > max) {
      context.warn(`requested expiration of ${asked} seconds shortened to ${max} seconds`);
      seconds = max;
    }
    const { extendedSeconds, audiences } = services.accounts;
    const onlyOurs = spec.audiences.every((audience: string) => audiences.includes(audience));
    const extend = extendedSeconds > 0 && asked === PROJECTED_SECONDS && bound.pod !== undefined && onlyOurs;
    const { text, credentialId } = services.accounts.sign({
      namespace,
      serviceAccount: { name, uid: account.metadata.uid },
      audiences: spec.audiences,
      expirationSeconds: extend ? Math.max(extendedSeconds, seconds) : seconds,
      ...(extend && { warnAfterSeconds: seconds }),
      ...bound,
    });
    context.annotate?.("authentication.kubernetes.io/issued-credential-id", credentialId);
    wanted.status = { token: text, expirationTimestamp: formatTime(services.clock.now() + seconds * 1000) };
    return object(201, wanted);
  },
};

/** As Go writes what nobody said. */
function filledIn(body: any): any {
  body.spec ??= {};
  if ((body.spec.audiences ?? []).length === 0) body.spec.audiences = null;
  body.spec.expirationSeconds ??= DEFAULT_SECONDS;
  body.spec.boundObjectRef ??= null;
  body.status = { token: "", expirationTimestamp: null };
  return body;
}

interface Ref {
  readonly name: string;
  readonly uid: string;
}

async function boundTo(
  services: Services,
  namespace: string,
  account: string,
  ref: any,
): Promise<{ pod?: Ref; secret?: Ref; node?: Ref }> {
  if (ref === null || ref === undefined) return {};
  const { kind = "", name = "", uid, apiVersion = "" }: Readonly<Record<string, string>> = ref;
  const resources: Readonly<Record<string, string>> = { Pod: "pods", Secret: "secrets", Node: "nodes" };
  const resource = resources[kind];
  const [group, version] = apiVersion.includes("/") ? (apiVersion.split("/") as [string, string]) : ["", apiVersion];
  if (resource === undefined || group !== "")
    throw badRequest(`cannot bind token to object of type ${group}/${version}, Kind=${kind}`);
  if (name === "") throw badRequest("Name parameter required.");
  const found = await services.cluster.live(resource, kind === "Node" ? "" : namespace, name);
  if (found === undefined) throw notFound({ group: "", plural: resource }, name);
  if (uid !== undefined && uid !== "" && uid !== found.metadata.uid)
    throw conflict(
      { group: "", plural: kind },
      name,
      `the UID in the bound object reference (${uid}) does not match the UID in record. The object might have been deleted and then recreated`,
    );
  const own = { name, uid: found.metadata.uid as string };
  if (kind === "Secret") return { secret: own };
  if (kind === "Node") return { node: own };
  if (found.spec.serviceAccountName !== account)
    throw badRequest(
      `cannot bind token for serviceaccount ${JSON.stringify(account)} to pod running with different serviceaccount name.`,
    );
  const nodeName: string | undefined = found.spec.nodeName;
  if (nodeName === undefined || nodeName === "") return { pod: own };
  const node = services.cluster.get("nodes", "", nodeName);
  return { pod: own, node: { name: nodeName, uid: node?.metadata.uid ?? "" } };
}
