//! Secrets and variables.
//!
//! A secret comes from a file named in `[secrets]` or from a systemd credential of that name.
//! It is read when it is needed and never shown: `Debug` and `Display` of [`Secret`] print a
//! placeholder, and there is no `Serialize`.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// A text that is never printed.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// Why a text with `${…}` cannot be completed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// `${name}` without a value.
    #[error("'${{{name}}}' has no value; set '{name}' in [vars] or by --set {name}=…")]
    UnknownVar {
        /// The name.
        name: String,
    },
    /// `${secret:name}` without a file or credential.
    #[error("secret '{name}' is not known; name its file in [secrets] or give it as a credential")]
    UnknownSecret {
        /// The name.
        name: String,
    },
    /// The file of a secret cannot be read.
    #[error("secret '{name}': {path}: {error}")]
    Unreadable {
        /// The name.
        name: String,
        /// Path of the file.
        path: String,
        /// What the system said.
        error: String,
    },
    /// `${` without `}`.
    #[error("'${{' is never closed by '}}'")]
    Unclosed,
}

/// Where secrets are found.
#[derive(Clone, Debug, Default)]
pub struct Secrets {
    files: BTreeMap<String, PathBuf>,
    credentials: Option<PathBuf>,
}

impl Secrets {
    /// Secrets from the files of a configuration and from systemd's credentials directory.
    pub fn new(files: BTreeMap<String, PathBuf>) -> Self {
        let credentials = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
        Self { files, credentials }
    }

    /// Whether a secret of this name is known, without reading it.
    pub fn has(&self, name: &str) -> bool {
        self.path(name).is_some()
    }

    fn path(&self, name: &str) -> Option<PathBuf> {
        if let Some(path) = self.files.get(name) {
            return Some(path.clone());
        }
        let plain = !name.is_empty() && !name.contains('/') && name != "..";
        let path = self.credentials.as_deref().filter(|_| plain)?.join(name);
        path.is_file().then_some(path)
    }

    /// Reads one secret; one line end at its end is not part of it.
    pub fn read(&self, name: &str) -> Result<Secret, SecretError> {
        let path =
            self.path(name).ok_or_else(|| SecretError::UnknownSecret { name: name.into() })?;
        read_file(name, &path)
    }

    /// Replaces every `${secret:name}` in a text.
    pub fn expand(&self, text: &str) -> Result<Secret, SecretError> {
        let mut out = String::new();
        replace(text, &mut out, |name, out| match name.strip_prefix("secret:") {
            Some(name) => {
                out.push_str(self.read(name)?.expose());
                Ok(())
            }
            None => Err(SecretError::UnknownVar { name: name.into() }),
        })?;
        Ok(Secret(out))
    }
}

fn read_file(name: &str, path: &Path) -> Result<Secret, SecretError> {
    let text = fs::read_to_string(path).map_err(|error| SecretError::Unreadable {
        name: name.into(),
        path: path.display().to_string(),
        error: error.to_string(),
    })?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    Ok(Secret(text.strip_suffix('\r').unwrap_or(text).into()))
}

/// Replaces `${name}` by its value and leaves `${secret:name}` as it is.
pub fn expand_vars(text: &str, vars: &BTreeMap<String, String>) -> Result<String, SecretError> {
    let mut out = String::with_capacity(text.len());
    replace(text, &mut out, |name, out| {
        if name.starts_with("secret:") {
            out.push_str("${");
            out.push_str(name);
            out.push('}');
            return Ok(());
        }
        let value = vars.get(name).ok_or_else(|| SecretError::UnknownVar { name: name.into() })?;
        out.push_str(value);
        Ok(())
    })?;
    Ok(out)
}

fn replace(
    text: &str,
    out: &mut String,
    mut value: impl FnMut(&str, &mut String) -> Result<(), SecretError>,
) -> Result<(), SecretError> {
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        out.push_str(&rest[..start]);
        let end = rest[start..].find('}').ok_or(SecretError::Unclosed)? + start;
        value(&rest[start + 2..end], out)?;
        rest = &rest[end + 1..];
    }
    out.push_str(rest);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_shown() {
        let secret = Secret::new("hunter2");
        assert!(!format!("{secret} {secret:?} {:?}", Some(&secret)).contains("hunter2"));
        assert_eq!(secret.expose(), "hunter2");
    }

    #[test]
    fn variables_are_replaced_and_secrets_left() {
        let vars = BTreeMap::from([("a".to_owned(), "1".to_owned())]);
        assert_eq!(expand_vars("x${a}y${secret:p}$", &vars).unwrap(), "x1y${secret:p}$");
        assert!(expand_vars("${b}", &vars).unwrap_err().to_string().contains("[vars]"));
        assert_eq!(expand_vars("${a", &vars), Err(SecretError::Unclosed));
    }

    #[test]
    fn secrets_come_from_their_files() {
        let path = std::env::temp_dir().join(format!("hw-secret-{}", std::process::id()));
        fs::write(&path, "pw\n").unwrap();
        let secrets = Secrets::new(BTreeMap::from([("p".to_owned(), path.clone())]));
        assert_eq!(secrets.expand("u:${secret:p}").unwrap().expose(), "u:pw");
        assert!(secrets.has("p") && !secrets.has("q"));
        assert!(secrets.expand("${secret:../x}").is_err());
        fs::remove_file(path).unwrap();
    }
}
