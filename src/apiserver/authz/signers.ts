/** Who may act for a signer of certificates: permissions name the signer, or all signers of a domain. Upstream: pkg/certauthorization */
import type { UserInfo } from "../authn/user.ts";
import { type Authorizer, isAllowed, resourceAttributes } from "./authorizer.ts";

export async function mayActFor(
  signer: string,
  { user, verb, authorizer }: { readonly user: UserInfo; readonly verb: string; readonly authorizer: Authorizer },
): Promise<boolean> {
  const signers = { group: "certificates.k8s.io", version: "*", resource: "signers" };
  for (const name of [signer, `${signer.split("/")[0]}/*`])
    if (await isAllowed(authorizer, resourceAttributes({ user, verb, ...signers, name }))) return true;
  return false;
}
