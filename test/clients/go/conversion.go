package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/webhook"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
)

var things = schema.GroupVersionResource{Group: "example.com", Version: "v1", Resource: "things"}

// converts has a manager serve a conversion webhook and a mutating one for a kind with two versions: `size` in v1 is `width` in v2.
func converts(ctx context.Context, config *rest.Config, environment *envtest.Environment) error {
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
	var conversions atomic.Int32
	manager.GetWebhookServer().Register("/convert", http.HandlerFunc(func(response http.ResponseWriter, request *http.Request) {
		conversions.Add(1)
		var review apiextensionsv1.ConversionReview
		if err := json.NewDecoder(request.Body).Decode(&review); err != nil {
			http.Error(response, err.Error(), http.StatusBadRequest)
			return
		}
		review.Response = &apiextensionsv1.ConversionResponse{UID: review.Request.UID, Result: metav1.Status{Status: metav1.StatusSuccess}}
		for _, raw := range review.Request.Objects {
			object := &unstructured.Unstructured{}
			if err := object.UnmarshalJSON(raw.Raw); err != nil {
				review.Response.Result = metav1.Status{Status: metav1.StatusFailure, Message: err.Error()}
				break
			}
			from, to := "size", "width"
			if object.GroupVersionKind().Version == "v2" {
				from, to = to, from
			}
			if value, found, _ := unstructured.NestedInt64(object.Object, "spec", from); found {
				unstructured.RemoveNestedField(object.Object, "spec", from)
				_ = unstructured.SetNestedField(object.Object, value, "spec", to)
			}
			object.SetAPIVersion(review.Request.DesiredAPIVersion)
			review.Response.ConvertedObjects = append(review.Response.ConvertedObjects, runtime.RawExtension{Object: object})
		}
		review.Request = nil
		_ = json.NewEncoder(response).Encode(review)
	}))
	manager.GetWebhookServer().Register("/mutate", &admission.Webhook{Handler: admission.HandlerFunc(
		func(_ context.Context, request admission.Request) admission.Response {
			object := &unstructured.Unstructured{}
			if err := object.UnmarshalJSON(request.Object.Raw); err != nil {
				return admission.Errored(http.StatusBadRequest, err)
			}
			object.SetLabels(map[string]string{"seen-as": object.GroupVersionKind().Version})
			changed, err := object.MarshalJSON()
			if err != nil {
				return admission.Errored(http.StatusInternalServerError, err)
			}
			return admission.PatchResponseFromRaw(request.Object.Raw, changed)
		})})
	ended := make(chan error, 1)
	go func() { ended <- manager.Start(ctx) }()

	direct, err := client.New(config, client.Options{Scheme: extended()})
	if err != nil {
		return err
	}
	url := func(path string) *string {
		text := fmt.Sprintf("https://%s:%d%s", hooks.LocalServingHost, hooks.LocalServingPort, path)
		return &text
	}
	if err = direct.Create(ctx, twoVersions(*url("/convert"), hooks.LocalServingCAData)); err != nil {
		return err
	}
	fail, none, equivalent := admissionv1.Fail, admissionv1.SideEffectClassNone, admissionv1.Equivalent
	if err = direct.Create(ctx, &admissionv1.MutatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: "things"},
		Webhooks: []admissionv1.MutatingWebhook{{
			Name:                    "things.example.com",
			AdmissionReviewVersions: []string{"v1"},
			SideEffects:             &none,
			FailurePolicy:           &fail,
			MatchPolicy:             &equivalent,
			ClientConfig:            admissionv1.WebhookClientConfig{URL: url("/mutate"), CABundle: hooks.LocalServingCAData},
			Rules: []admissionv1.RuleWithOperations{{
				Operations: []admissionv1.OperationType{admissionv1.Create},
				Rule:       admissionv1.Rule{APIGroups: []string{"example.com"}, APIVersions: []string{"v2"}, Resources: []string{"things"}},
			}},
		}},
	}); err != nil {
		return err
	}
	untyped, err := dynamic.NewForConfig(config)
	if err != nil {
		return err
	}
	first := untyped.Resource(things).Namespace("default")
	second := untyped.Resource(things.GroupResource().WithVersion("v2")).Namespace("default")
	var last error
	if err = wait.PollUntilContextTimeout(ctx, 20*time.Millisecond, 60*time.Second, true, func(ctx context.Context) (bool, error) {
		_, last = first.Create(ctx, thing("v1", "size", 3), metav1.CreateOptions{})
		return last == nil, nil
	}); err != nil {
		return fmt.Errorf("%w: %v", err, last)
	}
	other, err := second.Get(ctx, "t", metav1.GetOptions{})
	if err != nil {
		return err
	}
	width, _, _ := unstructured.NestedInt64(other.Object, "spec", "width")
	if width != 3 || other.GetLabels()["seen-as"] != "v2" || conversions.Load() == 0 {
		return fmt.Errorf("in the other version: %v", other)
	}
	watcher, err := second.Watch(ctx, metav1.ListOptions{ResourceVersion: other.GetResourceVersion()})
	if err != nil {
		return err
	}
	defer watcher.Stop()
	if _, err = first.Patch(ctx, "t", types.MergePatchType, []byte(`{"spec":{"size":4}}`), metav1.PatchOptions{}); err != nil {
		return err
	}
	event := <-watcher.ResultChan()
	if width, _, _ = unstructured.NestedInt64(event.Object.(*unstructured.Unstructured).Object, "spec", "width"); width != 4 {
		return fmt.Errorf("watched in the other version: %v", event)
	}
	applied := thing("v2", "width", 5)
	if other, err = second.Apply(ctx, "t", applied, metav1.ApplyOptions{FieldManager: "go", Force: true}); err != nil {
		return err
	}
	if stored, err := first.Get(ctx, "t", metav1.GetOptions{}); err != nil {
		return err
	} else if size, _, _ := unstructured.NestedInt64(stored.Object, "spec", "size"); size != 5 {
		return fmt.Errorf("applied in the other version: %v", stored)
	}
	if err = first.Delete(ctx, "t", metav1.DeleteOptions{}); err != nil {
		return err
	}
	if err = direct.Delete(ctx, &admissionv1.MutatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: "things"}}); err != nil {
		return err
	}
	if err = direct.Delete(ctx, twoVersions("", nil)); err != nil {
		return err
	}
	cancel()
	return <-ended
}

