package com.company.order;

// === Data Contract + SLO 모델 ===
public record DataContract(
    String name, String version, String owner, String domain,
    JsonSchema schema, SLO slo, Classification classification
) {}
