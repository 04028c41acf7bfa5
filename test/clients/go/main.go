// Command clients puts Go's clients of Kubernetes to work against the executables in KUBEBUILDER_ASSETS: envtest, a manager of controller-runtime with a
// reconciler and a webhook, and client-go's typed, dynamic and metadata clients, informers, server-side apply and leader election. It prints a line for
// each thing that works and exits 1 at the first that doesn't.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	corev1apply "k8s.io/client-go/applyconfigurations/core/v1"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/client-go/util/retry"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/webhook"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
)

var widgets = schema.GroupVersionResource{Group: "example.com", Version: "v1", Resource: "widgets"}
var widgetKind = widgets.GroupVersion().WithKind("Widget")

func main() {
	log.SetLogger(zap.New(zap.WriteTo(os.Stderr)))
	ctx, cancel := context.WithTimeout(context.Background(), 240*time.Second)
	defer cancel()
	begun := time.Now()
	path := "/validate-widget"
	fail := admissionv1.Fail
	none := admissionv1.SideEffectClassNone
	environment := &envtest.Environment{
		CRDInstallOptions: envtest.CRDInstallOptions{CRDs: []*apiextensionsv1.CustomResourceDefinition{crd()}},
		WebhookInstallOptions: envtest.WebhookInstallOptions{
			ValidatingWebhooks: []*admissionv1.ValidatingWebhookConfiguration{{
				ObjectMeta: metav1.ObjectMeta{Name: "widgets"},
				Webhooks: []admissionv1.ValidatingWebhook{{
					Name:                    "widgets.example.com",
					AdmissionReviewVersions: []string{"v1"},
					SideEffects:             &none,
					FailurePolicy:           &fail,
					ClientConfig:            admissionv1.WebhookClientConfig{Service: &admissionv1.ServiceReference{Name: "x", Namespace: "default", Path: &path}},
					Rules: []admissionv1.RuleWithOperations{{
						Operations: []admissionv1.OperationType{admissionv1.Create},
						Rule:       admissionv1.Rule{APIGroups: []string{"example.com"}, APIVersions: []string{"v1"}, Resources: []string{"widgets"}},
					}},
				}},
			}},
		},
	}
	environment.ControlPlane.GetAPIServer().Configure().Append("feature-gates", "CBORServingAndStorage=true")
	_ = os.Setenv("KUBE_FEATURE_ClientsAllowCBOR", "true")
	config, err := environment.Start()
	must("envtest starts, installs a CRD and a webhook", err)
	fmt.Printf("after %d ms\n", time.Since(begun).Milliseconds())
	failure := work(ctx, config, environment)
	must("envtest stops", errors.Join(failure, environment.Stop()))
	fmt.Println("all well")
}

func work(ctx context.Context, config *rest.Config, environment *envtest.Environment) error {
	steps := []struct {
		name string
		run  func(context.Context, *rest.Config) error
	}{
		{"discovery lists groups and resources", discovers},
		{"the typed client creates, reads, updates with retries, patches, lists in pages and deletes", typed},
		{"the typed client speaks protobuf", protobuf},
		{"server-side apply owns fields, conflicts and is forced", applies},
		{"the dynamic client works on a custom resource", dynamically},
		{"the metadata client lists and watches", metadataOnly},
		{"shared informers fill themselves by WatchList and follow", informed},
		{"one of two candidates leads, and the other when it lets go", elected},
		{"a manager reconciles, its webhook refuses", func(ctx context.Context, config *rest.Config) error {
			return manages(ctx, config, environment)
		}},
		{"informers of dynamic objects and of metadata alone", factories},
		{"the dynamic client speaks CBOR", binary},
		{"a manager converts between two versions and mutates", func(ctx context.Context, config *rest.Config) error {
			return converts(ctx, config, environment)
		}},
	}
	for _, step := range steps {
		if err := step.run(ctx, config); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
		fmt.Println("ok:", step.name)
	}
	return nil
}

func must(what string, err error) {
	if err != nil {
		fmt.Println("FAILED:", what, err)
		os.Exit(1)
	}
	fmt.Println("ok:", what)
}

