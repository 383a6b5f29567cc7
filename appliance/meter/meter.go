// Package meter owns the metrics of a daemon: a registry of its own and its text.
//
// It must not serve anything: the text is shown on the link only. Labels come from closed lists, never from what a person
// sent.
package meter

import (
	"bytes"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/common/expfmt"
)

// NewRegistry returns a registry with the metrics of the process itself.
func NewRegistry() *prometheus.Registry {
	reg := prometheus.NewRegistry()
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return reg
}

// Text returns everything that can be gathered, in the text format of Prometheus. What fails is named in a comment.
func Text(reg prometheus.Gatherer) []byte {
	var b bytes.Buffer
	families, err := reg.Gather()
	if err != nil {
		fmt.Fprintf(&b, "# some metrics are missing: %q\n", err)
	}
	for _, f := range families {
		if _, err := expfmt.MetricFamilyToText(&b, f); err != nil {
			fmt.Fprintf(&b, "# a metric is missing: %q\n", err)
		}
	}
	return b.Bytes()
}
