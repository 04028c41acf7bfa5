/** Request bodies of subresources, whose kind is not that of the parent resource. */
import { schemaOf } from "../../../api/schemas.ts";
import type { ApiRequest } from "../../request.ts";
import type { WriteContext } from "../context.ts";
import type { Expected } from "../decode.ts";
import { decodeBody } from "../decode.ts";

export const BINDING: Expected = kind("", "v1", "Binding", "io.k8s.api.core.v1.Binding");
export const EVICTION: Expected = kind("policy", "v1", "Eviction", "io.k8s.api.policy.v1.Eviction");
export const SCALE: Expected = kind("autoscaling", "v1", "Scale", "io.k8s.api.autoscaling.v1.Scale");
export const TOKEN_REQUEST: Expected = kind(
  "authentication.k8s.io",
  "v1",
  "TokenRequest",
  "io.k8s.api.authentication.v1.TokenRequest",
);

function kind(group: string, version: string, kind: string, schemaName: string): Expected {
  return {
    group,
    version,
    kind,
    get schema() {
      return schemaOf(schemaName);
    },
  };
}

export async function bodyOf(request: ApiRequest, context: WriteContext, expected: Expected): Promise<any> {
  const body = await decoded(request, context, expected);
  noteBody(request, body);
  return body;
}

export async function decoded(request: ApiRequest, context: WriteContext, expected: Expected): Promise<any> {
  return decodeBody(await request.body(), expected, context.fieldValidation, context.warn);
}

/** For the audit, which sees what nobody said as Go writes it. */
export function noteBody({ audit }: ApiRequest, body: object): void {
  if (audit?.covers("Metadata") === true) audit.requestObject(structuredClone(body));
}

/** The Status of a create that has no object to show. */
export function success(): object {
  return { kind: "Status", apiVersion: "v1", metadata: {}, status: "Success", code: 201 };
}
