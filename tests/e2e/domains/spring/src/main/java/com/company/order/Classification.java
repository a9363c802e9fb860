package com.company.order;

import java.time.Duration;
import java.util.List;

public record Classification(List<String> piiFields, Duration retention) {}