func discovers(_ context.Context, config *rest.Config) error {
	found, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return err
	}
	version, err := found.ServerVersion()
	if err != nil {
		return err
	}
	groups, resources, err := found.ServerGroupsAndResources()
	if err != nil {
		return err
	}
	if version.Minor != "36" || len(groups) < 15 || len(resources) < 20 {
		return fmt.Errorf("version %v, %d groups, %d lists", version, len(groups), len(resources))
	}
	if _, err := found.OpenAPISchema(); err != nil {
		return err
	}
	paths, err := found.OpenAPIV3().Paths()
	if err == nil && paths["apis/example.com/v1"] == nil {
		err = errors.New("no OpenAPI of the custom resource")
	}
	return err
}

func typed(ctx context.Context, config *rest.Config) error {
	typed, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	maps := typed.CoreV1().ConfigMaps("default")
	for i := range 7 {
		object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{GenerateName: "paged-", Labels: map[string]string{"n": fmt.Sprint(i)}}}
		if _, err := maps.Create(ctx, object, metav1.CreateOptions{}); err != nil {
			return err
		}
	}
	pages, seen, next := 0, 0, ""
	for {
		page, err := maps.List(ctx, metav1.ListOptions{Limit: 3, Continue: next, LabelSelector: "n"})
		if err != nil {
			return err
		}
		pages, seen, next = pages+1, seen+len(page.Items), page.Continue
		if next == "" {
			break
		}
	}
	if pages != 3 || seen != 7 {
		return fmt.Errorf("%d items in %d pages", seen, pages)
	}
	object, err := maps.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "typed"}}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	stale := object.DeepCopy()
	object.Data = map[string]string{"a": "1"}
	if _, err = maps.Update(ctx, object, metav1.UpdateOptions{}); err != nil {
		return err
	}
	stale.Data = map[string]string{"a": "2"}
	if _, err = maps.Update(ctx, stale, metav1.UpdateOptions{}); !apierrors.IsConflict(err) {
		return fmt.Errorf("a stale update: %v", err)
	}
	if err = retry.RetryOnConflict(retry.DefaultRetry, func() error {
		fresh, err := maps.Get(ctx, "typed", metav1.GetOptions{})
		if err == nil {
			fresh.Data = map[string]string{"a": "2"}
			_, err = maps.Update(ctx, fresh, metav1.UpdateOptions{})
		}
		return err
	}); err != nil {
		return err
	}
	for kind, body := range map[types.PatchType]string{
		types.JSONPatchType:           `[{"op":"add","path":"/data/b","value":"1"}]`,
		types.MergePatchType:          `{"data":{"c":"1"}}`,
		types.StrategicMergePatchType: `{"metadata":{"finalizers":["example.com/x"]}}`,
	} {
		if _, err = maps.Patch(ctx, "typed", kind, []byte(body), metav1.PatchOptions{}); err != nil {
			return err
		}
	}
	patched, err := maps.Get(ctx, "typed", metav1.GetOptions{})
	if err != nil || len(patched.Data) != 3 || len(patched.Finalizers) != 1 {
		return fmt.Errorf("after three patches: %v %v", patched, err)
	}
	if _, err = maps.Patch(ctx, "typed", types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{}); err != nil {
		return err
	}
	if err = maps.Delete(ctx, "typed", metav1.DeleteOptions{Preconditions: metav1.NewUIDPreconditions("other")}); !apierrors.IsConflict(err) {
		return fmt.Errorf("a precondition: %v", err)
	}
	if err = maps.DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: "n"}); err != nil {
		return err
	}
	if err = maps.Delete(ctx, "typed", metav1.DeleteOptions{}); err != nil {
		return err
	}
	if _, err = maps.Get(ctx, "typed", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		return fmt.Errorf("after its deletion: %v", err)
	}
	return nil
}

