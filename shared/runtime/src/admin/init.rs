//! `init`: a commented configuration and a first pipeline.
//!
//! Guarantees: never overwrites a file; what it writes passes `check`.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use crate::admin::Failure;
use crate::config::{agent_template, aggregator_template};
use crate::exit::Exit;

/// Which program the files are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `agent.toml`.
    Agent,
    /// `aggregator.toml`.
    Aggregator,
}

/// Writes the configuration and `pipeline.sql` into `dir` and returns their paths.
///
/// # Errors
/// When one of the files is there already, or cannot be written.
pub fn init(dir: &Path, kind: Kind) -> Result<Vec<PathBuf>, Failure> {
    let broker = "mqtt://localhost:1883";
    let (name, config) = match kind {
        Kind::Agent => ("agent.toml", agent_template("gateway-1", "agent-state", broker)),
        Kind::Aggregator => {
            ("aggregator.toml", aggregator_template("core", "aggregator-state", broker))
        }
    };
    let files = [(dir.join(name), config.as_str()), (dir.join("pipeline.sql"), PIPELINE)];
    for (path, _) in &files {
        if path.exists() {
            return Err(taken(path));
        }
    }
    std::fs::create_dir_all(dir).map_err(|error| failed(dir, &error))?;
    for (path, text) in &files {
        let file = OpenOptions::new().write(true).create_new(true).open(path);
        let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
        written.map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => taken(path),
            _ => failed(path, &error),
        })?;
    }
    Ok(files.map(|(path, _)| path).into())
}

fn taken(path: &Path) -> Failure {
    let message = format!("{} is there already", path.display());
    Failure::new(Exit::Failed, message, "name another directory with --dir, or move the file")
}

fn failed(path: &Path, error: &std::io::Error) -> Failure {
    let message = format!("cannot write {}: {error}", path.display());
    Failure::new(Exit::Failed, message, "check the path and its permissions")
}

const PIPELINE: &str = "\
-- A first pipeline: 1-minute averages per sensor. The agent aggregates what it receives over
-- MQTT; the aggregator merges what all agents send and writes one file. The same file is given
-- to both programs. Try it without either: run --standalone pipeline.sql

CREATE TABLE readings (
  device STRING,
  sensor STRING,
  ts BIGINT,                                    -- ms since 1970, UTC
  `value` DOUBLE,
  rt AS TO_TIMESTAMP_LTZ(ts, 3),
  WATERMARK FOR rt AS rt - INTERVAL '5' SECOND  -- readings may come 5 s out of order
) WITH (
  'connector' = 'mqtt',
  'url' = 'mqtt://localhost:1883',
  'topic' = 'sensors/#',
  'qos' = '1',
  'format' = 'json'
);

CREATE TABLE minutes (
  device STRING,
  sensor STRING,
  window_start TIMESTAMP(3),
  n BIGINT,
  mean DOUBLE,
  PRIMARY KEY (device, sensor, window_start) NOT ENFORCED
) WITH (
  'connector' = 'filesystem',
  'path' = 'minutes.ndjson',
  'format' = 'changelog-json'                   -- a late gateway corrects a row
);

INSERT INTO minutes
SELECT device, sensor, window_start, COUNT(*), AVG(`value`)
FROM TABLE(TUMBLE(TABLE readings, DESCRIPTOR(rt), INTERVAL '1' MINUTE))
GROUP BY device, sensor, window_start, window_end;
";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{AgentConfig, AggregatorConfig};

    #[test]
    fn what_is_written_can_be_read_and_is_never_overwritten() {
        let dir = std::env::temp_dir().join(format!("hw-init-{}", std::process::id()));
        let files = init(&dir, Kind::Agent).unwrap();
        assert_eq!(files[1], dir.join("pipeline.sql"));
        AgentConfig::load(&files[0]).unwrap();
        let again = init(&dir, Kind::Agent).unwrap_err();
        assert!(again.exit == Exit::Failed && again.text.contains("there already"));
        std::fs::remove_file(&files[1]).unwrap();
        let files = init(&dir, Kind::Aggregator).unwrap();
        AggregatorConfig::load(&files[0]).unwrap();
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
