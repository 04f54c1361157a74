//! An encrypted connection, and what it gives to SCRAM for binding the password to it.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use rustls::pki_types::CertificateDer;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::ChannelBinding;
use tokio_rustls::client::TlsStream;
use x509_cert::{
    AlgorithmIdentifier,
    der::{Decode, Encode, asn1::ContextSpecific, oid::ObjectIdentifier},
};

use super::certificate::Certificate;

pub(in crate::pg) struct Stream<S>(pub(super) TlsStream<S>);

impl<S: AsyncRead + AsyncWrite + Unpin> tokio_postgres::tls::TlsStream for Stream<S> {
    fn channel_binding(&self) -> ChannelBinding {
        let shown = self.0.get_ref().1.peer_certificates().and_then(<[_]>::first);
        shown.and_then(end_point).map_or_else(ChannelBinding::none, ChannelBinding::tls_server_end_point)
    }
}

/// The hash of a certificate, by the function that its own signature uses, and SHA-256 in place of MD5 and SHA-1. `None`
/// for one whose signature uses no such function (Ed25519): no binding is defined for it.
/// <https://datatracker.ietf.org/doc/html/rfc5929#section-4.1>
fn end_point(certificate: &CertificateDer<'_>) -> Option<Vec<u8>> {
    let read = Certificate::read(certificate)?;
    let hash = hash_of_signature(read.signature_algorithm())?;
    Some(match hash {
        Hash::Sha224 => Sha224::digest(certificate).to_vec(),
        Hash::Sha256 => Sha256::digest(certificate).to_vec(),
        Hash::Sha384 => Sha384::digest(certificate).to_vec(),
        Hash::Sha512 => Sha512::digest(certificate).to_vec(),
    })
}

#[derive(Clone, Copy)]
enum Hash {
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

const RSA_PSS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10");

/// Signatures by RSA and ECDSA, and the hash functions themselves, which RSA-PSS names as a parameter.
const HASHES: [(&str, Hash); 15] = [
    // MD5, SHA-1
    ("1.2.840.113549.1.1.4", Hash::Sha256),
    ("1.2.840.113549.1.1.5", Hash::Sha256),
    ("1.2.840.10045.4.1", Hash::Sha256),
    ("1.3.14.3.2.26", Hash::Sha256),
    ("1.2.840.113549.1.1.14", Hash::Sha224),
    ("1.2.840.113549.1.1.11", Hash::Sha256),
    ("1.2.840.113549.1.1.12", Hash::Sha384),
    ("1.2.840.113549.1.1.13", Hash::Sha512),
    ("1.2.840.10045.4.3.1", Hash::Sha224),
    ("1.2.840.10045.4.3.2", Hash::Sha256),
    ("1.2.840.10045.4.3.3", Hash::Sha384),
    ("1.2.840.10045.4.3.4", Hash::Sha512),
    ("2.16.840.1.101.3.4.2.1", Hash::Sha256),
    ("2.16.840.1.101.3.4.2.2", Hash::Sha384),
    ("2.16.840.1.101.3.4.2.3", Hash::Sha512),
];

fn hash_of_signature(algorithm: &AlgorithmIdentifier) -> Option<Hash> {
    if algorithm.oid != RSA_PSS {
        return named(&algorithm.oid);
    }
    let parameters = algorithm.parameters.as_ref()?.to_der().ok()?;
    // `[0] HashAlgorithm DEFAULT sha1` is the first of the parameters.
    let first = x509_cert::der::asn1::AnyRef::from_der(&parameters).ok()?;
    match ContextSpecific::<AlgorithmIdentifier>::from_der(first_element(first.value())?).ok() {
        Some(hash) if hash.tag_number.value() == 0 => named(&hash.value.oid),
        _ => Some(Hash::Sha256),
    }
}

fn first_element(elements: &[u8]) -> Option<&[u8]> {
    use x509_cert::der::{Reader, SliceReader};
    if elements.is_empty() { Some(elements) } else { SliceReader::new(elements).ok()?.tlv_bytes().ok() }
}

fn named(identifier: &ObjectIdentifier) -> Option<Hash> {
    HASHES
        .iter()
        .find(|(known, _)| ObjectIdentifier::new(known).is_ok_and(|known| known == *identifier))
        .map(|(_, hash)| *hash)
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Stream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Stream<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
