package com.company.order;

import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.math.BigDecimal;
import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.stereotype.Component;
import org.springframework.stereotype.Service;

// What the guide's code names without showing it, as little as makes it run: orders made up in memory.

@Service
class OrderDataProductService {
    private final Instant started = Instant.now().truncatedTo(ChronoUnit.MILLIS);
    private final List<OrderSummary> orders = IntStream.range(0, 300).mapToObj(this::order).toList();

    private OrderSummary order(int number) {
        String[] countries = {"DE", "FR", "SE"};
        String[] states = {"PLACED", "PAID", "SHIPPED", "DELIVERED"};
        return new OrderSummary(
            "O%04d".formatted(number), "customer%d@example.com".formatted(number % 50), countries[number % 3], states[number % 4],
            BigDecimal.valueOf(number * 37L % 10_000, 2), started.minusSeconds(300 - number));
    }

    DataProductResponse<OrderSummary> queryOrders(Instant since, int limit, String cursor) {
        List<OrderSummary> changed = orders.stream().filter(order -> !order.updatedAt().isBefore(since)).toList();
        int start = cursor == null ? 0 : Integer.parseInt(cursor);
        int end = Math.min(start + limit, changed.size());
        return new DataProductResponse<>(
            changed.subList(start, end), end < changed.size() ? String.valueOf(end) : null,
            new DataProductMetadata(Instant.now(), "2.1.0", orders.size(), SLOStatus.MET));
    }

    Instant lastUpdateTime() {
        return orders.get(orders.size() - 1).updatedAt();
    }

    DataProductSLO currentSLOStatus() {
        return new DataProductSLO(Duration.between(lastUpdateTime(), Instant.now()), 0.998, 0.9995, 0.9997);
    }
}

record OrderSummary(String orderId, String customerEmail, String country, String status, BigDecimal totalAmount, Instant updatedAt) {}

record DataProductSLO(Duration freshness, double completeness, double accuracy, double availability) {}

record JsonSchema(String type, Map<String, Map<String, String>> properties) {}

enum SLOStatus { MET, AT_RISK, BREACHED }

@Component
class DataContractRegistry {
    DataContract getContract(String name) {
        return new DataContract(
            name, "2.1.0", "order-team@company.com", "order",
            new JsonSchema("object", Map.of("orderId", Map.of("type", "string"), "totalAmount", Map.of("type", "number"))),
            new SLO(Duration.ofHours(1), 0.995, 0.999, 0.9995),
            new Classification(List.of("customerEmail"), Duration.ofDays(7 * 365)));
    }
}

@Configuration
class Metrics {
    @Bean
    MeterRegistry meterRegistry() {
        return new SimpleMeterRegistry();
    }
}