// binary has the dynamic client speak CBOR, over a watch and an apply too.
func binary(ctx context.Context, config *rest.Config) error {
	untyped, err := dynamic.NewForConfig(config)
	if err != nil {
		return err
	}
	spoken := make(chan string, 100)
	listening := rest.CopyConfig(config)
	listening.ContentType, listening.AcceptContentTypes = "application/cbor", "application/cbor"
	listening.Wrap(func(next http.RoundTripper) http.RoundTripper { return listener{next, spoken} })
	inCbor, err := dynamic.NewForConfig(listening)
	if err != nil {
		return err
	}
	maps := schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}
	object := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "data": map[string]any{"a": "1"}}}
	object.SetName("cbor")
	made, err := inCbor.Resource(maps).Namespace("default").Create(ctx, object, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	watcher, err := inCbor.Resource(maps).Namespace("default").Watch(ctx, metav1.ListOptions{ResourceVersion: made.GetResourceVersion()})
	if err != nil {
		return err
	}
	defer watcher.Stop()
	object.Object["data"] = map[string]any{"a": "2"}
	if _, err = inCbor.Resource(maps).Namespace("default").Apply(ctx, "cbor", object, metav1.ApplyOptions{FieldManager: "go", Force: true}); err != nil {
		return err
	}
	event := <-watcher.ResultChan()
	if data, _, _ := unstructured.NestedString(event.Object.(*unstructured.Unstructured).Object, "data", "a"); data != "2" {
		return fmt.Errorf("event %v", event)
	}
	for range 3 {
		if kind := <-spoken; kind != "application/cbor" && kind != "application/cbor-seq" {
			return fmt.Errorf("the server answers in %s", kind)
		}
	}
	list, err := untyped.Resource(maps).Namespace("default").List(ctx, metav1.ListOptions{FieldSelector: "metadata.name=cbor"})
	if err != nil || len(list.Items) != 1 {
		return fmt.Errorf("%v %w", list, err)
	}
	return untyped.Resource(maps).Namespace("default").Delete(ctx, "cbor", metav1.DeleteOptions{})
}

