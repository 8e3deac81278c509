//! A certificate authority that is the server's own.

use std::net::IpAddr;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

/// An authority with the certificates that it made for a server.
pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: rcgen::Certificate,
    acceptor: TlsAcceptor,
}

/// A certificate with its key, both in PEM, by which a client says who it is.
#[derive(Clone, Debug)]
pub struct ClientCertificate {
    /// The certificate.
    pub certificate: String,
    /// Its private key.
    pub key: String,
    pub(super) der: Vec<u8>,
}

impl Authority {
    /// A new one, with a server that is reached at `address` or by one of `names`.
    ///
    /// # Panics
    /// When a name is not one.
    pub(super) fn new(address: IpAddr, names: &[String]) -> Self {
        let key = KeyPair::generate().expect("keys can be made");
        let mut params = named("kubernetes-ca");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let certificate = params.self_signed(&key).expect("an authority signs itself");
        let issuer = Issuer::new(params, key);
        let acceptor = acceptor(&issuer, &certificate, address, names);
        Self { issuer, certificate, acceptor }
    }

    /// Its certificate in PEM.
    pub(super) fn pem(&self) -> String {
        self.certificate.pem()
    }

    /// What makes connections of the server secure.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        self.acceptor.clone()
    }

    /// A certificate of a user.
    pub(super) fn client_certificate(&self, user: &str) -> ClientCertificate {
        let key = KeyPair::generate().expect("keys can be made");
        let mut params = named(user);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = params.signed_by(&key, &self.issuer).expect("an authority signs");
        ClientCertificate {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
            der: certificate.der().to_vec(),
        }
    }
}

fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

fn acceptor(
    issuer: &Issuer<'static, KeyPair>,
    authority: &rcgen::Certificate,
    address: IpAddr,
    names: &[String],
) -> TlsAcceptor {
    let known = ["localhost", "127.0.0.1", "::1", "kubernetes.default.svc"].map(str::to_owned);
    let all = known.into_iter().chain([address.to_string()]).chain(names.iter().cloned());
    let mut params = CertificateParams::new(all.collect::<Vec<_>>()).expect("these are names");
    params.distinguished_name.push(DnType::CommonName, "kube-apiserver");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate().expect("keys can be made");
    let certificate = params.signed_by(&key, issuer).expect("an authority signs");

    let mut roots = RootCertStore::empty();
    roots.add(authority.der().clone()).expect("the authority has a good certificate");
    let provider = Arc::new(default_provider());
    let clients = WebPkiClientVerifier::builder_with_provider(roots.into(), Arc::clone(&provider))
        .allow_unauthenticated()
        .build()
        .expect("there is an authority");
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider knows the versions")
        .with_client_cert_verifier(clients)
        .with_single_cert(vec![certificate.der().clone()], key)
        .expect("certificate and key belong together");
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    TlsAcceptor::from(Arc::new(config))
}
