//! `headwater-powercut`: cuts the power of a gateway in a virtual machine at many places.
//! `tests/power/run` prepares what it needs. Exit status 1 when one cut breaks a promise.
#![deny(unsafe_code)]

use std::env;
use std::process::ExitCode;
use std::time::Instant;

use headwater_tests::power::{Options, Report, run};

const USAGE: &str = "\
usage: headwater-powercut --kernel FILE --initrd FILE [--cuts N] [--seed N] [--seconds N]
                          [--rate N] [--boots N] [--lying-disk] [--keep-log]";

fn main() -> ExitCode {
    let options = match parse(env::args().skip(1)) {
        Ok(options) => options,
        Err(why) => {
            eprintln!("{why}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let start = Instant::now();
    match run(&options) {
        Ok(report) => {
            print(&report, start);
            ExitCode::from(u8::from(!report.failures.is_empty()))
        }
        Err(error) => {
            eprintln!("headwater-powercut: {error}");
            ExitCode::FAILURE
        }
    }
}

fn print(report: &Report, start: Instant) {
    let cuts: usize = report.cuts.values().sum();
    println!("\nlog: {} entries, {} flushes", report.entries.0, report.entries.1);
    println!("frames that left the gateway: {}", report.frames);
    println!("cuts: {cuts} {:?}", report.cuts);
    let mean = report.open.0.checked_div(cuts).unwrap_or(0);
    println!("open writes at a cut: {mean} on average, at most {}", report.open.1);
    println!("cuts after frames had left: {}", report.with_sent);
    println!("disks with a state: {}", report.with_state);
    println!("disks where e2fsck did more than play the journal: {}", report.mended);
    println!("disks with a torn superblock, mended from its copy: {}", report.from_copy);
    println!("longest run from start to end: {:?}", report.slowest);
    println!("boots on a disk after a cut: {}", report.boots);
    for failure in &report.failures {
        println!("FAILED: {failure}");
    }
    println!("failures: {} in {:?}", report.failures.len(), start.elapsed());
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options {
        kernel: "vmlinuz".into(),
        initrd: "initrd.gz".into(),
        cuts: 250,
        seed: 20_261_126,
        seconds: 60,
        rate: 300,
        boots: 3,
        lying_disk: false,
        keep_log: false,
    };
    while let Some(name) = arguments.next() {
        match name.as_str() {
            "--keep-log" => options.keep_log = true,
            "--lying-disk" => options.lying_disk = true,
            _ => {
                let value = arguments.next().ok_or(format!("{name} needs a value"))?;
                set(&mut options, &name, &value)?;
            }
        }
    }
    Ok(options)
}

fn set(options: &mut Options, name: &str, value: &str) -> Result<(), String> {
    let number = || value.parse::<u64>().map_err(|_| format!("{value} is no number"));
    let size = || value.parse::<usize>().map_err(|_| format!("{value} is no number"));
    match name {
        "--kernel" => options.kernel = value.into(),
        "--initrd" => options.initrd = value.into(),
        "--cuts" => options.cuts = size()?,
        "--seed" => options.seed = number()?,
        "--seconds" => options.seconds = number()?,
        "--rate" => options.rate = number()?,
        "--boots" => options.boots = size()?,
        _ => return Err(format!("unknown option {name}")),
    }
    Ok(())
}
