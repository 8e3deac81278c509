//! Files that tell clients where the server is, and who they are.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::tls::ClientCertificate;

/// How a client says who it is.
#[derive(Clone, Debug)]
pub enum Credentials {
    /// Not at all.
    Nothing,
    /// By a token that the file contains.
    Token(String),
    /// By a token in a file, which may change.
    TokenFile(PathBuf),
    /// By a certificate.
    Certificate(ClientCertificate),
}

/// A kubeconfig for the server at `url`, in JSON, which is YAML too.
pub(super) fn kubeconfig(url: &str, authority: Option<&str>, credentials: &Credentials) -> String {
    let mut cluster = json!({ "server": url });
    if let Some(authority) = authority {
        cluster["certificate-authority-data"] = STANDARD.encode(authority).into();
    }
    let context = json!({ "cluster": "default", "user": "default", "namespace": "default" });
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{ "name": "default", "cluster": cluster }],
        "contexts": [{ "name": "default", "context": context }],
        "current-context": "default",
        "users": [{ "name": "default", "user": user(credentials) }],
    });
    format!("{config:#}\n")
}

fn user(credentials: &Credentials) -> Value {
    match credentials {
        Credentials::Nothing => json!({}),
        Credentials::Token(token) => json!({ "token": token }),
        Credentials::TokenFile(path) => json!({ "tokenFile": path }),
        Credentials::Certificate(client) => json!({
            "client-certificate-data": STANDARD.encode(&client.certificate),
            "client-key-data": STANDARD.encode(&client.key),
        }),
    }
}
