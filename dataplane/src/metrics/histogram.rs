//! A histogram whose buckets are atomic: workers that observe at the same time do not wait for one another.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use prometheus_client::{
    encoding::{EncodeMetric, MetricEncoder, NoLabelSet},
    metrics::{MetricType, TypedMetric},
};

/// Upper bounds of the buckets, in seconds; one more bucket is above all.
const BOUNDS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

/// A histogram of durations; clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Histogram {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    buckets: [AtomicU64; BOUNDS.len() + 1],
    /// In nanoseconds: 584 years of requests.
    sum: AtomicU64,
}

impl Histogram {
    /// Counts a duration of `seconds`.
    pub(crate) fn observe(&self, seconds: f64) {
        let bucket = BOUNDS.partition_point(|bound| *bound < seconds);
        self.inner.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.inner.sum.fetch_add((seconds * 1e9) as u64, Ordering::Relaxed);
    }
}

impl TypedMetric for Histogram {
    const TYPE: MetricType = MetricType::Histogram;
}

impl EncodeMetric for Histogram {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), std::fmt::Error> {
        let bounds = BOUNDS.into_iter().chain([f64::INFINITY]);
        let counts = self.inner.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed));
        let buckets: Vec<(f64, u64)> = bounds.zip(counts).collect();
        // From the buckets, so that the count is never below or above what they add up to.
        let count = buckets.iter().map(|(_, count)| count).sum();
        let sum = self.inner.sum.load(Ordering::Relaxed) as f64 / 1e9;
        encoder.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::{encoding::text::encode, registry::Registry};

    use super::*;

    #[test]
    fn each_duration_is_in_the_buckets_from_its_own_up() {
        let histogram = Histogram::default();
        let mut registry = Registry::default();
        registry.register("d", "durations", histogram.clone());
        for seconds in [0.0005, 0.001, 0.0011, 31.0] {
            histogram.observe(seconds);
        }
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        for line in [
            "# TYPE d histogram",
            "d_sum 31.0026",
            "d_count 4",
            r#"d_bucket{le="0.001"} 2"#,
            r#"d_bucket{le="0.0025"} 3"#,
            r#"d_bucket{le="30.0"} 3"#,
            r#"d_bucket{le="+Inf"} 4"#,
        ] {
            assert!(text.contains(line), "{line} is not in {text}");
        }
    }
}
