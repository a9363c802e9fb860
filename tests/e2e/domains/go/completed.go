package datamesh

// What the guide's code names without showing it, as little as makes it run: payments made up in memory.

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"
)

type Classification struct {
	PiiFields []string `json:"pii_fields"`
}

type DataProductResponse struct {
	Data       []Payment
	NextCursor string
	Metadata   Metadata
}

type Metadata struct {
	GeneratedAt time.Time
	Version     string
}

type Payment struct {
	PaymentId string
	OrderId   string
	Amount    json.Number
	Method    string
	UpdatedAt time.Time
}

type SLOMonitor struct {
	product *DataProduct
	metrics *gauges
	alerter alerter
}

func NewSLOMonitor(dp *DataProduct) *SLOMonitor {
	return &SLOMonitor{product: dp, metrics: &gauges{values: map[string]float64{}}}
}

type gauges struct {
	mutex  sync.Mutex
	values map[string]float64
}

type gauge struct {
	of   *gauges
	name string
}

func (g *gauges) Gauge(name string) gauge { return gauge{g, name} }

func (g gauge) Set(value float64) {
	g.of.mutex.Lock()
	defer g.of.mutex.Unlock()
	g.of.values[g.name] = value
}

type alerter struct{}

func (alerter) Fire(name, detail string) error { return errors.New(name + ": " + detail) }

var payments = makePayments()

func makePayments() []Payment {
	made := make([]Payment, 0, 240)
	now := time.Now().UTC()
	for number := 0; number < 240; number++ {
		made = append(made, Payment{
			PaymentId: fmt.Sprintf("P%04d", number),
			OrderId:   fmt.Sprintf("O%04d", number*7%120),
			Amount:    json.Number(fmt.Sprintf("%d.%02d", number*13%500, number%100)),
			Method:    []string{"CARD", "WALLET", "BANK_TRANSFER"}[number%3],
			UpdatedAt: now.Add(time.Duration(number-240) * time.Second),
		})
	}
	return made
}

func (dp *DataProduct) queryData(_ context.Context, since time.Time) ([]Payment, string, error) {
	var found []Payment
	for _, payment := range payments {
		if !payment.UpdatedAt.Before(since) {
			found = append(found, payment)
		}
	}
	return found, "", nil
}

func (dp *DataProduct) getLastUpdate(_ context.Context) (time.Time, error) {
	return payments[len(payments)-1].UpdatedAt, nil
}

func (dp *DataProduct) handleSchema(w http.ResponseWriter, _ *http.Request) {
	json.NewEncoder(w).Encode(dp.Contract)
}

func (dp *DataProduct) handleSLO(w http.ResponseWriter, r *http.Request) {
	lastUpdate, _ := dp.getLastUpdate(r.Context())
	json.NewEncoder(w).Encode(SLO{Freshness: time.Since(lastUpdate), Completeness: 1, Accuracy: 1})
}
