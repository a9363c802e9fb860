package com.company.order;

import java.time.Duration;

public record SLO(
    Duration freshness, double completeness,
    double accuracy, double availability
) {}
