//! A gauge that is read from where the number lives, when somebody asks.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use prometheus_client::{
    encoding::{EncodeMetric, MetricEncoder},
    metrics::{MetricType, TypedMetric},
};

type Source = Box<dyn Fn() -> Option<u32> + Send + Sync>;

/// The sum of its sources; clones share it.
#[derive(Clone, Default)]
pub(crate) struct SampledGauge {
    sources: Arc<Mutex<Vec<Source>>>,
}

impl SampledGauge {
    /// Adds a source: it answers none when what it counts is no more, and is not asked again.
    pub(crate) fn add(&self, source: impl Fn() -> Option<u32> + Send + Sync + 'static) {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(source));
    }

    /// The sum now.
    fn sample(&self) -> u32 {
        let mut sum = 0;
        self.sources.lock().unwrap_or_else(PoisonError::into_inner).retain(|source| {
            let number = source();
            sum += number.unwrap_or(0);
            number.is_some()
        });
        sum
    }
}

impl fmt::Debug for SampledGauge {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SampledGauge")
    }
}

impl TypedMetric for SampledGauge {
    const TYPE: MetricType = MetricType::Gauge;
}

impl EncodeMetric for SampledGauge {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), fmt::Error> {
        encoder.encode_gauge(&self.sample())
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_more_is_not_asked_again() {
        let gauge = SampledGauge::default();
        let number = Arc::new(3);
        let weak = Arc::downgrade(&number);
        gauge.add(move || weak.upgrade().map(|number| *number));
        gauge.add(|| Some(4));
        assert_eq!(gauge.sample(), 7);
        drop(number);
        assert_eq!((gauge.sample(), gauge.sources.lock().unwrap().len()), (4, 1));
    }
}
