//! Numbers as Python 3.10 reads them from text.
//!
//! White space around a number is passed over, and the decimal digits of every
//! script count.

use std::borrow::Cow;

/// The longest integer that is read, in digits.
const MOST_DIGITS: usize = 4300;

/// The zeros of the scripts of Unicode 13; nine digits follow each.
const ZEROS: [u32; 65] = [
    0x30, 0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66, 0xde6, 0xe50,
    0xed0, 0xf20, 0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90, 0x1b50, 0x1bb0, 0x1c40,
    0x1c50, 0xa620, 0xa8d0, 0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0, 0xff10, 0x104a0, 0x10d30, 0x11066,
    0x110f0, 0x11136, 0x111d0, 0x112f0, 0x11450, 0x114d0, 0x11650, 0x116c0, 0x11730, 0x118e0, 0x11950,
    0x11c50, 0x11d50, 0x11da0, 0x16a60, 0x16b50, 0x1d7ce, 0x1d7d8, 0x1d7e2, 0x1d7ec, 0x1d7f6, 0x1e140,
    0x1e2f0, 0x1e950, 0x1fbf0,
];

/// `int(text)`: the integer where it fits 32 bits, `Some(None)` where it does
/// not, `None` where it is none.
pub(super) fn int(text: &str) -> Option<Option<i32>> {
    let plain = plain(text);
    let number = plain.trim_matches(is_space);
    let digits = number.strip_prefix(['+', '-']).unwrap_or(number);
    let readable = !digits.is_empty() && digits.len() <= MOST_DIGITS;
    (readable && digits.bytes().all(|byte| byte.is_ascii_digit())).then(|| number.parse().ok())
}

/// `float(text)`.
pub(super) fn float(text: &str) -> Option<f64> {
    // Rust's grammar of numbers is the same: a point with a digit on one side at
    // least, an exponent, or `inf`, `infinity` and `nan` in any case.
    plain(text).trim_matches(is_space).parse().ok()
}

/// The same number in ASCII, as far as that goes.
fn plain(text: &str) -> Cow<'_, str> {
    if text.is_ascii() { Cow::Borrowed(text) } else { text.chars().map(plain_char).collect() }
}

fn plain_char(char: char) -> char {
    if char.is_ascii() {
        return char;
    }
    if char.is_whitespace() {
        return ' ';
    }
    let code = u32::from(char);
    let after = ZEROS.partition_point(|&zero| zero <= code);
    let zero = after.checked_sub(1).and_then(|place| ZEROS.get(place));
    zero.and_then(|zero| char::from_digit(code - zero, 10)).unwrap_or('?')
}

/// C's white space, which lacks the separators that Unicode counts.
fn is_space(char: char) -> bool {
    matches!(char, ' ' | '\t'..='\r')
}

#[cfg(test)]
mod tests {
    use super::{float, int};

    #[test]
    fn integers_are_read_as_python_reads_them() {
        for (text, expected) in [
            ("57", Some(Some(57))),
            (" \t\u{b}+57\r\n", Some(Some(57))),
            ("-0", Some(Some(0))),
            ("007", Some(Some(7))),
            ("\u{a0}\u{665}\u{667}\u{3000}", Some(Some(57))),
            ("\u{1d7d8}\u{ff15}", Some(Some(5))),
            ("2147483648", Some(None)),
            ("-2147483648", Some(Some(i32::MIN))),
            ("", None),
            ("+", None),
            ("+-5", None),
            ("5.0", None),
            ("5 5", None),
            ("\u{1c}5", None),
            ("\u{b2}", None),
            ("\u{16ac5}", None),
            ("5\0", None),
        ] {
            assert_eq!(int(text), expected, "{text:?}");
        }
        assert_eq!(int(&"9".repeat(4300)), Some(None));
        assert_eq!(int(&"0".repeat(4301)), None);
    }

    #[test]
    fn floats_are_read_as_python_reads_them() {
        for (text, expected) in [
            ("1", Some(1.0)),
            (" .5\n", Some(0.5)),
            ("5.", Some(5.0)),
            ("+1e-1", Some(0.1)),
            ("1E999", Some(f64::INFINITY)),
            ("-Infinity", Some(f64::NEG_INFINITY)),
            ("iNf", Some(f64::INFINITY)),
            ("\u{967}.\u{968}", Some(1.2)),
            (".", None),
            ("1e", None),
            ("0x1", None),
            ("infin", None),
            ("", None),
        ] {
            assert_eq!(float(text), expected, "{text:?}");
        }
        assert!(float(" NaN").is_some_and(f64::is_nan));
    }
}
