package datamesh

import (
	"context"
	"encoding/json"
	"net/http"
	"time"
)

type DataProduct struct {
	Name     string       `json:"name"`
	Domain   string       `json:"domain"`
	Version  string       `json:"version"`
	Owner    string       `json:"owner"`
	Contract DataContract `json:"contract"`
	Ports    []DataPort   `json:"ports"`
}

type DataContract struct {
	SchemaRef      string         `json:"schema_ref"`
	SLO            SLO            `json:"slo"`
	Classification Classification `json:"classification"`
}

type SLO struct {
	Freshness    time.Duration `json:"freshness"`
	Completeness float64       `json:"completeness"`
	Accuracy     float64       `json:"accuracy"`
}

type DataPort struct {
	Type     PortType `json:"type"`
	Protocol string   `json:"protocol"`
	Endpoint string   `json:"endpoint"`
}

type PortType string

const (
	SourceAligned   PortType = "source-aligned"
	ConsumerAligned PortType = "consumer-aligned"
	Aggregate       PortType = "aggregate"
)

// === HTTP Handler ===
func NewDataProductHandler(dp *DataProduct) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /data-products/{name}", dp.handleQuery)
	mux.HandleFunc("GET /data-products/{name}/schema", dp.handleSchema)
	mux.HandleFunc("GET /data-products/{name}/slo", dp.handleSLO)
	return mux
}

func (dp *DataProduct) handleQuery(w http.ResponseWriter, r *http.Request) {
	since := r.URL.Query().Get("since")
	t, _ := time.Parse(time.RFC3339, since)
	data, cursor, err := dp.queryData(r.Context(), t)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	json.NewEncoder(w).Encode(DataProductResponse{
		Data: data, NextCursor: cursor,
		Metadata: Metadata{GeneratedAt: time.Now(), Version: dp.Version},
	})
}

// === SLO 모니터링 ===
func (m *SLOMonitor) CheckFreshness(ctx context.Context) error {
	lastUpdate, _ := m.product.getLastUpdate(ctx)
	lag := time.Since(lastUpdate)
	m.metrics.Gauge("data_product_freshness_lag_seconds").Set(lag.Seconds())
	if lag > m.product.Contract.SLO.Freshness {
		return m.alerter.Fire("freshness_violation", lag.String())
	}
	return nil
}
