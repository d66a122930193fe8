//! Whom to trust: the host's certificate bundle, where its distribution keeps it.
//!
//! There are no roots of our own: built-in ones grow old, and fail behind a proxy that inspects TLS, whose authority
//! an administrator adds to the host's bundle. A host without a bundle is named instead.

use std::path::{Path, PathBuf};

/// Debian and Ubuntu, then Amazon Linux and its relatives, then others.
pub const BUNDLES: [&str; 4] = [
    "etc/ssl/certs/ca-certificates.crt",
    "etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "etc/ssl/ca-bundle.pem",
    "etc/ssl/cert.pem",
];

/// Certificates of authorities, and where they were found.
#[derive(Debug, Clone)]
pub struct Roots {
    /// The file.
    pub bundle: PathBuf,
    /// DER, at least one.
    pub(crate) certificates: Vec<ureq::tls::Certificate<'static>>,
}

impl Roots {
    /// The first bundle under `root` that holds a certificate.
    ///
    /// # Errors
    /// In words: no bundle, or none with a certificate.
    pub fn find(root: &Path) -> Result<Self, String> {
        for bundle in BUNDLES.map(|path| root.join(path)) {
            let Ok(text) = std::fs::read(&bundle) else { continue };
            // A damaged entry costs that entry, not the bundle.
            let certificates: Vec<_> = ureq::tls::parse_pem(&text)
                .filter_map(|item| match item {
                    Ok(ureq::tls::PemItem::Certificate(certificate)) => Some(certificate),
                    _ => None,
                })
                .collect();
            if !certificates.is_empty() {
                return Ok(Self { bundle, certificates });
            }
        }
        Err(format!(
            "found no certificate authorities under {}, expected one of {}; install the package ca-certificates",
            root.display(),
            BUNDLES.join(", ")
        ))
    }
}

/// What a failed handshake means for a person.
pub(crate) fn explain(error: &rustls::Error, bundle: &Path) -> String {
    use rustls::{CertificateError as Wrong, Error};
    let bundle = bundle.display();
    match error {
        Error::InvalidCertificate(
            Wrong::Expired | Wrong::ExpiredContext { .. } | Wrong::NotValidYet | Wrong::NotValidYetContext { .. },
        ) => format!("{error}; compare this machine's clock first (`date -u`), then the certificate's dates"),
        Error::InvalidCertificate(Wrong::UnknownIssuer | Wrong::BadSignature) => format!(
            "{error} (roots of {bundle}); where a proxy inspects TLS, add its authority there, else someone else answers"
        ),
        Error::InvalidCertificate(Wrong::NotValidForName | Wrong::NotValidForNameContext { .. }) => {
            format!("{error}; someone else answers at that address: check DNS and the endpoint's name")
        }
        Error::InvalidCertificate(_) => format!("{error}; check that endpoint's certificate"),
        _ => format!("{error}; check that the port speaks TLS 1.2 or later"),
    }
}
