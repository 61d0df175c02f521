//! What the environment says about the hub (member-behaviour 2.1).

use std::collections::BTreeMap;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderName, HeaderValue};
use kit::client::{Ca, Identity, Options, Source};

use super::Settings;

/// The variables that the agent reads.
const NAMES: [&str; 8] = [
    "HUB_SERVER_URL",
    "MEMBER_CLUSTER_NAME",
    "CONFIG_PATH",
    "IDENTITY_KEY",
    "IDENTITY_CERT",
    "CA_BUNDLE",
    "HUB_CERTIFICATE_AUTHORITY",
    "HUB_KUBE_HEADER",
];

/// Variables that are set, also if they are empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Environment(BTreeMap<&'static str, String>);

impl Environment {
    /// The variables of this process.
    pub fn of_process() -> Self {
        Self(
            NAMES
                .into_iter()
                .filter_map(|name| Some((name, std::env::var(name).ok()?)))
                .collect(),
        )
    }

    /// Variables given as pairs; others than the known ones are left out.
    pub fn of<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let pairs: BTreeMap<&str, &str> = pairs.into_iter().collect();
        Self(
            NAMES
                .into_iter()
                .filter_map(|name| Some((name, (*pairs.get(name)?).to_owned())))
                .collect(),
        )
    }

    /// The member's name, and how to reach the hub.
    ///
    /// # Errors
    /// What is missing or contradicts itself, one sentence each.
    pub(super) fn hub(&self, settings: &Settings) -> Result<(String, Options), Vec<String>> {
        let mut problems = Vec::new();
        let mut required = |name: &'static str| match self.0.get(name) {
            Some(value) if !value.is_empty() => value.clone(),
            _ => {
                problems.push(format!("The environment variable {name} must be set."));
                String::new()
            }
        };
        let url = required("HUB_SERVER_URL");
        let member_name = required("MEMBER_CLUSTER_NAME");
        let identity = if settings.use_ca_auth {
            let (key, cert) = (required("IDENTITY_KEY"), required("IDENTITY_CERT"));
            Identity::Certificate {
                cert: PathBuf::from(cert),
                key: PathBuf::from(key),
            }
        } else {
            Identity::TokenFile(PathBuf::from(required("CONFIG_PATH")))
        };
        let mut take = |result: Result<Ca, String>| result.map_err(|problem| problems.push(problem)).ok();
        let ca = take(self.ca(settings.tls_insecure));
        let headers = self
            .headers()
            .map_err(|problem| problems.push(problem))
            .unwrap_or_default();
        match ca {
            Some(ca) if problems.is_empty() => {
                let mut options = Options::new(Source::Explicit { url, ca, identity });
                options.rate = settings.hub_rate;
                options.headers = headers;
                Ok((member_name, options))
            }
            _ => Err(problems),
        }
    }

    fn ca(&self, insecure: bool) -> Result<Ca, String> {
        if insecure {
            tracing::warn!("The hub's certificate is not checked: --tls-insecure is set.");
            return Ok(Ca::Insecure);
        }
        match (self.0.get("CA_BUNDLE"), self.0.get("HUB_CERTIFICATE_AUTHORITY")) {
            (Some(_), Some(_)) => Err(
                "The environment variables CA_BUNDLE and HUB_CERTIFICATE_AUTHORITY must not both be set.".to_owned(),
            ),
            (Some(path), None) if path.is_empty() => {
                Err("The environment variable CA_BUNDLE must not be empty.".to_owned())
            }
            (Some(path), None) => Ok(Ca::File(PathBuf::from(path))),
            (None, Some(data)) if data.is_empty() => {
                Err("The environment variable HUB_CERTIFICATE_AUTHORITY must not be empty.".to_owned())
            }
            (None, Some(data)) => STANDARD
                .decode(data.trim())
                .map(Ca::Pem)
                .map_err(|err| format!("The environment variable HUB_CERTIFICATE_AUTHORITY is not base64: {err}.")),
            (None, None) => Ok(Ca::System),
        }
    }

    /// Extra headers in the notation of mail: `Name: value`, one a line, continued by lines that begin with a blank.
    fn headers(&self) -> Result<Vec<(HeaderName, HeaderValue)>, String> {
        let text = self.0.get("HUB_KUBE_HEADER").map(String::as_str).unwrap_or_default();
        let mut fields: Vec<(String, String)> = Vec::new();
        for line in text.lines().take_while(|line| !line.is_empty()) {
            match (line.starts_with([' ', '\t']), fields.last_mut()) {
                (true, Some((_, value))) => {
                    value.push(' ');
                    value.push_str(line.trim());
                }
                _ => {
                    let (name, value) = line.split_once(':').ok_or_else(|| malformed(line))?;
                    fields.push((name.to_owned(), value.trim().to_owned()));
                }
            }
        }
        let parse = |(name, value): (String, String)| {
            let header = HeaderName::try_from(name.as_str()).map_err(|_| malformed(&name))?;
            Ok((header, HeaderValue::try_from(value).map_err(|_| malformed(&name))?))
        };
        fields.into_iter().map(parse).collect()
    }
}

