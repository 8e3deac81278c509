//! Who asks, and whether they may.

use serde::Deserialize;
use serde_json::Value;

use super::request::{Asked, Verb};
use super::status::Refusal;

/// Whom a server knows. The default knows nobody and lets everybody do everything.
#[derive(Clone, Debug, Default)]
pub(super) struct Access {
    tokens: Vec<Token>,
    certificates: Vec<Certificate>,
    /// Users that may do only what is listed.
    limited: Vec<(String, Policy)>,
}

/// A bearer token and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// What is sent.
    pub token: String,
    /// Who sends it.
    pub user: String,
}

impl Token {
    /// A token of the ServiceAccount that a node proxy has.
    #[must_use]
    pub fn of_proxy(token: &str) -> Self {
        let user = "system:serviceaccount:kube-system:kube-proxy".to_owned();
        Self { token: token.to_owned(), user }
    }
}

#[derive(Clone, Debug)]
struct Certificate {
    der: Vec<u8>,
    user: String,
}

/// What may be done, as the `rules` of a ClusterRole. What is not listed is forbidden.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Policy {
    rules: Vec<Rule>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    #[serde(default)]
    api_groups: Vec<String>,
    #[serde(default)]
    resources: Vec<String>,
    verbs: Vec<String>,
}

impl Policy {
    /// The rules of a ClusterRole.
    ///
    /// # Errors
    /// When it is not one.
    pub fn of_cluster_role(object: &Value) -> Result<Self, serde_json::Error> {
        Self::deserialize(object)
    }

    fn allows(&self, asked: &Asked) -> bool {
        let among = |all: &[String], one: &str| all.iter().any(|each| each == "*" || each == one);
        self.rules.iter().any(|rule| {
            among(&rule.verbs, asked.verb.name())
                && among(&rule.api_groups, asked.kind.group)
                && among(&rule.resources, asked.kind.plural)
        })
    }
}

const ANONYMOUS: &str = "system:anonymous";

impl Access {
    /// From now on only these tokens are good.
    pub(super) fn set_tokens(&mut self, tokens: &[Token]) {
        tokens.clone_into(&mut self.tokens);
    }

    /// A certificate that the server's authority made is `user`'s.
    pub(super) fn know(&mut self, der: Vec<u8>, user: &str) {
        self.certificates.push(Certificate { der, user: user.to_owned() });
    }

    /// From now on `user` may do no more than `policy` says; without one, everything.
    pub(super) fn limit(&mut self, user: &str, policy: Option<Policy>) {
        self.limited.retain(|(limited, _)| limited != user);
        self.limited.extend(policy.map(|policy| (user.to_owned(), policy)));
    }

    /// Who sends a header `Authorization`, or shows a certificate.
    pub(super) fn user(
        &self,
        authorization: Option<&str>,
        certificate: Option<&[u8]>,
    ) -> Result<String, Refusal> {
        if let Some(certificate) = certificate {
            let known = self.certificates.iter().find(|known| known.der == certificate);
            return known.map(|known| known.user.clone()).ok_or_else(Refusal::unauthorized);
        }
        let bearer = authorization.and_then(|text| text.strip_prefix("Bearer "));
        match bearer {
            _ if self.tokens.is_empty() && self.certificates.is_empty() => {
                Ok("system:admin".to_owned())
            }
            None => Ok(ANONYMOUS.to_owned()),
            Some(bearer) => {
                let known = self.tokens.iter().find(|token| token.token == bearer);
                known.map(|token| token.user.clone()).ok_or_else(Refusal::unauthorized)
            }
        }
    }

    /// Whether `user` may do what is asked.
    pub(super) fn check(&self, user: &str, asked: &Asked) -> Result<(), Refusal> {
        let limited = self.limited.iter().find(|(limited, _)| limited == user);
        let allowed = match limited {
            Some((_, policy)) => policy.allows(asked),
            None => user != ANONYMOUS,
        };
        if allowed {
            return Ok(());
        }
        let Asked { verb, kind, namespace, name, .. } = asked;
        let place = match &namespace[..] {
            "" => "at the cluster scope".to_owned(),
            namespace => format!("in the namespace \"{namespace}\""),
        };
        let why = format!(
            "User \"{user}\" cannot {} resource \"{}\" in API group \"{}\" {place}",
            verb.name(),
            kind.plural,
            kind.group
        );
        let name = if *verb == Verb::Create { "" } else { name };
        Err(Refusal::forbidden(kind, name, &why))
    }
}
