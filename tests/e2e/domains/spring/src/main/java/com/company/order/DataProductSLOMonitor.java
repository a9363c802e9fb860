package com.company.order;

import io.micrometer.core.instrument.MeterRegistry;
import java.time.Duration;
import java.time.Instant;
import org.springframework.scheduling.annotation.Scheduled;
import org.springframework.stereotype.Component;

// === SLO 모니터링 ===
@Component
public class DataProductSLOMonitor {
    private final MeterRegistry meterRegistry;
    private final OrderDataProductService service;

    // Not in the guide, which leaves final fields unset; so are the three methods at the end.
    DataProductSLOMonitor(MeterRegistry meterRegistry, OrderDataProductService service) {
        this.meterRegistry = meterRegistry;
        this.service = service;
    }

    @Scheduled(fixedRate = 60_000)
    public void checkFreshness() {
        Instant lastUpdate = getLastUpdateTime();
        Duration lag = Duration.between(lastUpdate, Instant.now());
        meterRegistry.gauge("data_product.freshness_lag_seconds",
            lag.toSeconds());
        if (lag.compareTo(Duration.ofHours(1)) > 0) {
            alertSLOViolation("freshness", lag.toString());
        }
    }

    @Scheduled(fixedRate = 300_000)
    public void checkCompleteness() {
        meterRegistry.gauge("data_product.completeness_ratio",
            calculateCompleteness());
    }

    private Instant getLastUpdateTime() {
        return service.lastUpdateTime();
    }

    private double calculateCompleteness() {
        return service.currentSLOStatus().completeness();
    }

    private void alertSLOViolation(String objective, String detail) {
        System.err.println(objective + " " + detail);
    }
}
