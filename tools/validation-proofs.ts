/** Rules of the tables that nobody can break, by what makes it so: their kind, and how their conditions begin. */
export const PROOFS: Readonly<Record<string, readonly (readonly [kind: string, ...conditions: string[]])[]>> = {
  "the store takes the namespace away before the kind is asked (rest.EnsureObjectNamespaceMatchesRequestNamespace)": [
    ["any", "cluster-scoped kind and set"],
    ["shared/objectMeta", "set on a cluster scoped kind"],
  ],
  "the store puts the stored value back before the kind is asked (rest.BeforeUpdate)": [
    ["any", "changed", "lower than old"],
    ["shared/objectMetaUpdate", "changed", "lower than before"],
  ],
  "the rows of each of the kinds": [
    [
      "core/PriorityClass, RuntimeClass, StorageClass, ResourceClaim, ResourceClaimTemplate, PodGroup references",
      "name rule",
    ],
  ],
  "each address is looked at before the two are compared": [["core/Service", "dual-stack check failed to parse"]],
  "defaulting takes the configuration away": [["core/Service", "affinity None and config set"]],
  "decoding refuses what isn't JSON": [["apps/ControllerRevision", "no JSON"]],
  "a field of the internal type that the server sets and no version has": [
    ["apps/DaemonSet", "negative", "lower than before", "same though", "raised though"],
  ],
  "no version that is served has the field": [["apps/Deployment", "rollbackTo.revision negative"]],
  "a kind of no version that is served": [["apps/DeploymentRollback", ""]],
  "the server gives the object its uid before it is looked at": [["batch/Job", "generated selector but no uid"]],
  "the server sets the labels wherever it makes the selector": [["batch/Job", "label missing"]],
  "allowed since jobs may succeed early for any reason, which is always on": [
    ["batch/Job", "SuccessCriteriaMet on a NonIndexed job", "SuccessCriteriaMet without successPolicy"],
  ],
  "the stored status is put back first": [
    ["certificates.k8s.io/CertificateSigningRequest", "changed outside the status", "an Approved"],
  ],
  "every request has a user": [["certificates.k8s.io/PodCertificateRequest", "no user on the request"]],
  "taken away wherever endpoints change, and not looked at where they don't": [
    ["discovery.k8s.io/EndpointSlice", "more than 16", "bad labels", "zone key left"],
  ],
  "every request has a user and a resource": [["resource.k8s.io/ResourceClaim", "attributes cannot be built"]],
  "defaulting fills the multiplier in": [["resource.k8s.io/ResourceSlice", "no multiplier and no capacity key"]],
  "a name is generated before anything is validated; that it could not be is a 500 of its own": [
    ["any", "generateName set but name"],
  ],
  "every request has a user by then: who isn't anybody is system:anonymous, or is refused": [
    ["admissionregistration.k8s.io/ValidatingAdmissionPolicy", "no user in the request"],
    ["admissionregistration.k8s.io/MutatingAdmissionPolicy", "no user in the request"],
    ["admissionregistration.k8s.io/ValidatingAdmissionPolicyBinding", "no user in the request"],
    ["admissionregistration.k8s.io/MutatingAdmissionPolicyBinding", "no user in the request"],
    ["authentication.k8s.io/SelfSubjectReview", "no user on the request"],
    ["authorization.k8s.io/SelfSubjectAccessReview", "no user on the request"],
    ["authorization.k8s.io/SelfSubjectRulesReview", "no user on the request"],
  ],
  "the policy's own validation refuses such a paramKind": [
    ["admissionregistration.k8s.io/ValidatingAdmissionPolicyBinding", "paramKind of policy cannot be parsed"],
    ["admissionregistration.k8s.io/MutatingAdmissionPolicyBinding", "paramKind of policy cannot be parsed"],
  ],
  "what is empty after trimming is caught by the check before it (validateValidation)": [
    ["admissionregistration.k8s.io/ValidatingAdmissionPolicy", "line breaks yet empty after trim"],
  ],
  "the v1 conversion moves what all versions have alike to the top, and clears it in each version": [
    ["apiextensions.k8s.io/CustomResourceDefinition", "top level and per version", "all per version"],
  ],
  "the v1 conversion sets it to the first version's name": [
    ["apiextensions.k8s.io/CustomResourceDefinition", "differs from the first version"],
  ],
  "a control character isn't printable, which is asked first": [
    ["apiextensions.k8s.io/CustomResourceDefinition", "control character"],
  ],
  "a split text has at least one part, so the check never fails (validateSimpleJSONPath)": [
    ["apiextensions.k8s.io/CustomResourceDefinition", "not in dot form"],
  ],
  "the rows of status.acceptedNames.*, where its errors are": [
    ["apiextensions.k8s.io/CustomResourceDefinition", "bad names"],
  ],
  "a schema that passed the checks before it always makes a validator": [
    ["apiextensions.k8s.io/CustomResourceDefinition schema", "validator cannot be built"],
  ],
  "a pruned default is plain JSON, which always encodes": [
    ["apiextensions.k8s.io/CustomResourceDefinition structural", "default inside metadata cannot be processed"],
  ],
  "the schema rules forbid it first, and with an error there the conversion isn't tried": [
    [
      "shared/structuralConvert",
      "id set",
      "$ref set",
      "patternProperties set",
      "dependencies set",
      "additionalItems set",
      "definitions set",
      "items is a list",
    ],
  ],
  "custom objects are decoded as unstructured ones only": [["customresource/*", "object is no unstructured object"]],
  "a definition with dependencies is forbidden": [["customresource/*", "dependency missing"]],
  "a definition with patternProperties is forbidden": [["customresource/*", "pattern properties fail"]],
  "a definition with additionalItems is forbidden": [["customresource/*", "additionalItems not allowed"]],
  "a definition with uniqueItems true is forbidden": [["customresource/*", "uniqueItems with repeats"]],
  "numbers are decoded to int64 or float64; only json.Number would be converted here": [
    ["customresource/*", "number text cannot be converted"],
  ],
  "decoded JSON always encodes again": [["customresource/*", "item cannot be marshalled"]],
  "the status endpoint takes apiVersion and kind from the stored object": [
    ["customresource/*", "differs from the served"],
  ],
  "no caller forbids subresources": [["shared/admissionRule", "slash in a rule that allows no subresources"]],
  "defaulted to True before it is looked at": [["shared/jobSpec", "empty"]],
  "only access reviews have such requirements, and they let unknown operators pass": [
    ["shared/fieldSelectorRequirement", "unknown operator"],
  ],
  "what was decoded from JSON is JSON": [["shared/rawExtension", "no JSON"]],
  "selectable fields refuse all brackets first, and a rule's fieldPath is only told to be no valid path": [
    ["shared/fieldPath", "bracket content", "bad escape", "no closing bracket"],
  ],
  "a failure of upstream's own code": [["shared/declarativeValidation", "a declarative validator panics"]],
  "a certificate without them has no CA bit, which is told first": [
    ["certificates.k8s.io/ClusterTrustBundle", "bad basic constraints"],
  ],
  "a request is signed by its own key, which those three types alone can check": [
    ["certificates.k8s.io/PodCertificateRequest", "another key type"],
  ],
};
