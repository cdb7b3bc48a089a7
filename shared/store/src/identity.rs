//! The sidecar file beside the database: who this directory is, readable without the database.
//!
//! Guarantees: replaced as a whole or not at all. The database is the truth; the sidecar shows
//! that there was one, so that a lost database is never taken for a new directory.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use crate::commit::{Identity, Incarnation};

/// Name of the sidecar in the state directory.
pub(crate) const SIDECAR: &str = "identity.toml";

/// Reads the sidecar, which does not name the parent; `None` when there is none.
pub(crate) fn read(dir: &Path) -> io::Result<Option<Identity>> {
    let text = match fs::read_to_string(dir.join(SIDECAR)) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    parse(&text).map(Some).ok_or_else(|| io::Error::other(format!("{SIDECAR} is unreadable")))
}

/// Replaces the sidecar.
pub(crate) fn write(dir: &Path, identity: &Identity) -> io::Result<()> {
    let text = format!(
        "# Identity of this state directory; the database holds the same. Do not copy or edit.\n\
         version = 1\nincarnation = \"{}\"\nmachine_id = \"{}\"\n",
        hex(&identity.incarnation),
        identity.machine_id,
    );
    let fresh = dir.join("identity.toml.new");
    let mut file = File::create(&fresh)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&fresh, dir.join(SIDECAR))?;
    sync_dir(dir)
}

/// Makes renames and removals in `dir` durable.
pub(crate) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Machine ids come from files of the system: what could break the sidecar's text is replaced.
pub(crate) fn clean_machine_id(text: &str) -> String {
    let printable = |c: char| if c.is_ascii_graphic() && c != '"' && c != '\\' { c } else { '_' };
    text.trim().chars().take(MACHINE_ID_CHARS_MAX).map(printable).collect()
}

/// An incarnation as 32 hexadecimal digits.
#[must_use]
pub fn hex(incarnation: &Incarnation) -> String {
    incarnation.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn parse(text: &str) -> Option<Identity> {
    let field = |name: &str| {
        text.lines()
            .filter_map(|line| line.split_once('='))
            .find(|(key, _)| key.trim() == name)
            .map(|(_, value)| value.trim().trim_matches('"'))
    };
    if field("version")? != "1" {
        return None;
    }
    Some(Identity {
        incarnation: unhex(field("incarnation")?)?,
        machine_id: field("machine_id")?.to_owned(),
        parent: None,
    })
}

fn unhex(text: &str) -> Option<Incarnation> {
    if text.len() != 32 || !text.is_ascii() {
        return None;
    }
    let mut bytes = [0; 16];
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * index..2 * index + 2], 16).ok()?;
    }
    Some(bytes)
}

const MACHINE_ID_CHARS_MAX: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trip() {
        let text = "version = 1\nincarnation = \"000102030405060708090a0b0c0d0e0f\"\n\
                    machine_id = \"m\"\n";
        let identity = parse(text).unwrap();
        assert_eq!(hex(&identity.incarnation), "000102030405060708090a0b0c0d0e0f");
        assert_eq!(identity.machine_id, "m");
        assert_eq!(parse("version = 2\n"), None);
        assert_eq!(parse("version = 1\nincarnation = \"zz\"\nmachine_id = \"m\""), None);
        assert_eq!(clean_machine_id(" a\"b\n c\\ "), "a_b__c_");
    }
}
