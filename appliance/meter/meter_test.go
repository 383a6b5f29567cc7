package meter_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"sallyport/appliance/meter"
)

func TestText(t *testing.T) {
	reg := meter.NewRegistry()
	visits := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "sallyport_visits_total", Help: "Visits by state."}, []string{"state"})
	reg.MustRegister(visits)
	visits.WithLabelValues("confirmed").Add(3)
	text := string(meter.Text(reg))
	for _, want := range []string{"sallyport_visits_total{state=\"confirmed\"} 3\n", "go_goroutines ", "process_open_fds "} {
		if !strings.Contains(text, want) {
			t.Errorf("the text lacks %q", want)
		}
	}
}

type failing struct{ prometheus.Collector }

func (failing) Describe(c chan<- *prometheus.Desc) {
	c <- prometheus.NewDesc("broken", "", nil, nil)
}

func (failing) Collect(c chan<- prometheus.Metric) {
	c <- prometheus.NewInvalidMetric(prometheus.NewDesc("broken", "", nil, nil), errors.New("sensor is gone"))
}

func TestTextNamesWhatIsMissing(t *testing.T) {
	reg := meter.NewRegistry()
	reg.MustRegister(failing{})
	text := string(meter.Text(reg))
	if !strings.Contains(text, "sensor is gone") || !strings.Contains(text, "go_goroutines ") {
		t.Errorf("one broken metric hides the others:\n%s", text)
	}
	if !strings.HasPrefix(text, "# ") {
		t.Error("the failure is not a comment")
	}
}
