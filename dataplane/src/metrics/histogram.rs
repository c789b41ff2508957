//! A histogram whose buckets are atomic: workers that observe at the same time do not wait for one another.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use prometheus_client::{
    encoding::{EncodeMetric, MetricEncoder, NoLabelSet},
    metrics::{MetricType, TypedMetric},
};

/// Upper bounds of the buckets, in microseconds; one more bucket is above all.
const BOUNDS: [u64; 12] =
    [1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 5_000_000, 30_000_000];

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
    /// Counts `duration`.
    pub(crate) fn observe(&self, duration: Duration) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        // From below: most requests are quick.
        let bucket = BOUNDS.iter().position(|bound| nanos <= bound * 1000).unwrap_or(BOUNDS.len());
        self.inner.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.inner.sum.fetch_add(nanos, Ordering::Relaxed);
    }
}

impl TypedMetric for Histogram {
    const TYPE: MetricType = MetricType::Histogram;
}

impl EncodeMetric for Histogram {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), std::fmt::Error> {
        let bounds = BOUNDS.into_iter().map(|micros| micros as f64 / 1e6).chain([f64::INFINITY]);
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
        for micros in [500, 1_000, 1_100, 31_000_000] {
            histogram.observe(Duration::from_micros(micros));
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
