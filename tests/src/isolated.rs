//! A test in a mount name space of its own: what it mounts goes with it, whatever happens.
//!
//! The test starts its program again by `unshare`; where that or what it needs is not allowed it is
//! skipped, and says so.

use std::env;
use std::ffi::OsStr;
use std::process::Command;
use std::time::Duration;

use crate::process::run;
use crate::scratch::Scratch;

/// Says that the process runs in a name space of its own.
const INSIDE: &str = "HEADWATER_TEST_INSIDE";

/// Runs `test`, which is the test `name` of this program, in a name space by `unshare flags`. It is
/// skipped when `probe`, a shell script with an empty folder as `$0`, does not succeed there.
///
/// # Panics
/// When the test fails or does not end within `timeout`.
pub fn isolated(name: &str, flags: &[&str], probe: &str, timeout: Duration, test: fn()) {
    if env::var_os(INSIDE).is_some() {
        return test();
    }
    let unshare = |arguments: &[&OsStr]| {
        let mut command = Command::new("unshare");
        command.args(flags).args(arguments).env(INSIDE, "1");
        run(&mut command, timeout)
    };
    let scratch = Scratch::new("probe").expect("a scratch folder");
    let arguments = ["sh", "-c", probe].map(OsStr::new);
    let allowed = unshare(&[&arguments[..], &[scratch.path().as_os_str()]].concat());
    if !allowed.is_ok_and(|finished| finished.is_some_and(|f| f.code == Some(0))) {
        println!("skipped: a file system cannot be mounted here, not even by unshare {flags:?}");
        return;
    }
    let program = env::current_exe().expect("a program has a path");
    let arguments = [name, "--exact", "--nocapture"].map(OsStr::new);
    let finished = unshare(&[&[program.as_os_str()], &arguments[..]].concat());
    let finished = finished.expect("unshare can be started").expect("the test ends in time");
    println!("{}", finished.stdout);
    assert_eq!(finished.code, Some(0), "{}{}", finished.stdout, finished.stderr);
}
