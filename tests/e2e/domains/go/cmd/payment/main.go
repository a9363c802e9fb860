package main

import (
	"context"
	"fmt"
	"log"
	"net"
	"net/http"
	"time"

	datamesh "company.com/payment"
)

func main() {
	dp := &datamesh.DataProduct{
		Name: "payments", Domain: "payment", Version: "1.2.0", Owner: "payment-team@company.com",
		Contract: datamesh.DataContract{
			SchemaRef: "schemas/payments-v1.avsc",
			SLO:       datamesh.SLO{Freshness: time.Hour, Completeness: 0.995, Accuracy: 0.999},
		},
		Ports: []datamesh.DataPort{{Type: datamesh.SourceAligned, Protocol: "http", Endpoint: "/data-products/payments"}},
	}
	monitor := datamesh.NewSLOMonitor(dp)
	go func() {
		for range time.Tick(time.Minute) {
			if err := monitor.CheckFreshness(context.Background()); err != nil {
				log.Print(err)
			}
		}
	}()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("listening", listener.Addr().(*net.TCPAddr).Port)
	log.Fatal(http.Serve(listener, datamesh.NewDataProductHandler(dp)))
}
