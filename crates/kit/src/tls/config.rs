//! The server's TLS configuration, built anew when its files have changed.

use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

use super::{Files, Options, Unusable};

/// Builds configurations. While the files stay the same so does the configuration, and with it the sessions that peers
/// resume.
pub(super) struct Source {
    purpose: &'static str,
    files: Files,
    protocols: &'static [&'static str],
    known: Mutex<Option<(Contents, Arc<ServerConfig>)>>,
}

#[derive(PartialEq)]
struct Contents {
    cert: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

impl Source {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            purpose: options.purpose,
            files: options.files.clone(),
            protocols: options.protocols,
            known: Mutex::default(),
        }
    }

    /// The configuration by the files as they are now.
    pub(super) async fn read(&self) -> Result<Arc<ServerConfig>, Unusable> {
        let files = &self.files;
        let contents = Contents {
            cert: self.file(&files.cert).await?,
            key: self.file(&files.key).await?,
            client_ca: match &files.client_ca {
                Some(file) => Some(self.file(file).await?),
                None => None,
            },
        };
        let mut known = self.known.lock();
        if let Some((before, config)) = known.as_ref()
            && *before == contents
        {
            return Ok(Arc::clone(config));
        }
        let config = Arc::new(self.build(&contents)?);
        *known = Some((contents, Arc::clone(&config)));
        Ok(config)
    }

    async fn file(&self, path: &Path) -> Result<Vec<u8>, Unusable> {
        tokio::fs::read(path).await.map_err(|err| self.unusable(path, &err))
    }

    fn build(&self, contents: &Contents) -> Result<ServerConfig, Unusable> {
        let files = &self.files;
        let chain = self.certificates(&files.cert, &contents.cert)?;
        let key = PrivateKeyDer::from_pem_slice(&contents.key).map_err(|err| self.unusable(&files.key, &err))?;
        let builder = ServerConfig::builder();
        let builder = match (&files.client_ca, &contents.client_ca) {
            (Some(file), Some(authority)) => {
                let mut roots = RootCertStore::empty();
                for root in self.certificates(file, authority)? {
                    roots.add(root).map_err(|err| self.unusable(file, &err))?;
                }
                // Who shows no certificate proves who it is in another way.
                let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).allow_unauthenticated();
                builder.with_client_cert_verifier(verifier.build().map_err(|err| self.unusable(file, &err))?)
            }
            _ => builder.with_no_client_auth(),
        };
        let mut config = builder
            .with_single_cert(chain, key)
            .map_err(|err| self.unusable(&files.cert, &err))?;
        config.alpn_protocols = self.protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        Ok(config)
    }

    fn certificates(&self, file: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Unusable> {
        let all: Vec<_> = CertificateDer::pem_slice_iter(pem)
            .collect::<Result<_, _>>()
            .map_err(|err| self.unusable(file, &err))?;
        if all.is_empty() {
            return Err(self.unusable(file, &"it holds no certificate"));
        }
        Ok(all)
    }

    fn unusable(&self, path: &Path, cause: &dyn std::fmt::Display) -> Unusable {
        Unusable::File {
            purpose: self.purpose,
            path: path.to_owned(),
            cause: cause.to_string(),
        }
    }
}
