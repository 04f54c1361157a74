//! The binary form of `numeric`: bytes -> the text that the server would write.

use std::fmt::Write;

/// The signs, of which three are no numbers (`NUMERIC_*` in `numeric.c`).
const POSITIVE: u16 = 0x0000;
const NEGATIVE: u16 = 0x4000;
const NAN: u16 = 0xC000;
const INFINITY: u16 = 0xD000;
const NEGATIVE_INFINITY: u16 = 0xF000;
/// The most decimals that the server writes (`NUMERIC_DSCALE_MAX`).
const MOST_DECIMALS: u16 = 0x3FFF;
/// A digit of the binary form is four of the text.
const BASE: u16 = 10_000;
const DECIMALS: usize = 4;

/// `int16 digits, int16 weight, uint16 sign, uint16 decimals`, then the digits (`numeric_send` in `numeric.c`). The first
/// digit is worth `BASE` to the power of the weight. `None` where no server would write these bytes.
pub(super) fn read(bytes: &[u8]) -> Option<String> {
    let (head, digits) = bytes.split_first_chunk::<8>()?;
    let [count, weight, sign, decimals] = [0, 2, 4, 6].map(|at| u16::from_be_bytes([head[at], head[at + 1]]));
    let (digits, []) = digits.as_chunks::<2>() else { return None };
    let is_digit = |digit: &[u8; 2]| u16::from_be_bytes(*digit) < BASE;
    if digits.len() != usize::from(count) || decimals > MOST_DECIMALS || !digits.iter().all(is_digit) {
        return None;
    }
    let sign = match sign {
        POSITIVE => "",
        NEGATIVE => "-",
        NAN => return Some("NaN".to_owned()),
        INFINITY => return Some("Infinity".to_owned()),
        NEGATIVE_INFINITY => return Some("-Infinity".to_owned()),
        _ => return None,
    };
    let weight = i32::from(weight.cast_signed());
    let decimals = usize::from(decimals);
    // The digit that is worth `BASE` to this power.
    let digit = |power: i32| {
        let index = usize::try_from(weight - power).ok();
        index.and_then(|index| digits.get(index)).map_or(0, |digit| u16::from_be_bytes(*digit))
    };
    let mut text = sign.to_owned();
    // Writing to a `String` cannot fail.
    let _ = write!(text, "{}", digit(weight.max(0)));
    for power in (0..weight).rev() {
        let _ = write!(text, "{:04}", digit(power));
    }
    if decimals > 0 {
        text.push('.');
        let end = text.len() + decimals;
        for power in (1..).take(decimals.div_ceil(DECIMALS)) {
            let _ = write!(text, "{:04}", digit(-power));
        }
        text.truncate(end);
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::{INFINITY, NAN, NEGATIVE, NEGATIVE_INFINITY, POSITIVE, read};

    fn numeric(weight: i16, sign: u16, decimals: u16, digits: &[u16]) -> Vec<u8> {
        let head = [u16::try_from(digits.len()).unwrap(), weight.cast_unsigned(), sign, decimals];
        head.iter().chain(digits).flat_map(|number| number.to_be_bytes()).collect()
    }

    #[test]
    fn a_numeric_reads_as_the_server_writes_it() {
        for (weight, sign, decimals, digits, text) in [
            (0, POSITIVE, 0, &[][..], "0"),
            (0, POSITIVE, 3, &[], "0.000"),
            (0, POSITIVE, 2, &[1, 1000], "1.10"),
            (1, NEGATIVE, 0, &[12, 3], "-120003"),
            (2, POSITIVE, 0, &[1], "100000000"),
            (-1, NEGATIVE, 5, &[12, 3400], "-0.00123"),
            (-5, POSITIVE, 20, &[1], "0.00000000000000000001"),
            (0, NAN, 0, &[], "NaN"),
            (0, INFINITY, 0, &[], "Infinity"),
            (0, NEGATIVE_INFINITY, 0, &[], "-Infinity"),
            (0, POSITIVE, 4, &[0, 9999], "0.9999"),
        ] {
            assert_eq!(read(&numeric(weight, sign, decimals, digits)).as_deref(), Some(text));
        }
        let zeros = format!("0.{}", "0".repeat(16_383));
        assert_eq!(read(&numeric(0, POSITIVE, 16_383, &[])), Some(zeros));
    }

    #[test]
    fn what_no_server_sends_is_malformed() {
        for bytes in [
            numeric(0, POSITIVE, 0, &[10_000]),
            numeric(0, 0x1000, 0, &[1]),
            numeric(0, POSITIVE, 0x4000, &[1]),
            numeric(0, POSITIVE, 0, &[1])[..9].to_vec(),
            numeric(0, POSITIVE, 0, &[])[..7].to_vec(),
            [numeric(0, POSITIVE, 0, &[1]), vec![0, 1]].concat(),
        ] {
            assert_eq!(read(&bytes), None, "{bytes:?}");
        }
    }
}
