//! `check` and `explain`: everything that is wrong with a pipeline on a node, without running it.
//!
//! Guarantees: finds what `run` would refuse at its start (SQL, options, secrets, paths that
//! cannot be read, the memory ceiling, state of another plan or version), each with a remedy and,
//! where it is in the file, its place; opens no socket and writes nothing. What only time can tell
//! (a broker that is away) is not a fault.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::Path;

use headwater_plan::{Diagnostic, Place, Plan, Table, Target, compile};
use headwater_store::{Inspector, StoreError};

use crate::admin::forecast::{self, Load, Timing};
use crate::admin::{Failure, locate};
use crate::agent::FlashLimits;
use crate::config::{
    AgentCheckpoint, AgentConfig, AggregatorConfig, FlashBudget, Limits, Secrets, Tls,
};
use crate::driver::{self, memory};
use crate::exit::Exit;
use crate::mqtt::MqttOptions;

/// The node that a pipeline is checked for.
#[derive(Clone, Copy, Debug)]
pub enum NodeConfig<'a> {
    /// One process that does everything.
    Standalone,
    /// An agent and an aggregator whose configurations are not at hand.
    Cut,
    /// An agent.
    Agent(&'a AgentConfig),
    /// An aggregator.
    Aggregator(&'a AggregatorConfig),
}

/// A pipeline and where it is to run.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The file.
    pub pipeline: &'a Path,
    /// Values of `${name}` from the command line; they go before those of the node.
    pub set: &'a BTreeMap<String, String>,
    /// The node.
    pub node: NodeConfig<'a>,
}

impl Subject<'_> {
    fn target(&self) -> Target {
        match self.node {
            NodeConfig::Standalone => Target::Whole,
            NodeConfig::Cut | NodeConfig::Agent(_) | NodeConfig::Aggregator(_) => Target::Cut,
        }
    }

    /// Whether this node opens tables of this place.
    fn is_ours(&self, place: Place) -> bool {
        match self.node {
            NodeConfig::Standalone | NodeConfig::Cut => true,
            NodeConfig::Agent(_) => place == Place::Edge,
            NodeConfig::Aggregator(_) => place == Place::Core,
        }
    }

    fn vars(&self) -> BTreeMap<String, String> {
        let mut vars = match self.node {
            NodeConfig::Standalone | NodeConfig::Cut => BTreeMap::new(),
            NodeConfig::Agent(config) => config.vars.clone(),
            NodeConfig::Aggregator(config) => config.vars.clone(),
        };
        vars.extend(self.set.clone());
        vars
    }

    fn secrets(&self) -> Secrets {
        Secrets::new(match self.node {
            NodeConfig::Standalone | NodeConfig::Cut => BTreeMap::new(),
            NodeConfig::Agent(config) => config.secrets.clone(),
            NodeConfig::Aggregator(config) => config.secrets.clone(),
        })
    }

    /// When an agent takes checkpoints: with the defaults where its configuration is not at hand.
    fn timing(&self) -> Timing {
        let own = match self.node {
            NodeConfig::Agent(config) => Some((config.checkpoint, config.flash_limits())),
            _ => None,
        };
        let (checkpoint, flash) = own.unwrap_or_else(|| {
            let checkpoint = AgentCheckpoint::default();
            let bytes_per_day = FlashBudget::default().bytes_per_day();
            let interval_max_ms = checkpoint.interval_max.ms();
            (checkpoint, FlashLimits { bytes_per_day, interval_max_ms })
        });
        Timing {
            interval_ms: checkpoint.interval.ms(),
            dirty_bytes: usize::try_from(checkpoint.dirty_bytes.0).unwrap_or(usize::MAX),
            flash,
        }
    }

    fn limits(&self) -> Option<Limits> {
        match self.node {
            NodeConfig::Standalone | NodeConfig::Cut => None,
            NodeConfig::Agent(config) => Some(config.limits),
            NodeConfig::Aggregator(config) => Some(config.limits),
        }
    }
}

