//! PARSE_URL: the parts of an address, as Java's `URL` takes it apart.

use alloc::vec;
use core::ops::Range;

use super::build::{Builder, part};
use super::sig::{Bound, count, strict, text};
use super::{Arg, Function};
use crate::{
    context::{Context, Fault},
    slot::Datum,
    types::DataType,
};

pub(super) const LIST: &[Function] = &[Function { name: "PARSE_URL", bind: parse_url }];

/// Parts of an address, by their places in it.
struct Url {
    protocol: Range<usize>,
    authority: Option<Range<usize>>,
    user: Option<Range<usize>>,
    host: Range<usize>,
    path: Range<usize>,
    query: Option<Range<usize>>,
    fragment: Option<Range<usize>>,
}

enum Unread {
    /// NULL, as in Flink.
    Malformed,
    /// Java reads it in another way.
    OtherProtocol,
}

/// PARSE_URL(address, part[, key of the query]).
fn parse_url(args: &[Arg<'_>]) -> Bound {
    const NAME: &str = "PARSE_URL";
    count(NAME, args, 2, 3)?;
    let types = args.iter().map(|arg| text(NAME, arg)).collect::<Result<vec::Vec<_>, _>>()?;
    strict(types, DataType::STRING, |v, cx| {
        let url = match Url::of(cx.text(v[0].slot)) {
            Ok(url) => url,
            Err(Unread::Malformed) => return Datum::NULL,
            Err(Unread::OtherProtocol) => return cx.fail(Fault::InvalidArgument),
        };
        value(&url, v, cx)
    })
}

fn value(url: &Url, v: &[Datum], cx: &mut Context) -> Datum {
    let wanted = cx.text(v[1].slot);
    let found = match (wanted, v.get(2)) {
        ("QUERY", Some(key)) => {
            let key = cx.text(key.slot);
            url.query.clone().and_then(|q| of_key(cx.text(v[0].slot), q, key))
        }
        (_, Some(_)) => None,
        ("HOST", _) => Some(url.host.clone()),
        ("PATH", _) => Some(url.path.clone()),
        ("QUERY", _) => url.query.clone(),
        ("REF", _) => url.fragment.clone(),
        ("AUTHORITY", _) => url.authority.clone(),
        ("USERINFO", _) => url.user.clone(),
        ("FILE", _) => {
            let end = url.query.as_ref().map_or(url.path.end, |q| q.end);
            Some(url.path.start..end)
        }
        ("PROTOCOL", _) => {
            let mut out = Builder::new(cx);
            for at in url.protocol.clone() {
                let c = out.char_at(v[0].slot, at).unwrap_or_default();
                out.push_char(c.to_ascii_lowercase());
            }
            return out.finish();
        }
        _ => None,
    };
    found.map_or(Datum::NULL, |range| part(cx, v[0].slot, range))
}

/// What stands behind `key=` in a query, at its first place.
fn of_key(text: &str, query: Range<usize>, key: &str) -> Option<Range<usize>> {
    let mut start = query.start;
    for pair in text[query].split('&') {
        if let Some(value) = pair.strip_prefix(key).and_then(|rest| rest.strip_prefix('=')) {
            let end = start + pair.len();
            return Some(end - value.len()..end);
        }
        start += pair.len() + 1;
    }
    None
}

impl Url {
    fn of(text: &str) -> Result<Self, Unread> {
        let is_blank = |c: char| c <= ' ';
        let mut limit = text.trim_end_matches(is_blank).len();
        let mut start = text.len() - text.trim_start_matches(is_blank).len();
        let rest = text.get(start..limit).unwrap_or("");
        if rest.get(..4).is_some_and(|word| word.eq_ignore_ascii_case("url:")) {
            start += 4;
        }
        let rest = text.get(start..limit).unwrap_or("");
        let colon = rest.find([':', '/']).filter(|at| rest.as_bytes()[*at] == b':');
        let protocol = start..start + colon.ok_or(Unread::Malformed)?;
        match text[protocol.clone()].to_ascii_lowercase().as_str() {
            "http" | "https" | "ftp" | "file" => {}
            "jar" | "mailto" | "jrt" | "jmod" => return Err(Unread::OtherProtocol),
            _ => return Err(Unread::Malformed),
        }
        start = protocol.end + 1;
        let cut = |at: usize, limit: &mut usize| {
            let behind = at + 1..*limit;
            *limit = at;
            behind
        };
        let fragment = text[start..limit].find('#').map(|at| cut(start + at, &mut limit));
        let query = text[start..limit].find('?').map(|at| cut(start + at, &mut limit));
        let mut url = Self {
            protocol,
            authority: None,
            user: None,
            host: start..start,
            path: start..limit,
            query,
            fragment,
        };
        let rest = &text[start..limit];
        if rest.starts_with("//") && !rest.starts_with("////") {
            let begin = start + 2;
            let end = text[begin..limit].find('/').map_or(limit, |at| begin + at);
            url.path = end..limit;
            url.take_authority(text, begin..end)?;
        }
        Ok(url)
    }

    /// `user@host:port`
    fn take_authority(&mut self, text: &str, all: Range<usize>) -> Result<(), Unread> {
        self.authority = Some(all.clone());
        self.host = all.start..all.start;
        let mut host = all.clone();
        let mut signs = text[all.clone()].match_indices('@').map(|(at, _)| all.start + at);
        match (signs.next(), signs.next()) {
            (Some(_), Some(_)) => return Ok(()),
            (Some(at), None) => {
                self.user = Some(all.start..at);
                host.start = at + 1;
            }
            _ => {}
        }
        let written = &text[host.clone()];
        let length = match written.starts_with('[') {
            true => written.find(']').filter(|at| *at > 2).ok_or(Unread::Malformed)? + 1,
            false => written.find(':').unwrap_or(written.len()),
        };
        let inner = &written[..length];
        if inner.starts_with('[') && inner[1..length - 1].parse::<core::net::Ipv6Addr>().is_err() {
            return Err(Unread::Malformed);
        }
        self.host = host.start..host.start + length;
        let port = match written[length..].strip_prefix(':') {
            Some(port) => port,
            None if length == written.len() => "",
            None => return Err(Unread::Malformed),
        };
        let is_port = port.is_empty() || port.parse::<i32>().is_ok_and(|port| port >= -1);
        if is_port { Ok(()) } else { Err(Unread::Malformed) }
    }
}
