//! The parts of an X.509 certificate that rustls does not tell. The manual of the server teaches to make certificates
//! without alternative names, some of them of version 1, and many servers have such.
//! <https://datatracker.ietf.org/doc/html/rfc5280#section-4.1>

use std::str;

use rustls::pki_types::{SignatureVerificationAlgorithm, UnixTime};

/// Views into the bytes of a certificate.
#[derive(Clone, Copy, Debug)]
pub(super) struct Certificate<'a> {
    /// What the issuer has signed.
    signed: &'a [u8],
    signature_algorithm: &'a [u8],
    signature: &'a [u8],
    /// Counted from zero, as it is written: 2 is version 3.
    version: u8,
    issuer: &'a [u8],
    subject: &'a [u8],
    not_before: i64,
    not_after: i64,
    pub(super) key: PublicKey<'a>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct PublicKey<'a> {
    /// All of it, as keys are compared.
    pub(super) info: &'a [u8],
    algorithm: &'a [u8],
    bits: &'a [u8],
}

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OBJECT_IDENTIFIER: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const VERSION: u8 = 0xa0;
/// The tags of `UTF8String`, `PrintableString`, `T61String` and `IA5String`.
const STRINGS: [u8; 4] = [0x0c, 0x13, 0x14, 0x16];
const COMMON_NAME: [u8; 3] = [0x55, 0x04, 0x03];

impl<'a> Certificate<'a> {
    pub(super) fn read(der: &'a [u8]) -> Option<Self> {
        let mut certificate = Reader(Reader(der).expect(SEQUENCE)?.content);
        let signed = certificate.expect(SEQUENCE)?;
        let signature_algorithm = certificate.expect(SEQUENCE)?.content;
        let signature = bits(certificate.expect(BIT_STRING)?.content)?;

        let mut fields = Reader(signed.content);
        let version = match fields.0.first() {
            Some(&VERSION) => *Reader(fields.expect(VERSION)?.content).expect(INTEGER)?.content.last()?,
            _ => 0,
        };
        let _serial_number = fields.expect(INTEGER)?;
        let _signature_algorithm = fields.expect(SEQUENCE)?;
        let issuer = fields.expect(SEQUENCE)?.content;
        let mut validity = Reader(fields.expect(SEQUENCE)?.content);
        let (not_before, not_after) = (time(validity.next()?)?, time(validity.next()?)?);
        let subject = fields.expect(SEQUENCE)?.content;
        let info = fields.expect(SEQUENCE)?;
        let mut key = Reader(info.content);
        let algorithm = key.expect(SEQUENCE)?.content;
        let key = PublicKey { info: info.whole, algorithm, bits: bits(key.expect(BIT_STRING)?.content)? };
        Some(Self {
            signed: signed.whole,
            signature_algorithm,
            signature,
            version,
            issuer,
            subject,
            not_before,
            not_after,
            key,
        })
    }

    /// Versions before 3 have no extensions: neither alternative names nor a purpose.
    pub(super) fn has_extensions(&self) -> bool {
        self.version >= 2
    }

    pub(super) fn has_begun(&self, now: UnixTime) -> bool {
        i64::try_from(now.as_secs()).is_ok_and(|now| self.not_before <= now)
    }

    pub(super) fn has_ended(&self, now: UnixTime) -> bool {
        i64::try_from(now.as_secs()).is_ok_and(|now| self.not_after < now)
    }

    /// `issuer` has this certificate's issuer for its subject, and its key made the signature.
    pub(super) fn is_signed_by(
        &self,
        issuer: &Certificate,
        algorithms: &[&dyn SignatureVerificationAlgorithm],
    ) -> bool {
        let fitting = algorithms.iter().filter(|known| known.signature_alg_id().as_ref() == self.signature_algorithm);
        self.issuer == issuer.subject && issuer.key.has_signed(fitting.copied(), self.signed, self.signature)
    }

