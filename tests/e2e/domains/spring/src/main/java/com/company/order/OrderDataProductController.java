package com.company.order;

import java.time.Instant;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RequestMapping;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.RestController;

// === Data Product REST API ===
@RestController
@RequestMapping("/data-products/orders")
public class OrderDataProductController {
    private final OrderDataProductService service;
    private final DataContractRegistry contractRegistry;

    // Not in the guide, which leaves final fields unset.
    OrderDataProductController(OrderDataProductService service, DataContractRegistry contractRegistry) {
        this.service = service;
        this.contractRegistry = contractRegistry;
    }

    @GetMapping
    public DataProductResponse<OrderSummary> getOrders(
            @RequestParam Instant since,
            @RequestParam(defaultValue = "100") int limit,
            @RequestParam(required = false) String cursor) {
        return service.queryOrders(since, limit, cursor);
    }

    @GetMapping("/schema")
    public DataContract getSchema() {
        return contractRegistry.getContract("orders-daily");
    }

    @GetMapping("/slo")
    public DataProductSLO getSLOStatus() {
        return service.currentSLOStatus();
    }
}