func protobuf(ctx context.Context, config *rest.Config) error {
	binary := rest.CopyConfig(config)
	binary.ContentType = runtime.ContentTypeProtobuf
	binary.AcceptContentTypes = runtime.ContentTypeProtobuf
	typed, err := kubernetes.NewForConfig(binary)
	if err != nil {
		return err
	}
	one := int32(1)
	labels := map[string]string{"app": "binary"}
	deployment := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "binary"},
		Spec: appsv1.DeploymentSpec{
			Replicas: &one,
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i"}}},
			},
		},
	}
	made, err := typed.AppsV1().Deployments("default").Create(ctx, deployment, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	if made.Spec.Template.Spec.Containers[0].TerminationMessagePath != "/dev/termination-log" {
		return errors.New("defaults are missing")
	}
	watcher, err := typed.AppsV1().Deployments("default").Watch(ctx, metav1.ListOptions{ResourceVersion: made.ResourceVersion})
	if err != nil {
		return err
	}
	defer watcher.Stop()
	scale, err := typed.AppsV1().Deployments("default").GetScale(ctx, "binary", metav1.GetOptions{})
	if err != nil {
		return err
	}
	scale.Spec.Replicas = 4
	if _, err = typed.AppsV1().Deployments("default").UpdateScale(ctx, "binary", scale, metav1.UpdateOptions{}); err != nil {
		return err
	}
	event := <-watcher.ResultChan()
	if *event.Object.(*appsv1.Deployment).Spec.Replicas != 4 {
		return fmt.Errorf("event %v", event)
	}
	return nil
}

func applies(ctx context.Context, config *rest.Config) error {
	typed, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	maps := typed.CoreV1().ConfigMaps("default")
	apply := func(manager, value string, force bool) error {
		_, err := maps.Apply(ctx, corev1apply.ConfigMap("applied", "default").WithData(map[string]string{"a": value}), metav1.ApplyOptions{FieldManager: manager, Force: force})
		return err
	}
	if err := apply("one", "1", false); err != nil {
		return err
	}
	if err := apply("two", "2", false); !apierrors.IsConflict(err) {
		return fmt.Errorf("another manager: %v", err)
	}
	if err := apply("two", "2", true); err != nil {
		return err
	}
	live, err := maps.Get(ctx, "applied", metav1.GetOptions{})
	if err != nil {
		return err
	}
	mine, err := corev1apply.ExtractConfigMap(live, "two")
	if err == nil && mine.Data["a"] != "2" {
		err = fmt.Errorf("extracted %v", mine)
	}
	return err
}

func dynamically(ctx context.Context, config *rest.Config) error {
	untyped, err := dynamic.NewForConfig(config)
	if err != nil {
		return err
	}
	resource := untyped.Resource(widgets).Namespace("default")
	// The webhook isn't served yet: its failure policy has to refuse.
	if _, err = resource.Create(ctx, widget("early", 1), metav1.CreateOptions{}); !apierrors.IsInternalError(err) {
		return fmt.Errorf("a webhook that isn't there: %v", err)
	}
	gone, err := untyped.Resource(schema.GroupVersionResource{Group: "example.com", Version: "v9", Resource: "widgets"}).List(ctx, metav1.ListOptions{})
	if !apierrors.IsNotFound(err) {
		return fmt.Errorf("a version that isn't there: %v %v", gone, err)
	}
	list, err := resource.List(ctx, metav1.ListOptions{})
	if err == nil && list.GetKind() != "WidgetList" {
		err = fmt.Errorf("kind %s", list.GetKind())
	}
	return err
}

func metadataOnly(ctx context.Context, config *rest.Config) error {
	partial, err := metadata.NewForConfig(config)
	if err != nil {
		return err
	}
	list, err := partial.Resource(corev1.SchemeGroupVersion.WithResource("configmaps")).Namespace("default").List(ctx, metav1.ListOptions{})
	if err != nil || len(list.Items) == 0 {
		return fmt.Errorf("%v %w", list, err)
	}
	resource := partial.Resource(corev1.SchemeGroupVersion.WithResource("configmaps")).Namespace("default")
	watcher, err := resource.Watch(ctx, metav1.ListOptions{ResourceVersion: list.ResourceVersion})
	if err != nil {
		return err
	}
	defer watcher.Stop()
	if err = resource.Delete(ctx, "applied", metav1.DeleteOptions{}); err != nil {
		return err
	}
	if event := <-watcher.ResultChan(); event.Object.(*metav1.PartialObjectMetadata).Name != "applied" {
		return fmt.Errorf("event %v", event)
	}
	return nil
}

