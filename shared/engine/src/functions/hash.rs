//! Hashes of texts, as hexadecimal digits in lower case: MD5, SHA1 and the SHA-2 family.

use alloc::{format, vec};

use md5::{Digest, Md5};
use sha1::Sha1;
use sha2::{Sha224, Sha256, Sha384, Sha512};

use super::sig::{Bound, count, integer, strict, text};
use super::{Arg, Function};
use crate::{
    context::{Context, Fault},
    expr::Literal,
    slot::{Datum, Slot},
    types::DataType,
};

pub(super) const LIST: &[Function] = &[
    Function { name: "MD5", bind: |args| hash("MD5", args, 32, digest::<Md5>) },
    Function { name: "SHA1", bind: |args| hash("SHA1", args, 40, digest::<Sha1>) },
    Function { name: "SHA224", bind: |args| hash("SHA224", args, 56, digest::<Sha224>) },
    Function { name: "SHA256", bind: |args| hash("SHA256", args, 64, digest::<Sha256>) },
    Function { name: "SHA384", bind: |args| hash("SHA384", args, 96, digest::<Sha384>) },
    Function { name: "SHA512", bind: |args| hash("SHA512", args, 128, digest::<Sha512>) },
    Function { name: "SHA2", bind: sha2 },
];

/// Digits of the longest hash.
const DIGITS_MAX: usize = 128;

type Hash = fn(Slot, &mut Context) -> Datum;

fn hash(name: &str, args: &[Arg<'_>], digits: u32, hash: Hash) -> Bound {
    count(name, args, 1, 1)?;
    let types = vec![text(name, &args[0])?];
    strict(types, DataType::Char(digits), move |v, cx| hash(v[0].slot, cx))
}

/// SHA2(text, bits): a constant number of bits is checked by the planner.
fn sha2(args: &[Arg<'_>]) -> Bound {
    count("SHA2", args, 2, 2)?;
    let types = vec![text("SHA2", &args[0])?, integer("SHA2", &args[1])?];
    if let Some(Literal::Int(bits)) = args[1].literal
        && by_bits(*bits).is_none()
    {
        return Err(format!("SHA2 makes 224, 256, 384 or 512 bits, not {bits}"));
    }
    strict(types, DataType::Varchar(128), |v, cx| match by_bits(v[1].slot.as_i64()) {
        Some(hash) => hash(v[0].slot, cx),
        None => cx.fail(Fault::InvalidArgument),
    })
}

fn by_bits(bits: i64) -> Option<Hash> {
    match bits {
        224 => Some(digest::<Sha224>),
        256 => Some(digest::<Sha256>),
        384 => Some(digest::<Sha384>),
        512 => Some(digest::<Sha512>),
        _ => None,
    }
}

fn digest<D: Digest>(source: Slot, cx: &mut Context) -> Datum {
    let hash = D::digest(cx.bytes(source));
    let mut digits = heapless::String::<DIGITS_MAX>::new();
    for byte in &hash {
        core::fmt::write(&mut digits, format_args!("{byte:02x}")).expect("64 bytes at most");
    }
    cx.put_text(&digits)
}
