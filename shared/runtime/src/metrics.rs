//! Metrics and health of one process, shared by the pipeline's thread and the HTTP server.
//!
//! Metrics are atomics: the row path only adds. Names begin with `headwater_` and end in their
//! unit. Health is one line per component: fine, or what is wrong with it.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A number that only grows.
#[derive(Clone, Debug, Default)]
pub struct Counter(Arc<AtomicU64>);

impl Counter {
    /// Adds.
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// The present value.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number that goes up and down.
#[derive(Clone, Debug, Default)]
pub struct Gauge(Arc<AtomicI64>);

impl Gauge {
    /// Sets.
    pub fn set(&self, value: i64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// The present value.
    pub fn get(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[derive(Debug)]
enum Value {
    Counter(Counter),
    Gauge(Gauge),
}

#[derive(Debug)]
struct Family {
    help: &'static str,
    series: BTreeMap<String, Value>,
}

#[derive(Debug, Default)]
struct Inner {
    families: BTreeMap<&'static str, Family>,
    health: BTreeMap<String, String>,
    ready: bool,
    status: String,
}

/// All metrics, health and status of a process. Clones share.
#[derive(Clone, Debug, Default)]
pub struct Registry(Arc<Mutex<Inner>>);

impl Registry {
    /// An empty one, not ready.
    pub fn new() -> Self {
        Self::default()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The counter of this name and these labels; the same one for the same arguments.
    pub fn counter(
        &self,
        name: &'static str,
        help: &'static str,
        labels: &[(&str, &str)],
    ) -> Counter {
        let mut inner = self.inner();
        let make = || Value::Counter(Counter::default());
        match series(&mut inner, name, help, labels, make) {
            Value::Counter(counter) => counter.clone(),
            Value::Gauge(_) => Counter::default(),
        }
    }

    /// The gauge of this name and these labels; the same one for the same arguments.
    pub fn gauge(&self, name: &'static str, help: &'static str, labels: &[(&str, &str)]) -> Gauge {
        let mut inner = self.inner();
        match series(&mut inner, name, help, labels, || Value::Gauge(Gauge::default())) {
            Value::Gauge(gauge) => gauge.clone(),
            Value::Counter(_) => Gauge::default(),
        }
    }

    /// Says what is wrong with a component.
    pub fn unwell(&self, component: &str, problem: &str) {
        self.inner().health.insert(component.into(), problem.into());
    }

    /// Says that a component is fine.
    pub fn well(&self, component: &str) {
        self.inner().health.remove(component);
    }

    /// Says that the process has started up and reads its sources.
    pub fn set_ready(&self, ready: bool) {
        self.inner().ready = ready;
    }

    /// Replaces the JSON object shown at `/status`.
    pub fn set_status(&self, json: String) {
        self.inner().status = json;
    }

    /// The JSON object shown at `/status`.
    pub fn status(&self) -> String {
        let inner = self.inner();
        if inner.status.is_empty() { "{}".into() } else { inner.status.clone() }
    }

    /// Whether all is well, and a JSON object that says so or what is not.
    pub fn health(&self) -> (bool, String) {
        let inner = self.inner();
        let well = inner.ready && inner.health.is_empty();
        let status = if !inner.ready {
            "starting"
        } else if well {
            "ok"
        } else {
            "degraded"
        };
        let text = serde_json::json!({ "status": status, "problems": inner.health }).to_string();
        (well, text)
    }

    /// All metrics in Prometheus's text format.
    pub fn render(&self) -> String {
        let mut out = String::new();
        let inner = self.inner();
        for (name, family) in &inner.families {
            let kind = match family.series.values().next() {
                Some(Value::Counter(_)) => "counter",
                _ => "gauge",
            };
            let _ = writeln!(out, "# HELP {name} {}", family.help);
            let _ = writeln!(out, "# TYPE {name} {kind}");
            for (labels, value) in &family.series {
                let _ = match value {
                    Value::Counter(counter) => writeln!(out, "{name}{labels} {}", counter.get()),
                    Value::Gauge(gauge) => writeln!(out, "{name}{labels} {}", gauge.get()),
                };
            }
        }
        let name = "headwater_problem";
        let _ = writeln!(out, "# HELP {name} Components that are not well; /health says why.");
        let _ = writeln!(out, "# TYPE {name} gauge");
        for component in inner.health.keys() {
            let _ = writeln!(out, "{name}{} 1", label_text(&[("component", component)]));
        }
        out
    }
}

fn series<'a>(
    inner: &'a mut Inner,
    name: &'static str,
    help: &'static str,
    labels: &[(&str, &str)],
    make: impl FnOnce() -> Value,
) -> &'a Value {
    let family =
        inner.families.entry(name).or_insert_with(|| Family { help, series: BTreeMap::new() });
    family.series.entry(label_text(labels)).or_insert_with(make)
}

fn label_text(labels: &[(&str, &str)]) -> String {
    if labels.is_empty() {
        return String::new();
    }
    let pairs: Vec<String> = labels
        .iter()
        .map(|(name, value)| {
            let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            format!("{name}=\"{value}\"")
        })
        .collect();
    format!("{{{}}}", pairs.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_rendered_as_prometheus_reads_them() {
        let registry = Registry::new();
        registry.counter("headwater_rows_total", "Rows.", &[("source", "a\"b")]).add(2);
        registry.counter("headwater_rows_total", "Rows.", &[("source", "a\"b")]).add(1);
        registry.gauge("headwater_lag_ms", "Lag.", &[]).set(-5);
        assert_eq!(
            registry.render(),
            "# HELP headwater_lag_ms Lag.\n# TYPE headwater_lag_ms gauge\nheadwater_lag_ms -5\n\
             # HELP headwater_rows_total Rows.\n# TYPE headwater_rows_total counter\n\
             headwater_rows_total{source=\"a\\\"b\"} 3\n\
             # HELP headwater_problem Components that are not well; /health says why.\n\
             # TYPE headwater_problem gauge\n"
        );
        registry.unwell("uplink", "broker away");
        let metrics = registry.render();
        assert!(metrics.ends_with("headwater_problem{component=\"uplink\"} 1\n"), "{metrics}");
    }

    #[test]
    fn health_names_what_is_wrong() {
        let registry = Registry::new();
        assert!(!registry.health().0);
        registry.set_ready(true);
        assert!(registry.health().0);
        registry.unwell("uplink", "broker away");
        let (well, text) = registry.health();
        assert!(!well && text.contains("degraded") && text.contains("broker away"));
        registry.well("uplink");
        assert!(registry.health().0);
    }
}
