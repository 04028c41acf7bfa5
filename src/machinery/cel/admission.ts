/**
 * What expressions about a request may refer to (`object`, `oldObject`, `request`, `namespaceObject`, `params`, `authorizer`), and one such
 * expression ready to run. Webhooks' match conditions and admission policies share it.
 *
 * Upstream: staging/src/k8s.io/apiserver/pkg/admission/plugin/cel/compile.go
 */
import type { Environment, StructType } from "./environment.ts";
import { compile } from "./expression.ts";
import { type Age, kubernetesEnvironment, programOf } from "./kubernetes.ts";
import { AUTHORIZER, RESOURCE_CHECK } from "./libraries/authorizer.ts";
import type { Program } from "./program.ts";
import { BOOL, DYN, equalTypes, INT, list, map, STRING, struct, TIMESTAMP, typeText, type Type } from "./types.ts";
import { CelError } from "./values.ts";

const GVK = struct("kubernetes.GroupVersionKind");
const GVR = struct("kubernetes.GroupVersionResource");
const USER_INFO = struct("kubernetes.UserInfo");
const REQUEST = struct("kubernetes.AdmissionRequest");
const NAMESPACE = struct("kubernetes.Namespace");
const NAMESPACE_METADATA = struct("kubernetes.NamespaceMetadata");
const NAMESPACE_SPEC = struct("kubernetes.NamespaceSpec");
const NAMESPACE_STATUS = struct("kubernetes.NamespaceStatus");
const NAMESPACE_CONDITION = struct("kubernetes.NamespaceCondition");
const TEXTS = map(STRING, STRING);

const FIELDS: Readonly<Record<string, Readonly<Record<string, Type>>>> = {
  [GVK.name]: { group: STRING, version: STRING, kind: STRING },
  [GVR.name]: { group: STRING, version: STRING, resource: STRING },
  [USER_INFO.name]: { username: STRING, uid: STRING, groups: list(STRING), extra: map(STRING, list(STRING)) },
  [REQUEST.name]: {
    kind: GVK,
    resource: GVR,
    subResource: STRING,
    requestKind: GVK,
    requestResource: GVR,
    requestSubResource: STRING,
    name: STRING,
    namespace: STRING,
    operation: STRING,
    userInfo: USER_INFO,
    dryRun: BOOL,
    options: DYN,
  },
  [NAMESPACE.name]: { metadata: NAMESPACE_METADATA, spec: NAMESPACE_SPEC, status: NAMESPACE_STATUS },
  [NAMESPACE_SPEC.name]: { finalizers: list(STRING) },
  [NAMESPACE_STATUS.name]: { conditions: list(NAMESPACE_CONDITION), phase: STRING },
  [NAMESPACE_CONDITION.name]: {
    status: STRING,
    type: STRING,
    lastTransitionTime: TIMESTAMP,
    message: STRING,
    reason: STRING,
  },
  [NAMESPACE_METADATA.name]: {
    name: STRING,
    generateName: STRING,
    namespace: STRING,
    labels: TEXTS,
    annotations: TEXTS,
    UID: STRING,
    creationTimestamp: TIMESTAMP,
    deletionGracePeriodSeconds: INT,
    deletionTimestamp: TIMESTAMP,
    generation: INT,
    resourceVersion: STRING,
    finalizers: list(STRING),
  },
};

function structType(name: string): StructType | undefined {
  const fields = Object.hasOwn(FIELDS, name) ? FIELDS[name]! : undefined;
  if (fields === undefined) return undefined;
  return { type: struct(name), field: (field) => (Object.hasOwn(fields, field) ? fields[field] : undefined) };
}

export interface AdmissionVariables {
  readonly params?: boolean;
  readonly authorizer?: boolean;
}

export function admissionEnvironment(age: Age, { params, authorizer }: AdmissionVariables): Environment {
  return kubernetesEnvironment(age)
    .withStructs(structType)
    .withVariables({
      object: DYN,
      oldObject: DYN,
      namespaceObject: NAMESPACE,
      request: REQUEST,
      ...(params === true && { params: DYN }),
      ...(authorizer === true && { authorizer: AUTHORIZER, "authorizer.requestResource": RESOURCE_CHECK }),
    });
}

export type CompiledExpression =
  | { readonly ok: true; readonly program: Program; readonly type: Type }
  | { readonly ok: false; readonly message: string; readonly isInternal: boolean };

/** An expression that has to give one of `types`; any type where there is none. */
export function compileExpression(env: Environment, text: string, types: readonly Type[]): CompiledExpression {
  const compiled = compile(env, text);
  if (!compiled.ok) return { ok: false, message: `compilation failed: ${compiled.message}`, isInternal: false };
  const { checked } = compiled;
  if (types.length > 0 && !types.some((type) => equalTypes(type, checked.type))) {
    const wanted =
      types.length === 1
        ? `must evaluate to ${typeText(types[0]!)}`
        : `must evaluate to one of [${types.map(typeText).join(" ")}]`;
    return { ok: false, message: `${wanted} but got ${typeText(checked.type)}`, isInternal: false };
  }
  try {
    return { ok: true, program: programOf(env, checked), type: checked.type };
  } catch (error) {
    if (!(error instanceof CelError)) throw error;
    return { ok: false, message: `program instantiation failed: ${error.message}`, isInternal: true };
  }
}
