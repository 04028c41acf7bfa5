/** The flags of `kube-apiserver`, spelled and defaulted as upstream's. Upstream: cmd/kube-apiserver/app/options, k8s.io/apiserver/pkg/server/options */
import { withIgnored, withRefused } from "../flags.ts";
import { auditFlags } from "./audit.ts";
import { componentFlags, servingFlags } from "./component.ts";

export const kubeApiserverFlags = withRefused(
  withIgnored(
    {
      ...servingFlags(6443, "/var/run/kubernetes"),
      "tls-sni-cert-key": {
        type: "list",
        whole: true,
        default: [],
        help: "More certificates, as CERTFILE,KEYFILE or CERTFILE,KEYFILE:NAMES, chosen by the server name that the client asks for.",
      },
      "advertise-address": {
        type: "string",
        default: "",
        help: "The address at which the rest of the cluster reaches this server. Empty: --bind-address, or the machine's own.",
      },
      "external-hostname": {
        type: "string",
        default: "",
        help: "The name in the certificate that is made where there is none.",
      },
      "t8s-controllers": {
        type: "list",
        default: [],
        help: "Controllers to run in this process, by their names in kube-controller-manager's --controllers: for test environments without a controller manager, where namespaces and dependents should go. Upstream has no such flag.",
      },
      "etcd-servers": { type: "list", default: [], help: "etcd servers (scheme://host:port), comma separated." },
      "etcd-prefix": {
        type: "string",
        default: "/registry",
        help: "What all keys in etcd begin with. Only /registry can be had.",
      },
      "etcd-cafile": { type: "string", default: "", help: "The authority that etcd's certificate is checked with." },
      "etcd-certfile": { type: "string", default: "", help: "The client certificate that is shown to etcd." },
      "etcd-keyfile": { type: "string", default: "", help: "The private key of --etcd-certfile." },
      "etcd-compaction-interval": {
        type: "duration",
        default: 300_000,
        help: "How often etcd is asked to forget old revisions. 0: never.",
      },
      "storage-backend": { type: "string", default: "", help: "The storage. Only etcd3." },
      "storage-media-type": {
        type: "string",
        default: "application/vnd.kubernetes.protobuf",
        help: "How objects are to be written to etcd. Both forms are always read.",
      },
      "anonymous-auth": {
        type: "bool",
        default: true,
        help: "Let requests that nobody vouches for in as system:anonymous of the group system:unauthenticated.",
      },
      "client-ca-file": {
        type: "string",
        default: "",
        help: "Clients with a certificate of one of the authorities in this file are who its CommonName says.",
      },
      "token-auth-file": { type: "string", default: "", help: 'File with lines of token,user,uid,"groups".' },
      "enable-bootstrap-token-auth": {
        type: "bool",
        default: false,
        help: "Let secrets of type bootstrap.kubernetes.io/token in kube-system be used as tokens.",
      },
      "service-account-issuer": {
        type: "list",
        default: [],
        help: "What stands in service account tokens as their issuer: a URL. The first one signs.",
      },
      "service-account-signing-key-file": {
        type: "string",
        default: "",
        help: "File with the private key that service account tokens are signed with.",
      },
      "service-account-key-file": {
        type: "list",
        default: [],
        help: "Files with keys or certificates that service account tokens are checked with. Empty: --service-account-signing-key-file.",
      },
      "service-account-max-token-expiration": {
        type: "duration",
        default: 0,
        help: "The longest that a token may be asked for. 0: no limit.",
      },
      "service-account-extend-token-expiration": {
        type: "bool",
        default: true,
        help: "Let tokens of pods really last a year, for clients that read them once.",
      },
      "service-account-jwks-uri": {
        type: "string",
        default: "",
        help: "Where others are told that the keys of service account tokens are: an https URL. Empty: at this server.",
      },
      "service-account-lookup": {
        type: "bool",
        default: true,
        help: "Take tokens from secrets only as long as the secret is there.",
      },
      "requestheader-client-ca-file": {
        type: "string",
        default: "",
        help: "The authorities that sign for proxies, which say in headers who asks.",
      },
      "requestheader-allowed-names": {
        type: "list",
        default: [],
        help: "The CommonNames that proxies may have. Empty: any that --requestheader-client-ca-file signed.",
      },
      "requestheader-username-headers": {
        type: "list",
        default: [],
        help: "Headers that say the user. X-Remote-User is usual.",
      },
      "requestheader-uid-headers": {
        type: "list",
        default: [],
        help: "Headers that say the user's UID. X-Remote-Uid is usual.",
      },
      "requestheader-group-headers": {
        type: "list",
        default: [],
        help: "Headers that say the user's groups. X-Remote-Group is usual.",
      },
      "requestheader-extra-headers-prefix": {
        type: "list",
        default: [],
        help: "How headers begin that say what else is known of the user. X-Remote-Extra- is usual.",
      },
      "authentication-config": {
        type: "string",
        default: "",
        help: "File with an AuthenticationConfiguration: issuers whose tokens count, and who may be anonymous.",
      },
      "authentication-token-webhook-config-file": {
        type: "string",
        default: "",
        help: "kubeconfig of a webhook that is asked about tokens.",
      },
      "authentication-token-webhook-cache-ttl": {
        type: "duration",
        default: 120_000,
        help: "How long its answers are kept.",
      },
      "authentication-token-webhook-version": {
        type: "string",
        default: "v1beta1",
        help: "The version of the TokenReviews that it gets: v1 or v1beta1.",
      },
      "oidc-issuer-url": { type: "string", default: "", help: "An OpenID issuer whose tokens count: an https URL." },
      "oidc-client-id": { type: "string", default: "", help: "Whom its tokens must be for." },
      "oidc-ca-file": {
        type: "string",
        default: "",
        help: "The authority that the issuer's certificate is checked with. Empty: those that the system trusts.",
      },
      "oidc-username-claim": { type: "string", default: "sub", help: "The claim that is the user's name." },
      "oidc-username-prefix": {
        type: "string",
        default: "",
        help: "What is put before the name; - puts nothing. Empty: the issuer and #, except before an email.",
      },
      "oidc-groups-claim": { type: "string", default: "", help: "The claim that is the user's groups." },
      "oidc-groups-prefix": { type: "string", default: "", help: "What is put before each group." },
      "oidc-required-claim": { type: "map", default: {}, help: "Claims that a token must have, as name=value." },
      "oidc-signing-algs": { type: "list", default: ["RS256"], help: "The algorithms that tokens may be signed with." },
      "authorization-config": {
        type: "string",
        default: "",
        help: "File with an AuthorizationConfiguration: what decides on requests, in order. In place of --authorization-mode.",
      },
      "authorization-policy-file": {
        type: "string",
        default: "",
        help: "File with a policy in JSON on each line, for the mode ABAC.",
      },
      "authorization-webhook-config-file": {
        type: "string",
        default: "",
        help: "kubeconfig of the webhook that decides, for the mode Webhook.",
      },
      "authorization-webhook-version": {
        type: "string",
        default: "v1beta1",
        help: "The version of the SubjectAccessReviews that it gets: v1 or v1beta1.",
      },
      "authorization-webhook-cache-authorized-ttl": {
        type: "duration",
        default: 300_000,
        help: "How long it is kept that something is allowed.",
      },
      "authorization-webhook-cache-unauthorized-ttl": {
        type: "duration",
        default: 30_000,
        help: "How long it is kept that something is not.",
      },
      "api-audiences": { type: "list", default: [], help: "Whom tokens must be for. Empty: the issuer." },
      "authorization-mode": {
        type: "list",
        default: [],
        help: "What decides on requests, in order: AlwaysAllow, AlwaysDeny, ABAC, Webhook, RBAC, Node. Empty: AlwaysAllow.",
      },
      "enable-admission-plugins": {
        type: "list",
        default: [],
        help: "Admission plugins to run besides those that always do.",
      },
      "disable-admission-plugins": { type: "list", default: [], help: "Admission plugins that don't run." },
      "admission-control": {
        type: "list",
        default: [],
        deprecated:
          "Use --enable-admission-plugins or --disable-admission-plugins instead. Will be removed in a future version.",
        help: "The admission plugins that run, and no others.",
      },
      "admission-control-config-file": {
        type: "string",
        default: "",
        help: "File that configures admission plugins (AdmissionConfiguration).",
      },
      "default-not-ready-toleration-seconds": {
        type: "int",
        default: 300,
        help: "How long pods that don't say stay on a node that is not ready.",
      },
      "default-unreachable-toleration-seconds": {
        type: "int",
        default: 300,
        help: "How long pods that don't say stay on a node that can't be reached.",
      },
      "runtime-config": {
        type: "list",
        default: [],
        help: "What is served: api/all, api/ga, api/beta, api/alpha, GROUP/VERSION or GROUP/VERSION/RESOURCE, each =true or =false.",
      },
      "service-cluster-ip-range": {
        type: "string",
        default: "10.0.0.0/24",
        help: "Where services get their addresses from.",
      },
      "endpoint-reconciler-type": {
        type: "string",
        default: "lease",
        help: "Who stands in the endpoints of the service kubernetes: lease (all API servers that are there), master-count (as many as --apiserver-count says) or none (this server writes none).",
      },
      "apiserver-count": {
        type: "int",
        default: 1,
        help: "How many API servers there are, for --endpoint-reconciler-type=master-count.",
      },
      "service-node-port-range": {
        type: "string",
        default: "30000-32767",
        help: "Where services get their node ports from.",
      },
      "kubelet-certificate-authority": {
        type: "string",
        default: "",
        help: "The authority that kubelets' certificates are checked with.",
      },
      "kubelet-client-certificate": {
        type: "string",
        default: "",
        help: "The client certificate that is shown to kubelets.",
      },
      "kubelet-client-key": { type: "string", default: "", help: "The private key of --kubelet-client-certificate." },
      "proxy-client-cert-file": {
        type: "string",
        default: "",
        help: "The client certificate that is shown to extension API servers.",
      },
      "proxy-client-key-file": { type: "string", default: "", help: "The private key of --proxy-client-cert-file." },
      "request-timeout": { type: "duration", default: 60_000, help: "How long a request may take that is no watch." },
      "enable-priority-and-fairness": {
        type: "bool",
        default: true,
        help: "Let requests wait for seats of their priority level in fair queues. Otherwise they are only counted.",
      },
      "max-requests-inflight": {
        type: "int",
        default: 400,
        help: "With priority and fairness, its seats together with --max-mutating-requests-inflight; else the most reading requests at a time.",
      },
      "max-mutating-requests-inflight": {
        type: "int",
        default: 200,
        help: "With priority and fairness, its seats together with --max-requests-inflight; else the most writing requests at a time.",
      },
      "tracing-config-file": {
        type: "string",
        default: "",
        help: "File that says where spans are sent, and of how many requests.",
      },
      "allow-privileged": { type: "bool", default: false, help: "Take pods with privileged containers." },
      "delete-collection-workers": {
        type: "int",
        default: 1,
        help: "How many objects of a collection are deleted at the same time.",
      },
      "event-ttl": { type: "duration", default: 3_600_000, help: "How long events are kept." },
      "goaway-chance": {
        type: "float",
        default: 0,
        help: "How likely a request over HTTP/2 has its client connect anew, between 0 and 0.02: connections are then balanced again.",
      },
      "livez-grace-period": {
        type: "duration",
        default: 0,
        help: "How long after its start the server is alive though it isn't ready.",
      },
      "shutdown-delay-duration": {
        type: "duration",
        default: 0,
        help: "How long the server serves on, and says that it is not ready, before it ends.",
      },
      "shutdown-send-retry-after": {
        type: "bool",
        default: false,
        help: "Listen until the requests under way are over, and send new ones away with 429 and Retry-After.",
      },
      "shutdown-watch-termination-grace-period": {
        type: "duration",
        default: 0,
        help: "Over how long a time watches are ended when the server ends.",
      },
      "encryption-provider-config": {
        type: "string",
        default: "",
        help: "File that says which resources are encrypted in etcd, and how.",
      },
      "encryption-provider-config-automatic-reload": {
        type: "bool",
        default: false,
        help: "Read --encryption-provider-config anew when it changes.",
      },
      ...auditFlags,
      ...componentFlags,
      "min-request-timeout": {
        type: "int",
        default: 1800,
        help: "Seconds that a watch without a timeout lives, or up to twice as many.",
      },
    },
    `aggregator-reject-forwarding-redirect:bool cloud-provider cloud-config cors-allowed-origins:list
    default-watch-cache-size:int
    enable-aggregator-routing:bool enable-garbage-collector:bool enable-logs-handler:bool
    etcd-count-metric-poll-period:duration etcd-db-metric-poll-interval:duration etcd-healthcheck-timeout:duration etcd-readycheck-timeout:duration
    etcd-servers-overrides:list identity-lease-duration-seconds:int identity-lease-renew-interval-seconds:int
    kubelet-port:int kubelet-preferred-address-types:list kubelet-timeout:duration kubernetes-service-node-port:int
    lease-reuse-duration-seconds:int max-connection-bytes-per-sec:int peer-advertise-ip peer-advertise-port
    peer-ca-file proxy-cipher-suites:list
    storage-initialization-timeout:duration strict-transport-security-directives:list target-ram-mb:int watch-cache:bool watch-cache-sizes:list
    debug-socket-path`,
  ),
  {
    "egress-selector-config-file": "connections would not go through the proxies in the file",
    "service-account-signing-endpoint": "tokens are signed with a file's key only",
  },
);
