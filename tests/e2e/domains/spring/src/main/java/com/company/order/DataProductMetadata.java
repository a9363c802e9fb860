package com.company.order;

import java.time.Instant;

public record DataProductMetadata(
    Instant generatedAt, String version,
    long totalRecords, SLOStatus sloStatus
) {}