func informed(ctx context.Context, config *rest.Config) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	typed, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	factory := informers.NewSharedInformerFactory(typed, time.Minute)
	names := make(chan string, 100)
	informer := factory.Core().V1().Secrets().Informer()
	if _, err = informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { names <- "+" + object.(*corev1.Secret).Name },
		UpdateFunc: func(_, object any) { names <- "~" + object.(*corev1.Secret).Name },
		DeleteFunc: func(object any) {
			if secret, ok := object.(*corev1.Secret); ok {
				names <- "-" + secret.Name
			}
		},
	}); err != nil {
		return err
	}
	secrets := typed.CoreV1().Secrets("default")
	if _, err = secrets.Create(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "before"}}, metav1.CreateOptions{}); err != nil {
		return err
	}
	factory.Start(ctx.Done())
	for kind, synced := range factory.WaitForCacheSync(ctx.Done()) {
		if !synced {
			return fmt.Errorf("%v didn't sync", kind)
		}
	}
	after, err := secrets.Create(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "after"}}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	after.Labels = map[string]string{"a": "b"}
	if _, err = secrets.Update(ctx, after, metav1.UpdateOptions{}); err != nil {
		return err
	}
	if err = secrets.Delete(ctx, "before", metav1.DeleteOptions{}); err != nil {
		return err
	}
	for _, expected := range []string{"+before", "+after", "~after", "-before"} {
		select {
		case name := <-names:
			if name != expected {
				return fmt.Errorf("%s in place of %s", name, expected)
			}
		case <-time.After(60 * time.Second):
			return fmt.Errorf("no %s", expected)
		}
	}
	return nil
}

func elected(ctx context.Context, config *rest.Config) error {
	typed, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	leaders := make(chan string, 2)
	candidate := func(ctx context.Context, name string) {
		leaderelection.RunOrDie(ctx, leaderelection.LeaderElectionConfig{
			Lock: &resourcelock.LeaseLock{
				LeaseMeta:  metav1.ObjectMeta{Namespace: "default", Name: "leader"},
				Client:     typed.CoordinationV1(),
				LockConfig: resourcelock.ResourceLockConfig{Identity: name},
			},
			LeaseDuration:   3 * time.Second,
			RenewDeadline:   2 * time.Second,
			RetryPeriod:     200 * time.Millisecond,
			ReleaseOnCancel: true,
			Callbacks: leaderelection.LeaderCallbacks{
				OnStartedLeading: func(context.Context) { leaders <- name },
				OnStoppedLeading: func() {},
			},
		})
	}
	first, lose := context.WithCancel(ctx)
	go candidate(first, "one")
	if name := <-leaders; name != "one" {
		return fmt.Errorf("%s leads", name)
	}
	second, end := context.WithCancel(ctx)
	defer end()
	go candidate(second, "two")
	lose()
	select {
	case <-leaders:
		return nil
	case <-time.After(60 * time.Second):
		return errors.New("nobody leads")
	}
}

