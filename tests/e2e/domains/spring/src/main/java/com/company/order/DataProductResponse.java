package com.company.order;

import java.util.List;

// === Response ===
public record DataProductResponse<T>(
    List<T> data, String nextCursor, DataProductMetadata metadata
) {}
