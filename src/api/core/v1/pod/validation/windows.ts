/**
 * What is said for Windows: accounts that containers run as, and containers that are processes of the host.
 * Upstream: pkg/apis/core/validation/validation.go (validateWindowsSecurityContextOptions, validateWindowsHostProcessPod)
 */
import {
  byPointer,
  type FieldError,
  fieldForbidden,
  invalid,
} from "../../../../../machinery/validation/field-error.ts";
import { isDns1123Subdomain } from "../../../../../machinery/validation/names.ts";
import type { PodSpec, WindowsSecurityContextOptions } from "../../../../generated/core.v1.ts";
import { containersOf } from "./containers-of.ts";

const MAX_CREDENTIAL = 64 * 1024;
const MAX_DOMAIN = 256;
const MAX_USER = 104;
/** Those of ASCII. */
const CONTROL = /[^\P{Cc}\x80-\x9f]/u;
const NET_BIOS = /^[^\\/:*?"<>|.][^\\/:*?"<>|]{0,14}$/;
const DNS = /^[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*$/;
const ONLY_DOTS = /^[. ]+$/;
const BAD_CHARACTERS = /["/\\:;|=,+*?<>@[\]]/;

export function validateWindowsOptions(options: WindowsSecurityContextOptions | undefined, path: string): FieldError[] {
  if (options === undefined) return [];
  const { gmsaCredentialSpecName: name, gmsaCredentialSpec: spec, runAsUserName: user } = options;
  const errors: FieldError[] = [];
  if (name !== undefined)
    for (const message of isDns1123Subdomain(name))
      errors.push(invalid(`${path}.gmsaCredentialSpecName`, byPointer(name), message));
  if (spec === "")
    errors.push(invalid(`${path}.gmsaCredentialSpec`, "", "gmsaCredentialSpec cannot be an empty string"));
  else if (spec !== undefined && Buffer.byteLength(spec) > MAX_CREDENTIAL)
    errors.push(invalid(`${path}.gmsaCredentialSpec`, byPointer(spec), "gmsaCredentialSpec size must be under 64 KiB"));
  if (user !== undefined)
    for (const words of isUserName(user))
      errors.push(invalid(`${path}.runAsUserName`, byPointer(user), `runAsUserName${words}`));
  return errors;
}

/** `user` or `domain\\user`. */
function isUserName(name: string): readonly string[] {
  if (name === "") return [" cannot be an empty string"];
  if (CONTROL.test(name)) return [" cannot contain control characters"];
  const parts = name.split("\\");
  if (parts.length > 2) return [" cannot contain more than one backslash"];
  const user = parts.at(-1)!;
  const domain = parts.length === 2 ? parts[0]! : undefined;
  const errors: string[] = [];
  if (domain !== undefined) {
    if (Buffer.byteLength(domain) >= MAX_DOMAIN) errors.push(`'s Domain length must be under ${MAX_DOMAIN} characters`);
    if (!NET_BIOS.test(domain) && !DNS.test(domain))
      errors.push("'s Domain doesn't match the NetBios nor the DNS format");
  }
  if (user === "") errors.push("'s User cannot be empty");
  else if (Buffer.byteLength(user) > MAX_USER)
    errors.push(`'s User length must not be longer than ${MAX_USER} characters`);
  if (ONLY_DOTS.test(user)) errors.push("'s User cannot contain only periods or spaces");
  if (BAD_CHARACTERS.test(user)) errors.push(`'s User cannot contain the following characters: "/\\:;|=,+*?<>@[]`);
  return errors;
}

/** Either all containers of a pod are processes of the host, or none. */
export function validateHostProcesses(
  spec: PodSpec,
  path: string,
  { allowPrivileged }: { readonly allowPrivileged: boolean },
): FieldError[] {
  const ofPod = spec.securityContext?.windowsOptions?.hostProcess;
  const containers = containersOf(spec, path);
  const errors: FieldError[] = [];
  let count = 0;
  for (const { container, path: at } of containers) {
    const own = container.securityContext?.windowsOptions?.hostProcess;
    if (ofPod !== undefined && own !== undefined && ofPod !== own)
      errors.push(
        invalid(
          `${at}.securityContext.windowsOptions.hostProcess`,
          own,
          `pod hostProcess value must be identical if both are specified, was ${ofPod}`,
        ),
      );
    if (own ?? ofPod ?? false) count++;
  }
  if (count === 0) return errors;
  if (count !== containers.length)
    errors.push(
      invalid(
        path,
        "",
        "If pod contains any hostProcess containers then all containers must be HostProcess containers",
      ),
    );
  if (spec.hostNetwork !== true)
    errors.push(
      invalid(`${path}.hostNetwork`, false, "hostNetwork must be true if pod contains any hostProcess containers"),
    );
  if (!allowPrivileged) errors.push(fieldForbidden(path, "hostProcess containers are disallowed by cluster policy"));
  return errors;
}