fn malformed(what: &str) -> String {
    format!("The environment variable HUB_KUBE_HEADER holds {what:?}, which is not a header.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hub(pairs: &[(&str, &str)], settings: &Settings) -> Result<(String, Options), Vec<String>> {
        let base = [
            ("HUB_SERVER_URL", "https://hub:6443"),
            ("MEMBER_CLUSTER_NAME", "m"),
            ("CONFIG_PATH", "/config/token"),
        ];
        Environment::of(base.into_iter().chain(pairs.iter().copied())).hub(settings)
    }

    fn problem(pairs: &[(&str, &str)]) -> String {
        hub(pairs, &Settings::default()).unwrap_err().join(" ")
    }

    #[test]
    fn authorities_by_rule() {
        let ca = |pairs: &[(&str, &str)], settings: &Settings| match hub(pairs, settings).unwrap().1.source {
            Source::Explicit { ca, .. } => format!("{ca:?}"),
            other => panic!("{other:?}"),
        };
        let secure = Settings::default();
        assert_eq!(ca(&[], &secure), "System");
        assert!(ca(&[("CA_BUNDLE", "/ca.pem")], &secure).contains("/ca.pem"));
        assert!(ca(&[("HUB_CERTIFICATE_AUTHORITY", "cGVt")], &secure).starts_with("Pem"));
        let insecure = Settings {
            tls_insecure: true,
            ..Settings::default()
        };
        assert_eq!(
            ca(&[("CA_BUNDLE", ""), ("HUB_CERTIFICATE_AUTHORITY", "?")], &insecure),
            "Insecure"
        );
        for (pairs, part) in [
            (vec![("CA_BUNDLE", "")], "CA_BUNDLE must not be empty"),
            (vec![("HUB_CERTIFICATE_AUTHORITY", "")], "AUTHORITY must not be empty"),
            (vec![("HUB_CERTIFICATE_AUTHORITY", "?")], "is not base64"),
            (
                vec![("CA_BUNDLE", "a"), ("HUB_CERTIFICATE_AUTHORITY", "cGVt")],
                "must not both be set",
            ),
        ] {
            assert!(problem(&pairs).contains(part), "{part}");
        }
    }

    #[test]
    fn identity_needs_its_variables() {
        assert!(problem(&[("CONFIG_PATH", "")]).contains("CONFIG_PATH"));
        let certificate = Settings {
            use_ca_auth: true,
            ..Settings::default()
        };
        let problems = hub(&[], &certificate).unwrap_err();
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert!(
            hub(
                &[("IDENTITY_KEY", "/k"), ("IDENTITY_CERT", "/c"), ("CONFIG_PATH", "")],
                &certificate
            )
            .is_ok()
        );
    }

    #[test]
    fn extra_headers() {
        let (name, options) = hub(&[("HUB_KUBE_HEADER", "X-One: 1\nX-Two: a\n  b")], &Settings::default()).unwrap();
        let got: Vec<_> = options
            .headers
            .iter()
            .map(|(n, v)| format!("{n}={}", v.to_str().unwrap()))
            .collect();
        assert_eq!(
            (name.as_str(), got),
            ("m", vec!["x-one=1".to_owned(), "x-two=a b".to_owned()])
        );
        assert!(problem(&[("HUB_KUBE_HEADER", "no header")]).contains("\"no header\""));
        assert!(problem(&[("HUB_KUBE_HEADER", "a b: c")]).contains("\"a b\""));
    }
}