func manages(ctx context.Context, config *rest.Config, environment *envtest.Environment) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	hooks := environment.WebhookInstallOptions
	manager, err := ctrl.NewManager(config, ctrl.Options{
		Scheme:  clientgoscheme.Scheme,
		Metrics: server.Options{BindAddress: "0"},
		WebhookServer: webhook.NewServer(webhook.Options{
			Host: hooks.LocalServingHost, Port: hooks.LocalServingPort, CertDir: hooks.LocalServingCertDir,
		}),
	})
	if err != nil {
		return err
	}
	manager.GetWebhookServer().Register("/validate-widget", &admission.Webhook{Handler: admission.HandlerFunc(
		func(_ context.Context, request admission.Request) admission.Response {
			if request.Name == "refused" {
				return admission.Denied("that name is taken")
			}
			return admission.Allowed("").WithWarnings("a widget")
		})})
	kind := &unstructured.Unstructured{}
	kind.SetGroupVersionKind(widgetKind)
	if err = ctrl.NewControllerManagedBy(manager).For(kind).Owns(&corev1.ConfigMap{}).Complete(&reconciler{manager.GetClient()}); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- manager.Start(ctx) }()
	if !manager.GetCache().WaitForCacheSync(ctx) {
		return errors.New("the caches didn't sync")
	}
	direct, err := client.New(config, client.Options{})
	if err != nil {
		return err
	}
	var last error
	if err = wait.PollUntilContextTimeout(ctx, 20*time.Millisecond, 60*time.Second, true, func(ctx context.Context) (bool, error) {
		err := direct.Create(ctx, widget("good", 3))
		if ctx.Err() == nil && (last == nil || err == nil || apierrors.ReasonForError(err) != metav1.StatusReasonUnknown) {
			last = err
		}
		return err == nil, nil
	}); err != nil {
		return fmt.Errorf("%w: %v", err, last)
	}
	if err = direct.Create(ctx, widget("refused", 3)); !apierrors.IsForbidden(err) {
		return fmt.Errorf("what the webhook refuses: %v", err)
	}
	if err = direct.Create(ctx, widget("small", -1)); !apierrors.IsInvalid(err) {
		return fmt.Errorf("what the schema refuses: %v", err)
	}
	if err = wait.PollUntilContextTimeout(ctx, 20*time.Millisecond, 60*time.Second, true, func(ctx context.Context) (bool, error) {
		var child corev1.ConfigMap
		if err := direct.Get(ctx, client.ObjectKey{Namespace: "default", Name: "good"}, &child); err != nil {
			return false, client.IgnoreNotFound(err)
		}
		live := widget("good", 0)
		if err := direct.Get(ctx, client.ObjectKeyFromObject(live), live); err != nil {
			return false, err
		}
		ready, _, _ := unstructured.NestedBool(live.Object, "status", "ready")
		return ready && child.Data["size"] == "3", nil
	}); err != nil {
		return fmt.Errorf("it wasn't reconciled: %w", err)
	}
	cancel()
	return <-ended
}

// reconciler keeps a config map beside each widget.
type reconciler struct{ client.Client }

func (r *reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	parent := &unstructured.Unstructured{}
	parent.SetGroupVersionKind(widgetKind)
	if err := r.Get(ctx, request.NamespacedName, parent); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	size, _, _ := unstructured.NestedInt64(parent.Object, "spec", "size")
	child := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: request.Namespace, Name: request.Name}}
	if _, err := controllerutil.CreateOrPatch(ctx, r.Client, child, func() error {
		child.Data = map[string]string{"size": fmt.Sprint(size)}
		return controllerutil.SetControllerReference(parent, child, r.Scheme())
	}); err != nil {
		return ctrl.Result{}, err
	}
	before := parent.DeepCopy()
	if err := unstructured.SetNestedField(parent.Object, true, "status", "ready"); err != nil {
		return ctrl.Result{}, err
	}
	return ctrl.Result{}, r.Status().Patch(ctx, parent, client.MergeFrom(before))
}

func widget(name string, size int64) *unstructured.Unstructured {
	object := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{"size": size}}}
	object.SetGroupVersionKind(widgetKind)
	object.SetNamespace("default")
	object.SetName(name)
	return object
}

func crd() *apiextensionsv1.CustomResourceDefinition {
	zero := 0.0
	return &apiextensionsv1.CustomResourceDefinition{
		ObjectMeta: metav1.ObjectMeta{Name: "widgets.example.com"},
		Spec: apiextensionsv1.CustomResourceDefinitionSpec{
			Group: "example.com",
			Scope: apiextensionsv1.NamespaceScoped,
			Names: apiextensionsv1.CustomResourceDefinitionNames{Plural: "widgets", Singular: "widget", Kind: "Widget", ListKind: "WidgetList"},
			Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{
				Name: "v1", Served: true, Storage: true,
				Subresources: &apiextensionsv1.CustomResourceSubresources{Status: &apiextensionsv1.CustomResourceSubresourceStatus{}},
				Schema: &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{
					Type: "object",
					Properties: map[string]apiextensionsv1.JSONSchemaProps{
						"spec":   {Type: "object", Properties: map[string]apiextensionsv1.JSONSchemaProps{"size": {Type: "integer", Minimum: &zero}}},
						"status": {Type: "object", Properties: map[string]apiextensionsv1.JSONSchemaProps{"ready": {Type: "boolean"}}},
					},
				}},
			}},
		},
	}
}
