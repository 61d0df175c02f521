// Prints the table of what field values of built-in kinds mean (crates/merge/src/types/values.table), from the Go types of
// the Kubernetes API.
//
//	go run . > ../../src/types/values.table
//
// A line `Type` begins a type; the lines after it are those of its fields about whose values there is something to know:
// JSON name, then words. `quantity`, `int-or-string`, `bytes`: how scalars are read that stand in the field, in its list or
// in its map. `zero`: the field cannot tell its zero value from being absent.
package main

import (
	"fmt"
	"reflect"
	"sort"
	"strings"

	admissionregistration "k8s.io/api/admissionregistration/v1"
	apps "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscaling "k8s.io/api/autoscaling/v2"
	batch "k8s.io/api/batch/v1"
	certificates "k8s.io/api/certificates/v1"
	coordination "k8s.io/api/coordination/v1"
	core "k8s.io/api/core/v1"
	discovery "k8s.io/api/discovery/v1"
	events "k8s.io/api/events/v1"
	flowcontrol "k8s.io/api/flowcontrol/v1"
	networking "k8s.io/api/networking/v1"
	node "k8s.io/api/node/v1"
	policy "k8s.io/api/policy/v1"
	rbac "k8s.io/api/rbac/v1"
	resource "k8s.io/api/resource/v1"
	scheduling "k8s.io/api/scheduling/v1"
	storage "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

var add = []func(*runtime.Scheme) error{admissionregistration.AddToScheme, apps.AddToScheme, autoscalingv1.AddToScheme,
	autoscaling.AddToScheme, batch.AddToScheme, certificates.AddToScheme, coordination.AddToScheme, core.AddToScheme,
	discovery.AddToScheme, events.AddToScheme, flowcontrol.AddToScheme, networking.AddToScheme, node.AddToScheme,
	policy.AddToScheme, rbac.AddToScheme, resource.AddToScheme, scheduling.AddToScheme, storage.AddToScheme}

// Scalars whose JSON is read in a way of its own, and types that are one value.
var words = map[string]string{"Quantity": "quantity", "IntOrString": "int-or-string"}
var opaque = map[string]bool{"Time": true, "MicroTime": true, "Duration": true, "RawExtension": true, "FieldsV1": true}

var types = map[string][]string{}

func nameOf(t reflect.Type) string {
	parts := strings.Split(t.PkgPath(), "/")
	return strings.Join(parts[len(parts)-2:], ".") + "." + t.Name()
}

// The word for the scalars inside a type; visits structures on the way.
func word(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Pointer, reflect.Map:
		return word(t.Elem())
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return "bytes"
		}
		return word(t.Elem())
	case reflect.Struct:
		if w, ok := words[t.Name()]; ok {
			return w
		}
		if !opaque[t.Name()] {
			visit(t)
		}
	}
	return ""
}

func visit(t reflect.Type) {
	name := nameOf(t)
	if _, seen := types[name]; seen {
		return
	}
	types[name] = nil
	types[name] = lines(t)
}

func lines(t reflect.Type) (all []string) {
	for i := 0; i < t.NumField(); i++ {
		f := t.Field(i)
		tag := strings.Split(f.Tag.Get("json"), ",")
		if f.Anonymous && tag[0] == "" {
			if f.Type.Name() != "TypeMeta" && f.Type.Name() != "ListMeta" {
				all = append(all, lines(f.Type)...)
			}
			continue
		}
		if tag[0] == "-" || tag[0] == "" || tag[0] == "status" && t.PkgPath() != "k8s.io/apimachinery/pkg/apis/meta/v1" {
			continue
		}
		line := tag[0]
		if w := word(f.Type); w != "" {
			line += " " + w
		}
		if f.Type.Kind() != reflect.Pointer {
			line += " zero"
		}
		if line != tag[0] {
			all = append(all, line)
		}
	}
	return all
}

func main() {
	scheme := runtime.NewScheme()
	for _, f := range add {
		if err := f(scheme); err != nil {
			panic(err)
		}
	}
	for kind, t := range scheme.AllKnownTypes() {
		_, isObject := t.FieldByName("ObjectMeta")
		if kind.Version != runtime.APIVersionInternal && isObject {
			visit(t)
		}
	}
	var names []string
	for name := range types {
		if len(types[name]) > 0 {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	fmt.Println("# Values of fields of Kubernetes 1.34, printed by crates/merge/tools/values-table.")
	for _, name := range names {
		fmt.Println(name)
		sort.Strings(types[name])
		for _, line := range types[name] {
			fmt.Println("  " + line)
		}
	}
}