    /// The first common name of the subject.
    fn common_name(&self) -> Option<&'a str> {
        let mut sets = Reader(self.subject);
        while let Some(set) = sets.next() {
            let mut attributes = Reader((set.tag == SET).then_some(set.content)?);
            while let Some(attribute) = attributes.next() {
                let mut parts = Reader(attribute.content);
                let (kind, value) = (parts.expect(OBJECT_IDENTIFIER)?, parts.next()?);
                if kind.content == COMMON_NAME {
                    let name = STRINGS.contains(&value.tag).then(|| str::from_utf8(value.content).ok())??;
                    return Some(name).filter(|name| !name.contains('\0'));
                }
            }
        }
        None
    }

    /// The common name stands for this host.
    pub(super) fn is_named(&self, host: &str) -> bool {
        self.common_name().is_some_and(|name| is_name_of(name, host))
    }
}

/// A star at the start stands for one label.
fn is_name_of(name: &str, host: &str) -> bool {
    match name.strip_prefix("*.") {
        Some(domain) => host.split_once('.').is_some_and(|(label, rest)| {
            !label.is_empty() && domain.contains('.') && rest.eq_ignore_ascii_case(domain)
        }),
        None => name.eq_ignore_ascii_case(host),
    }
}

impl PublicKey<'_> {
    pub(super) fn has_signed<'b>(
        &self,
        algorithms: impl IntoIterator<Item = &'b dyn SignatureVerificationAlgorithm>,
        message: &[u8],
        signature: &[u8],
    ) -> bool {
        algorithms
            .into_iter()
            .filter(|algorithm| algorithm.public_key_alg_id().as_ref() == self.algorithm)
            .any(|algorithm| algorithm.verify_signature(self.bits, message, signature).is_ok())
    }
}

/// One element of DER: its tag, its content, and all of its bytes.
#[derive(Clone, Copy)]
struct Element<'a> {
    tag: u8,
    content: &'a [u8],
    whole: &'a [u8],
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn next(&mut self) -> Option<Element<'a>> {
        let [tag, length, rest @ ..] = self.0 else {
            return None;
        };
        let (length, content) = match *length {
            short @ 0..=0x7f => (usize::from(short), rest),
            // Certificates are far from the four gigabytes that four bytes can tell.
            long @ 0x81..=0x84 => {
                let (digits, content) = rest.split_at_checked(usize::from(long & 0x7f))?;
                (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), content)
            }
            _ => return None,
        };
        let (content, after) = content.split_at_checked(length)?;
        let whole = &self.0[..self.0.len() - after.len()];
        self.0 = after;
        Some(Element { tag: *tag, content, whole })
    }

    fn expect(&mut self, tag: u8) -> Option<Element<'a>> {
        self.next().filter(|element| element.tag == tag)
    }
}

/// A string of whole bytes.
fn bits(content: &[u8]) -> Option<&[u8]> {
    content.strip_prefix(&[0])
}

/// Seconds since 1970.
fn time(element: Element) -> Option<i64> {
    let digits = str::from_utf8(element.content).ok()?.strip_suffix('Z')?;
    if !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    // Two digits of a year tell one between 1950 and 2049.
    let (year, rest) = match (element.tag, digits.len()) {
        (UTC_TIME, 12) => (1900 + (digits[..2].parse::<i64>().ok()? + 50) % 100 + 50, &digits[2..]),
        (GENERALIZED_TIME, 14) => (digits[..4].parse().ok()?, &digits[4..]),
        _ => return None,
    };
    let number = |from: usize| rest[from..from + 2].parse::<i64>().ok();
    let seconds = (number(4)? * 60 + number(6)?) * 60 + number(8)?;
    Some(days(year, number(0)?, number(2)?) * 86_400 + seconds)
}

/// Days from 1970 to a date of the Gregorian calendar; years are counted from March, so that a leap day ends one.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month > 2 { year } else { year - 1 };
    let month = (month + 9) % 12;
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * month + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// Certificates to test with, valid until the year 2126.
#[cfg(test)]
pub(super) mod samples {
    use rustls::pki_types::{CertificateDer, pem::PemObject};