/// Checks a pipeline on a node.
///
/// # Errors
/// Everything that is wrong, in one text; exit code 78.
pub fn check(subject: Subject<'_>) -> Result<Plan, Failure> {
    let (file, text) = read(subject.pipeline)?;
    let plan = compiled(&subject, &file, &text)?;
    let secrets = subject.secrets();
    let mut faults = Vec::new();
    for table in plan.tables.iter().filter(|table| subject.is_ours(table.place)) {
        let mut report = |option: &str, message: String, remedy: &str| {
            let place = (table.name.as_str(), option);
            faults.push(locate::fault(&file, &text, place, message, remedy.into()).to_string());
        };
        check_table(table, &secrets, &mut report);
    }
    check_node(&subject, &plan, &secrets, &mut faults);
    check_memory(&subject, &plan, &mut faults);
    if faults.is_empty() {
        check_wiring(&subject, &plan, &secrets, &mut faults);
    }
    if !faults.is_empty() {
        return Err(Failure { exit: Exit::Config, text: faults.join("\n\n") });
    }
    check_state(&subject, &plan)?;
    Ok(plan)
}

/// State that is there already, and that `run` would refuse; nothing is written or repaired.
fn check_state(subject: &Subject<'_>, plan: &Plan) -> Result<(), Failure> {
    let (dir, fragment) = match subject.node {
        NodeConfig::Standalone | NodeConfig::Cut => return Ok(()),
        NodeConfig::Agent(config) => (&config.state_dir, plan.edge.as_ref()),
        NodeConfig::Aggregator(config) => (&config.state_dir, plan.core.as_ref()),
    };
    let inspector = match Inspector::open(dir) {
        Ok(inspector) => inspector,
        // A node that starts or stops has it for a moment; what it holds is known to it.
        Err(StoreError::Missing { .. } | StoreError::Locked { .. }) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let stored = inspector.snapshot()?.plan()?;
    let (Some(stored), Some(fragment)) = (stored, fragment) else { return Ok(()) };
    let ours = driver::wiring::plan_record(plan, fragment);
    stored.check(&ours).map_err(|error| {
        let message = format!("{}: {error}", dir.display());
        Failure::new(Exit::Config, message, error.remedy())
    })
}

/// What the plan does, as text or as JSON.
///
/// # Errors
/// Everything that is wrong with the pipeline's text; exit code 78.
pub fn explain(subject: Subject<'_>, load: &Load, json: bool) -> Result<String, Failure> {
    let (file, text) = read(subject.pipeline)?;
    let plan = compiled(&subject, &file, &text)?;
    let (forecast, numbers) = match plan.whole.as_ref().or(plan.edge.as_ref()) {
        Some(fragment) => forecast::forecast(&plan, fragment, load, subject.timing())?,
        None => (String::new(), serde_json::Value::Null),
    };
    if json {
        let mut json = plan.explain_json();
        json["forecast"] = numbers;
        json["notes"] = plan.notes.into();
        return Ok(format!("{json:#}\n"));
    }
    let notes: String = plan.notes.iter().map(|note| format!("\n{}\n", note.trim_end())).collect();
    Ok(plan.explain() + &forecast + &notes)
}

fn read(path: &Path) -> Result<(String, String), Failure> {
    let file = path.display().to_string();
    match fs::read_to_string(path) {
        Ok(text) => Ok((file, text)),
        Err(error) => {
            let message = format!("{file} cannot be read: {error}");
            Err(Failure::new(Exit::Config, message, "name a pipeline file; 'init' writes one"))
        }
    }
}

fn compiled(subject: &Subject<'_>, file: &str, text: &str) -> Result<Plan, Failure> {
    compile(text, file, &subject.vars(), subject.target()).map_err(|faults| {
        let faults: Vec<String> = faults.iter().map(Diagnostic::to_string).collect();
        Failure { exit: Exit::Config, text: faults.join("\n\n") }
    })
}

/// Faults that only the machine can tell.
fn check_table(table: &Table, secrets: &Secrets, report: &mut dyn FnMut(&str, String, &str)) {
    for (option, value) in &table.options {
        if let Err(error) = secrets.expand(value).map(drop) {
            report(option, error.to_string(), "add it to [secrets] of the node's configuration");
        }
    }
    let value = |option: &str| {
        let value = table.options.get(option)?;
        secrets.expand(value).ok().map(|value| value.expose().to_owned())
    };
    if let Some(path) = value("path").filter(|_| table.connector == "filesystem") {
        let path = Path::new(&path);
        // A followed file may come later.
        let may_be_absent = value("source.monitor-interval").is_some() && !path.exists();
        if table.source.is_some()
            && !may_be_absent
            && let Err(error) = readable(path)
        {
            let message = format!("the source {} cannot be read: {error}", path.display());
            report("path", message, "check the path; it is taken from the working directory");
        }
        if table.sink.is_some()
            && let Err(why) = can_hold_files(path)
        {
            report("path", why, "name a file in a folder that can be made");
        }
    }
    if table.connector == "mqtt" {
        if let Some(Err(error)) = value("url").map(|url| MqttOptions::parse_url(&url)) {
            report("url", error, "write mqtt://host:port, or mqtts://host:port for TLS");
        }
        for option in ["tls.ca", "tls.cert", "tls.key"] {
            if let Some(path) = value(option)
                && let Err(error) = readable(Path::new(&path))
            {
                let message = format!("the file {path} cannot be read: {error}");
                report(option, message, "check the path and its permissions");
            }
        }
    }
}

fn readable(path: &Path) -> io::Result<()> {
    if path.is_dir() { fs::read_dir(path).map(drop) } else { File::open(path).map(drop) }
}

/// Whether the folder of a sink's file is there or can be made.
fn can_hold_files(path: &Path) -> Result<(), String> {
    let folder = if path.is_dir() { Some(path) } else { path.parent() };
    let nearest = folder.into_iter().flat_map(Path::ancestors).find(|path| path.exists());
    match nearest.map(fs::metadata) {
        Some(Ok(found)) if !found.is_dir() => {
            Err(format!("{} lies below something that is no folder", path.display()))
        }
        Some(Ok(found)) if found.permissions().readonly() => {
            Err(format!("the folder of {} is read-only", path.display()))
        }
        _ => Ok(()),
    }
}

fn check_node(subject: &Subject<'_>, plan: &Plan, secrets: &Secrets, faults: &mut Vec<String>) {
    let mut report = |message: String, remedy: &str| {
        faults.push(Failure::new(Exit::Config, message, remedy).text);
    };
    let (password, tls) = match subject.node {
        NodeConfig::Standalone | NodeConfig::Cut => return,
        NodeConfig::Agent(config) => match &config.uplink {
            Some(uplink) => (&uplink.password, &uplink.tls),
            None if plan.channels.is_empty() => return,
            None => {
                let message =
                    "the pipeline sends to the core but the configuration has no [uplink]";
                let remedy = "add [uplink] with a broker, or run the pipeline with --standalone";
                return report(message.into(), remedy);
            }
        },
        NodeConfig::Aggregator(config) => (&config.uplink.password, &config.uplink.tls),
    };
    if let Some(Err(error)) = password.as_ref().map(|password| secrets.expand(password)) {
        report(format!("[uplink] password: {error}"), "add it to [secrets] of the configuration");
    }
    let Some(tls) = tls else { return };
    let Tls { ca, cert, key } = tls.clone();
    let mut are_there = true;
    for (name, path) in [("ca", ca), ("cert", cert), ("key", key)] {
        if let Some(path) = path
            && let Err(error) = readable(&path)
        {
            are_there = false;
            let message = format!("[uplink.tls] {name}: {}: {error}", path.display());
            report(message, "check the path and its permissions");
        }
    }
    if are_there && let Err(error) = driver::check_uplink_tls(tls) {
        report(error.to_string(), "name PEM files: certificates, and the key of the client's one");
    }
}

/// What only the driver knows of its tables; it has no place in the file.
fn check_wiring(subject: &Subject<'_>, plan: &Plan, secrets: &Secrets, faults: &mut Vec<String>) {
    let mut ours = plan.clone();
    ours.tables.retain(|table| subject.is_ours(table.place));
    if let Err(error) = driver::check(&ours, secrets) {
        let remedy = "docs/reference/sql.md lists options and metadata columns";
        faults.push(Failure::new(Exit::Config, error, remedy).text);
    }
}

fn check_memory(subject: &Subject<'_>, plan: &Plan, faults: &mut Vec<String>) {
    let Some(limits) = subject.limits() else { return };
    for (_, fragment) in plan.fragments().filter(|(place, _)| subject.is_ours(*place)) {
        if let Some((message, remedy)) = memory::excess(fragment, &plan.limits, limits.memory) {
            faults.push(Failure::new(Exit::Config, message, remedy).text);
        }
    }
}

#[cfg(test)]
mod tests;
