/**
 * The service account as which each controller acts. The bootstrap policy grants permissions to these names, which are older than those of the
 * controllers.
 * Upstream: cmd/kube-controller-manager/app (ClientOrDie), plugin/pkg/auth/authorizer/rbac/bootstrappolicy/controller_policy.go
 */
const NAMES: Readonly<Record<string, string>> = {
  "bootstrap-signer-controller": "bootstrap-signer",
  "certificatesigningrequest-approving-controller": "certificate-controller",
  "certificatesigningrequest-cleaner-controller": "certificate-controller",
  "certificatesigningrequest-signing-controller": "certificate-controller",
  "daemonset-controller": "daemon-set-controller",
  "endpoints-controller": "endpoint-controller",
  "endpointslice-mirroring-controller": "endpointslicemirroring-controller",
  "garbage-collector-controller": "generic-garbage-collector",
  "horizontal-pod-autoscaler-controller": "horizontal-pod-autoscaler",
  "kube-apiserver-serving-clustertrustbundle-publisher-controller":
    "kube-apiserver-serving-clustertrustbundle-publisher",
  "legacy-serviceaccount-token-cleaner-controller": "legacy-service-account-token-cleaner",
  "node-ipam-controller": "node-controller",
  "node-lifecycle-controller": "node-controller",
  "token-cleaner-controller": "token-cleaner",
  "taint-eviction-controller": "node-controller",
  "persistentvolume-binder-controller": "persistent-volume-binder",
  "persistentvolume-protection-controller": "pv-protection-controller",
  "persistentvolumeclaim-protection-controller": "pvc-protection-controller",
  "pod-garbage-collector-controller": "pod-garbage-collector",
  "replicationcontroller-controller": "replication-controller",
  "root-ca-certificate-publisher-controller": "root-ca-cert-publisher",
  "service-cidr-controller": "service-cidrs-controller",
  "serviceaccount-controller": "service-account-controller",
};

export const serviceAccountOf = (controller: string): string => NAMES[controller] ?? controller;
