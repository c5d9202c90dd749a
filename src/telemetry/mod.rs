//! Tracing set-up and the metric registry.