type listener struct {
	next   http.RoundTripper
	spoken chan string
}

func (l listener) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := l.next.RoundTrip(request)
	if err == nil {
		l.spoken <- response.Header.Get("Content-Type")
	}
	return response, err
}

// factories fills dynamic informers and informers of metadata alone.
func factories(ctx context.Context, config *rest.Config) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	untyped, err := dynamic.NewForConfig(config)
	if err != nil {
		return err
	}
	partial, err := metadata.NewForConfig(config)
	if err != nil {
		return err
	}
	spaces := schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}
	whole := dynamicinformer.NewDynamicSharedInformerFactory(untyped, time.Minute)
	alone := metadatainformer.NewSharedInformerFactory(partial, time.Minute)
	stores := []cache.Store{whole.ForResource(spaces).Informer().GetStore(), alone.ForResource(spaces).Informer().GetStore()}
	whole.Start(ctx.Done())
	alone.Start(ctx.Done())
	whole.WaitForCacheSync(ctx.Done())
	alone.WaitForCacheSync(ctx.Done())
	object := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Namespace"}}
	object.SetName("informed")
	if _, err = untyped.Resource(spaces).Create(ctx, object, metav1.CreateOptions{}); err != nil {
		return err
	}
	return wait.PollUntilContextTimeout(ctx, 20*time.Millisecond, 60*time.Second, true, func(context.Context) (bool, error) {
		for _, store := range stores {
			if len(store.ListKeys()) < 4 {
				return false, errors.New("namespaces of the start are missing")
			}
			if _, found, _ := store.GetByKey("informed"); !found {
				return false, nil
			}
		}
		return true, nil
	})
}

func extended() *runtime.Scheme {
	scheme := runtime.NewScheme()
	_ = clientgoscheme.AddToScheme(scheme)
	_ = apiextensionsv1.AddToScheme(scheme)
	return scheme
}

func thing(version, field string, value int64) *unstructured.Unstructured {
	object := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{field: value}}}
	object.SetAPIVersion("example.com/" + version)
	object.SetKind("Thing")
	object.SetNamespace("default")
	object.SetName("t")
	return object
}

func twoVersions(url string, authority []byte) *apiextensionsv1.CustomResourceDefinition {
	version := func(name, field string) apiextensionsv1.CustomResourceDefinitionVersion {
		return apiextensionsv1.CustomResourceDefinitionVersion{
			Name: name, Served: true, Storage: name == "v1",
			Schema: &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{
				Type: "object",
				Properties: map[string]apiextensionsv1.JSONSchemaProps{
					"spec": {Type: "object", Properties: map[string]apiextensionsv1.JSONSchemaProps{field: {Type: "integer"}}},
				},
			}},
		}
	}
	return &apiextensionsv1.CustomResourceDefinition{
		ObjectMeta: metav1.ObjectMeta{Name: "things.example.com"},
		Spec: apiextensionsv1.CustomResourceDefinitionSpec{
			Group: "example.com",
			Scope: apiextensionsv1.NamespaceScoped,
			Names: apiextensionsv1.CustomResourceDefinitionNames{Plural: "things", Singular: "thing", Kind: "Thing", ListKind: "ThingList"},
			Conversion: &apiextensionsv1.CustomResourceConversion{
				Strategy: apiextensionsv1.WebhookConverter,
				Webhook: &apiextensionsv1.WebhookConversion{
					ConversionReviewVersions: []string{"v1"},
					ClientConfig:             &apiextensionsv1.WebhookClientConfig{URL: &url, CABundle: authority},
				},
			},
			Versions: []apiextensionsv1.CustomResourceDefinitionVersion{version("v1", "size"), version("v2", "width")},
		},
	}
}
