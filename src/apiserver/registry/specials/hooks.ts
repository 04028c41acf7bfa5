/** What upstream's storage does around the writes of certain kinds, in addition to their strategy. */
import type { Resource } from "../../../machinery/resource.ts";
import type { FieldError } from "../../../machinery/validation/field-error.ts";
import { isSystemPriorityClass } from "../../../api/scheduling/v1/priorityclass/validation.ts";
import { forbidden, qualified } from "../../../machinery/status.ts";
import { checkEscalation } from "../../authz/escalation.ts";
import { claimStatusRefusals, podCertificateRefusals } from "../../authz/status-access.ts";
import { checkParamAccess } from "../../authz/param-access.ts";
import type { Services, WriteContext } from "../context.ts";
import { serviceHooks } from "./service.ts";

/** Called once the write is over: what was taken for it is kept or given back. */
export type Finish = (written: boolean) => void | Promise<void>;

export interface StorageHooks {
  /** Before the strategy prepares. May change the draft. */
  beginCreate?(services: Services, draft: any, context: WriteContext): Finish | Promise<Finish>;
  beginUpdate?(services: Services, draft: any, old: any, context: WriteContext): Finish | Promise<Finish>;
  /** What the writer may not say of the object, as errors of its fields; asked between preparing and validating. */
  refusals?(
    services: Services,
    subresource: string,
    draft: any,
    old: any,
    context: WriteContext,
  ): readonly FieldError[] | Promise<readonly FieldError[]>;
  /** Throws for an object that nobody takes away by its name. */
  beforeDelete?(resource: Resource, name: string): void;
  afterDelete?(services: Services, object: any): void | Promise<void>;
  /** The first delete marks the object: what else it gets then. */
  markDeleted?(object: any, now: string): any;
  /** An object that must stay although finalizers and grace are over. */
  keepsOnDelete?(object: any): boolean;
}

/** What is written is checked against what its writer may himself. */
function guarded(name: string, guard: typeof checkEscalation): StorageHooks {
  const check = async (services: Services, draft: any, old: any, context: WriteContext): Promise<Finish> => {
    await guard(services, context, services.registry.named(name)!, draft, old);
    return () => {};
  };
  return {
    beginCreate: (services, draft, context) => check(services, draft, undefined, context),
    beginUpdate: check,
  };
}

const GUARDED: readonly (readonly [group: string, guard: typeof checkEscalation, plurals: readonly string[]])[] = [
  ["rbac.authorization.k8s.io", checkEscalation, ["clusterroles", "clusterrolebindings", "roles", "rolebindings"]],
  [
    "admissionregistration.k8s.io",
    checkParamAccess,
    [
      "validatingadmissionpolicies",
      "validatingadmissionpolicybindings",
      "mutatingadmissionpolicies",
      "mutatingadmissionpolicybindings",
    ],
  ],
];

const CLAIMS = "resourceclaims.resource.k8s.io";

const HOOKS: Readonly<Record<string, StorageHooks>> = {
  services: serviceHooks,
  ...Object.fromEntries(
    GUARDED.flatMap(([group, guard, plurals]) =>
      plurals.map((plural) => [`${plural}.${group}`, guarded(`${plural}.${group}`, guard)]),
    ),
  ),
  [CLAIMS]: {
    refusals: (services, subresource, draft, old, context) =>
      subresource === "status"
        ? claimStatusRefusals(services, context, services.registry.named(CLAIMS)!, draft, old)
        : [],
  },
  "podcertificaterequests.certificates.k8s.io": {
    refusals: (services, subresource, draft, old, context) =>
      subresource === "status" ? podCertificateRefusals(services, context, draft, old) : [],
  },
  "customresourcedefinitions.apiextensions.k8s.io": { markDeleted: markDefinition },
  "priorityclasses.scheduling.k8s.io": {
    beforeDelete(resource, name) {
      if (!isSystemPriorityClass(name)) return;
      throw forbidden(resource, name, "this is a system priority class and cannot be deleted");
    },
  },
  namespaces: {
    markDeleted(namespace) {
      const { deletionGracePeriodSeconds: _, ...metadata } = namespace.metadata;
      return { ...namespace, metadata, status: { ...namespace.status, phase: "Terminating" } };
    },
    keepsOnDelete: (namespace) => (namespace.spec?.finalizers ?? []).length > 0,
  },
};

export function hooksOf(resource: Resource): StorageHooks | undefined {
  return HOOKS[qualified(resource)];
}

const CLEANUP = "customresourcecleanup.apiextensions.k8s.io";

/** A definition goes after all objects of its kind. */
function markDefinition(definition: any, now: string): any {
  const { deletionGracePeriodSeconds: _, ...metadata } = definition.metadata;
  const { finalizers = [], generation } = metadata;
  const condition = {
    type: "Terminating",
    status: "True",
    lastTransitionTime: now,
    reason: "InstanceDeletionPending",
    message: "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon",
  };
  return {
    ...definition,
    metadata: {
      ...metadata,
      // That it goes is no new wish of a definition's.
      ...(generation > 1 && { generation: generation - 1 }),
      finalizers: finalizers.includes(CLEANUP) ? finalizers : [...finalizers, CLEANUP],
    },
    status: {
      ...definition.status,
      conditions: [
        ...(definition.status?.conditions ?? []).filter(({ type }: any) => type !== "Terminating"),
        condition,
      ],
    },
  };
}
