//! Certificates as they are given: a file, or a text.

use std::fs;

use rustls::pki_types::{
    CertificateDer,
    pem::{self, PemObject},
};

use crate::pg::{error::Error, settings::Material};

/// Where a certificate or a key was given, for a message.
pub(super) fn place(material: &Material, file: &str, option: &str) -> String {
    match material {
        Material::File(path) => format!("`{file}` ({})", path.display()),
        Material::Text(_) => format!("option `{option}`"),
    }
}

pub(super) fn bytes(material: &Material, file: &str) -> Result<Vec<u8>, Error> {
    match material {
        Material::File(path) => fs::read(path)
            .map_err(|error| Error::invalid(format!("`{file}`: {} cannot be read: {error}", path.display()))),
        Material::Text(text) => Ok(text.clone()),
    }
}

pub(super) fn certificates(
    material: &Material,
    file: &str,
    option: &str,
) -> Result<Vec<CertificateDer<'static>>, Error> {
    let found: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(&bytes(material, file)?).collect();
    match found {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(Error::invalid(format!("{} does not hold a PEM certificate", place(material, file, option)))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pg::tls::samples;

    #[test]
    fn what_holds_no_certificate_is_named_by_where_it_was_given() {
        let told = |text: &str| certificates(&Material::Text(text.into()), "sslrootcert", "ssl.ca");
        assert_eq!(told(samples::NAMED).unwrap(), [samples::der(samples::NAMED)]);
        assert_eq!(told("").unwrap_err().message(), "option `ssl.ca` does not hold a PEM certificate");
        let place = place(&Material::File("/root.crt".into()), "sslrootcert", "ssl.ca");
        assert_eq!(place, "`sslrootcert` (/root.crt)");
    }
}
