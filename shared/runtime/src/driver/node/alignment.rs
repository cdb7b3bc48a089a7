//! Alignment: a source that runs ahead of the slowest one of its group waits for it.
//!
//! Guarantees: no record is taken from a source whose watermark is further ahead of the slowest
//! live source of its group than the drift allows, so joins and unions of sources of different
//! pace keep little of the faster one. Sources that are idle or at their end hold nobody. A bounded
//! source holds the others from the start, a live one from its first record on: nobody knows
//! whether it will ever come. Only sources of one node are aligned; a server's source that waits
//! leaves its messages with the server.

use headwater_plan::{Table, parse_duration_ms};

use super::Node;

/// The group of a source.
#[derive(Debug)]
pub(in crate::driver) struct Alignment {
    group: String,
    drift_ms: i64,
    is_bounded: bool,
}

impl Alignment {
    /// As the table's options say.
    pub(super) fn of(table: &Table) -> Option<Self> {
        let option = |key: &str| table.options.get(&format!("scan.watermark.alignment.{key}"));
        let drift_ms = option("max-drift").and_then(|text| parse_duration_ms(text))?;
        Some(Self {
            group: option("group")?.clone(),
            drift_ms: i64::try_from(drift_ms).unwrap_or(i64::MAX),
            is_bounded: match table.connector.as_str() {
                "filesystem" => !table.options.contains_key("source.monitor-interval"),
                "datagen" => table.options.contains_key("number-of-rows"),
                _ => false,
            },
        })
    }
}

impl Node {
    /// Whether a source has to wait for others of its group.
    pub(super) fn is_ahead(&self, index: usize) -> bool {
        let input = &self.inputs[index];
        let Some(alignment) = &input.alignment else { return false };
        let own = self.agent.task.watermark(input.scan);
        let others = self.inputs.iter().enumerate().filter_map(|(at, other)| {
            let its = other.alignment.as_ref()?;
            let is_live = at != index && !other.is_ended && !other.is_idle;
            let watermark = self.agent.task.watermark(other.scan);
            let holds = its.is_bounded || watermark > i64::MIN;
            (is_live && holds && its.group == alignment.group).then_some(watermark)
        });
        others.min().is_some_and(|slowest| own > slowest.saturating_add(alignment.drift_ms))
    }

    /// Says which sources wait for others.
    pub(super) fn show_held(&self) {
        for (index, input) in self.inputs.iter().enumerate() {
            if input.alignment.is_some() {
                let help = "Whether a source waits for others of its alignment group.";
                let labels = [("source", input.name.as_str())];
                let gauge = self.registry.gauge("headwater_source_waits", help, &labels);
                gauge.set(i64::from(self.is_ahead(index)));
            }
        }
    }
}
