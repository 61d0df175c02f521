// Prints the table of protobuf messages that the embedded API server decodes request bodies with
// (crates/apiserver/src/protobuf/messages.table), from the Go types of the Kubernetes API.
//
//	go run . > ../../src/protobuf/messages.table
//
// A line `= apiVersion Kind Message` names the message of a kind. A line `Message` begins a message; the lines after it
// are its fields: number, JSON name, form, flags. Forms: s text, y bytes, i integer, b boolean, f float, a message's
// name; `[]` before a form is a list, `{}` a map from text. Flags: `k` keeps zero values (pointer, or no omitempty),
// `^` has its members in the holder (inline).
package main

import (
	"fmt"
	"reflect"
	"sort"
	"strings"

	admissionregistration "k8s.io/api/admissionregistration/v1"
	apps "k8s.io/api/apps/v1"
	authentication "k8s.io/api/authentication/v1"
	authorization "k8s.io/api/authorization/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscaling "k8s.io/api/autoscaling/v2"
	batch "k8s.io/api/batch/v1"
	coordination "k8s.io/api/coordination/v1"
	core "k8s.io/api/core/v1"
	discovery "k8s.io/api/discovery/v1"
	events "k8s.io/api/events/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	rbac "k8s.io/api/rbac/v1"
	scheduling "k8s.io/api/scheduling/v1"
	storage "k8s.io/api/storage/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var roots = map[string][]any{
	"v1": {core.Namespace{}, core.ConfigMap{}, core.Secret{}, core.Service{}, core.ServiceAccount{}, core.Pod{}, core.Node{},
		core.Endpoints{}, core.Event{}, core.PersistentVolumeClaim{}, core.PersistentVolume{}, core.LimitRange{},
		core.ResourceQuota{}, core.PodTemplate{}, core.ReplicationController{}, core.Binding{}, meta.DeleteOptions{}},
	"apps/v1":                         {apps.Deployment{}, apps.StatefulSet{}, apps.DaemonSet{}, apps.ReplicaSet{}, apps.ControllerRevision{}},
	"batch/v1":                        {batch.Job{}, batch.CronJob{}},
	"rbac.authorization.k8s.io/v1":    {rbac.Role{}, rbac.RoleBinding{}, rbac.ClusterRole{}, rbac.ClusterRoleBinding{}},
	"coordination.k8s.io/v1":          {coordination.Lease{}},
	"discovery.k8s.io/v1":             {discovery.EndpointSlice{}},
	"networking.k8s.io/v1":            {networking.Ingress{}, networking.NetworkPolicy{}, networking.IngressClass{}},
	"policy/v1":                       {policy.PodDisruptionBudget{}, policy.Eviction{}},
	"storage.k8s.io/v1":               {storage.StorageClass{}},
	"scheduling.k8s.io/v1":            {scheduling.PriorityClass{}},
	"autoscaling/v1":                  {autoscalingv1.Scale{}},
	"autoscaling/v2":                  {autoscaling.HorizontalPodAutoscaler{}},
	"events.k8s.io/v1":                {events.Event{}},
	"authentication.k8s.io/v1":        {authentication.TokenReview{}, authentication.TokenRequest{}, authentication.SelfSubjectReview{}},
	"authorization.k8s.io/v1":         {authorization.SubjectAccessReview{}, authorization.SelfSubjectAccessReview{}, authorization.SelfSubjectRulesReview{}, authorization.LocalSubjectAccessReview{}},
	"admissionregistration.k8s.io/v1": {admissionregistration.MutatingWebhookConfiguration{}, admissionregistration.ValidatingWebhookConfiguration{}, admissionregistration.ValidatingAdmissionPolicy{}, admissionregistration.ValidatingAdmissionPolicyBinding{}},
}

// Messages that the decoder knows by itself, because their JSON is not that of a structure.
var special = map[string]bool{"IntOrString": true, "Quantity": true, "Time": true, "MicroTime": true, "Duration": true,
	"RawExtension": true, "FieldsV1": true}

var seen = map[string]reflect.Type{}

func nameOf(t reflect.Type) string {
	if special[t.Name()] {
		return t.Name()
	}
	parts := strings.Split(t.PkgPath(), "/")
	return strings.Join(parts[len(parts)-2:], ".") + "." + t.Name()
}

func form(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Pointer:
		return form(t.Elem())
	case reflect.String:
		return "s"
	case reflect.Bool:
		return "b"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "i"
	case reflect.Float32, reflect.Float64:
		return "f"
	case reflect.Slice:
		if t.Name() == "ExtraValue" {
			return "Items"
		}
		if t.Elem().Kind() == reflect.Uint8 {
			return "y"
		}
		return "[]" + form(t.Elem())
	case reflect.Map:
		return "{}" + form(t.Elem())
	case reflect.Struct:
		visit(t)
		return nameOf(t)
	}
	panic(t.String())
}

func visit(t reflect.Type) {
	name := nameOf(t)
	if special[t.Name()] || seen[name] != nil {
		return
	}
	seen[name] = t
	for i := 0; i < t.NumField(); i++ {
		if tag := t.Field(i).Tag.Get("protobuf"); tag != "" && tag != "-" {
			form(t.Field(i).Type)
		}
	}
}

func main() {
	fmt.Println("# Protobuf messages of the Kubernetes API 1.34, printed by crates/apiserver/tools/protobuf-table.")
	var kinds []string
	for version, objects := range roots {
		for _, object := range objects {
			t := reflect.TypeOf(object)
			visit(t)
			kinds = append(kinds, fmt.Sprintf("= %s %s %s", version, t.Name(), nameOf(t)))
		}
	}
	sort.Strings(kinds)
	fmt.Println(strings.Join(kinds, "\n"))
	var names []string
	for name := range seen {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		fmt.Println(name)
		t := seen[name]
		for i := 0; i < t.NumField(); i++ {
			f := t.Field(i)
			tag := f.Tag.Get("protobuf")
			if tag == "" || tag == "-" {
				continue
			}
			number := strings.Split(tag, ",")[1]
			json := strings.Split(f.Tag.Get("json"), ",")
			flags, omit, inline := "", false, false
			for _, option := range json[1:] {
				omit = omit || option == "omitempty" || option == "omitzero"
				inline = inline || option == "inline"
			}
			kind := f.Type.Kind()
			if !inline && (kind == reflect.Pointer || (!omit && kind != reflect.Slice && kind != reflect.Map)) {
				flags += "k"
			}
			jsonName := json[0]
			if inline || jsonName == "" {
				flags, jsonName = "^", "-"
			}
			fmt.Println(strings.TrimRight(fmt.Sprintf(" %s %s %s %s", number, jsonName, form(f.Type), flags), " "))
		}
	}
}