    pub(in crate::pg) fn der(pem: &str) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
    }

    /// `openssl req -x509`: may sign others.
    pub(in crate::pg) const AUTHORITY: &str = "\
-----BEGIN CERTIFICATE-----
MIIBfzCCASWgAwIBAgIUSSUvn7bI0ujrZKbuhHeESxALLgowCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJYXV0aG9yaXR5MCAXDTI2MTEyMjA3MTYyMFoYDzIxMjYxMDI5
MDcxNjIwWjAUMRIwEAYDVQQDDAlhdXRob3JpdHkwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAAQC6jRk/oH0lMPG/kAznbvaFwEtqosbkPhchI2pKpoOiS3cpvL+pizO
0DEO/lmA48N22dJnXh6P0SvgQvhMUWnoo1MwUTAdBgNVHQ4EFgQURcGQ25lpe7H5
S1D9oHRTUqXJBEswHwYDVR0jBBgwFoAURcGQ25lpe7H5S1D9oHRTUqXJBEswDwYD
VR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNIADBFAiEAusVnxLSmK+JJM0sdcied
mLBxYuKOFGNa+nbb8PTU9jUCIEiOlGciEzzibmCrkFz13Z9GIc2JbfxxVuZTrvWg
2Xkr
-----END CERTIFICATE-----
";

    /// Another authority.
    pub(in crate::pg) const OTHER: &str = "\
-----BEGIN CERTIFICATE-----
MIIBjDCCATGgAwIBAgIUTVAPtvYBAnzs6jnYvUdxJ0bm9bUwCgYIKoZIzj0EAwIw
GjEYMBYGA1UEAwwPb3RoZXIgYXV0aG9yaXR5MCAXDTI2MTEyMjA3MTYyMFoYDzIx
MjYxMDI5MDcxNjIwWjAaMRgwFgYDVQQDDA9vdGhlciBhdXRob3JpdHkwWTATBgcq
hkjOPQIBBggqhkjOPQMBBwNCAAQmDvyyAU4NwC6F5vaurgw03nexdohPxiFgTG4g
+3CaaKNXyYEIoiA/pXi2AnZxS/aI/y2zHFJTBlDe5K6WNmtqo1MwUTAdBgNVHQ4E
FgQU+3oLRhSAje8H4eWDq43oTUum5YUwHwYDVR0jBBgwFoAU+3oLRhSAje8H4eWD
q43oTUum5YUwDwYDVR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNJADBGAiEAqYKR
4rIxvNBqb/HN/hNE7qqa4XEAOetYY4L4rytgkWwCIQCXgPeGZgR6RzGjZ7NvjKHO
/Vu6RzhEhI6Zg5GtqZ9EyQ==
-----END CERTIFICATE-----
";

    /// Signed by the authority, for `*.example.com` and `127.0.0.1`.
    pub(in crate::pg) const NAMED: &str = "\
-----BEGIN CERTIFICATE-----
MIIBnjCCAUSgAwIBAgICfyQwCgYIKoZIzj0EAwIwFDESMBAGA1UEAwwJYXV0aG9y
aXR5MCAXDTI2MTEyMjA3MTYyMFoYDzIxMjYxMDI5MDcxNjIwWjArMRAwDgYDVQQK
DAdFeGFtcGxlMRcwFQYDVQQDDA5kYi5leGFtcGxlLmNvbTBZMBMGByqGSM49AgEG
CCqGSM49AwEHA0IABAN/q6SR0CkCtS7dOFYKI1M3HB85HApRfmlfDO7Qwyvgr4n0
NCSs08FD+cjBuuP9YXWICLXX/c41MgG3d8VY4wyjbTBrMB4GA1UdEQQXMBWCDSou
ZXhhbXBsZS5jb22HBH8AAAEwCQYDVR0TBAIwADAdBgNVHQ4EFgQUXeetWNrV6aRN
s71AtowWJNGU2F4wHwYDVR0jBBgwFoAURcGQ25lpe7H5S1D9oHRTUqXJBEswCgYI
KoZIzj0EAwIDSAAwRQIhAOGFaC+TsRK+zjH8kmMqN2mFazUSUgk53x/CMDeHBg2C
AiA0xHuQockxWM8xvmp9c91QbH7g4WINropOkHeC/xersw==
-----END CERTIFICATE-----
";

    /// Signed by the authority; only the common name says `db.example.com`.
    pub(in crate::pg) const UNNAMED: &str = "\
-----BEGIN CERTIFICATE-----
MIIBfzCCASSgAwIBAgICXVowCgYIKoZIzj0EAwIwFDESMBAGA1UEAwwJYXV0aG9y
aXR5MCAXDTI2MTEyMjA3MTYyMFoYDzIxMjYxMDI5MDcxNjIwWjArMRAwDgYDVQQK
DAdFeGFtcGxlMRcwFQYDVQQDDA5kYi5leGFtcGxlLmNvbTBZMBMGByqGSM49AgEG
CCqGSM49AwEHA0IABAN/q6SR0CkCtS7dOFYKI1M3HB85HApRfmlfDO7Qwyvgr4n0
NCSs08FD+cjBuuP9YXWICLXX/c41MgG3d8VY4wyjTTBLMAkGA1UdEwQCMAAwHQYD
VR0OBBYEFF3nrVja1emkTbO9QLaMFiTRlNheMB8GA1UdIwQYMBaAFEXBkNuZaXux
+UtQ/aB0U1KlyQRLMAoGCCqGSM49BAMCA0kAMEYCIQCdIPnSpO2ZT0HSzoLf5o0H
WfNCE7yOytTHl/0ibqwy2QIhAOYfaP8rIj++4xHBzsxj85J+73cOBDUDQAek+P+W
GyVQ
-----END CERTIFICATE-----
";

    /// The same, of version 1: `openssl x509 -req` without a file of extensions.
    pub(in crate::pg) const OLD: &str = "\
-----BEGIN CERTIFICATE-----
MIIBKTCB0AICcHcwCgYIKoZIzj0EAwIwFDESMBAGA1UEAwwJYXV0aG9yaXR5MCAX
DTI2MTEyMjA3MTYyMFoYDzIxMjYxMDI5MDcxNjIwWjArMRAwDgYDVQQKDAdFeGFt
cGxlMRcwFQYDVQQDDA5kYi5leGFtcGxlLmNvbTBZMBMGByqGSM49AgEGCCqGSM49
AwEHA0IABAN/q6SR0CkCtS7dOFYKI1M3HB85HApRfmlfDO7Qwyvgr4n0NCSs08FD
+cjBuuP9YXWICLXX/c41MgG3d8VY4wwwCgYIKoZIzj0EAwIDSAAwRQIgUF6j+NIx
fwNeJBZe/fYjrGzPgPnotIYwgug1O1dUNSsCIQDwEN9+bcaTgHbXrLZEI4R68z2S
JTTwIyH7iycBfVzvgQ==
-----END CERTIFICATE-----
";

    /// `openssl req -x509` with the subject `/CN=db.example.com`: its own authority.
    pub(in crate::pg) const SELF_SIGNED: &str = "\
-----BEGIN CERTIFICATE-----
MIIBiTCCAS+gAwIBAgIUMvCp73gAVPFtDF4z06b8s9H+5DowCgYIKoZIzj0EAwIw
GTEXMBUGA1UEAwwOZGIuZXhhbXBsZS5jb20wIBcNMjYxMTIyMDcxNjIwWhgPMjEy
NjEwMjkwNzE2MjBaMBkxFzAVBgNVBAMMDmRiLmV4YW1wbGUuY29tMFkwEwYHKoZI
zj0CAQYIKoZIzj0DAQcDQgAEA3+rpJHQKQK1Lt04VgojUzccHzkcClF+aV8M7tDD
K+CvifQ0JKzTwUP5yMG64/1hdYgItdf9zjUyAbd3xVjjDKNTMFEwHQYDVR0OBBYE
FF3nrVja1emkTbO9QLaMFiTRlNheMB8GA1UdIwQYMBaAFF3nrVja1emkTbO9QLaM
FiTRlNheMA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSAAwRQIgLuNKgFen
W37SOr6C2PN6IFh1zP32sYRNDUttgGoEBooCIQCOz5jrr9HR0MQPcgZ0rEfz3tt9
EMX6ZuHR3q2ji1FYxw==
-----END CERTIFICATE-----
";
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;
    use rustls::crypto::ring;

    use super::*;

    fn at(seconds: u64) -> UnixTime {
        UnixTime::since_unix_epoch(Duration::from_secs(seconds))
    }

    #[test]
    fn the_parts_are_read() {
        let (named, old) = (samples::der(samples::NAMED), samples::der(samples::OLD));
        let (named, old) = (Certificate::read(&named).unwrap(), Certificate::read(&old).unwrap());
        assert!(named.has_extensions() && !old.has_extensions());
        assert_eq!(old.common_name(), Some("db.example.com"));
        // The year 2030 lies in the sample's time; 1970 and 2200 do not.
        assert!(old.has_begun(at(1_900_000_000)) && !old.has_ended(at(1_900_000_000)));
        assert!(!old.has_begun(at(0)) && old.has_ended(at(7_258_118_400)));
    }

    #[test]
    fn a_signature_is_checked_by_name_and_key() {
        let algorithms = ring::default_provider().signature_verification_algorithms.all;
        let [authority, other, old] = [samples::AUTHORITY, samples::OTHER, samples::OLD].map(samples::der);
        let mut forged = old.to_vec();
        // The first letter of the common name.
        let at = forged.windows(14).position(|window| window == b"db.example.com").unwrap();
        forged[at] = b'e';
        let read = |der: &'static [u8]| Certificate::read(der).unwrap();
        let [authority, other, old] = [authority, other, old].map(|der| read(Vec::leak(der.to_vec())));
        assert!(old.is_signed_by(&authority, algorithms));
        assert!(!old.is_signed_by(&other, algorithms));
        assert!(!read(Vec::leak(forged)).is_signed_by(&authority, algorithms));
    }

    #[test]
    fn dates_are_counted_in_days() {
        for (date, expected) in
            [((1970, 1, 1), 0), ((2000, 2, 29), 11_016), ((2000, 3, 1), 11_017), ((2126, 10, 29), 57_279)]
        {
            assert_eq!(days(date.0, date.1, date.2), expected, "{date:?}");
        }
        let time = |tag, content: &[u8]| time(Element { tag, content, whole: content });
        assert_eq!(time(UTC_TIME, b"700101000001Z"), Some(1));
        assert_eq!(time(UTC_TIME, b"491231235959Z"), Some(2_524_607_999));
        assert_eq!(time(GENERALIZED_TIME, b"20500101000000Z"), Some(2_524_608_000));
        for wrong in ["", "Z", "700101000001", "70010100000Z", "7001010000012Z", "+00101000001Z", "70010100000\u{e9}Z"]
        {
            assert_eq!(time(UTC_TIME, wrong.as_bytes()), None, "{wrong}");
        }
    }

    #[test]
    fn a_star_in_a_common_name_stands_for_one_label() {
        let named = |name: &'static str, host| is_name_of(name, host);
        assert!(named("db.example.com", "DB.example.com") && named("*.example.com", "db.example.com"));
        assert!(!named("*.example.com", "example.com") && !named("*.example.com", "a.b.example.com"));
        assert!(!named("*.com", "example.com") && !named("*", "db") && !named("*.example.com", ".example.com"));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(
            bytes in any::<Vec<u8>>(),
            end in any::<usize>(),
            at in any::<usize>(),
            byte in any::<u8>(),
        ) {
            let _ = Certificate::read(&bytes);
            for sample in [samples::NAMED, samples::OLD] {
                let mut der = samples::der(sample).to_vec();
                let (end, at) = (end % der.len(), at % der.len());
                let _ = Certificate::read(&der[..end]);
                der[at] = byte;
                let _ = Certificate::read(&der).map(|certificate| certificate.is_named("db.example.com"));
            }
        }
    }
}
