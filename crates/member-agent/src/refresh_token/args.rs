//! Command line of the side-car: `refreshtoken [flags] secret|azure [flags]`.

use std::path::PathBuf;

use kit::flags::{FlagSet, ParseError};

/// Whom managed identities get tokens for unless the flag says otherwise.
const DEFAULT_SCOPE: &str = "6dae42f8-4368-4678-94ff-3960e28e3630";

/// Everything that the command line says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where the token goes.
    pub file: PathBuf,
    /// Where it comes from.
    pub provider: Provider,
    /// Path of the member's kubeconfig, empty for the usual places.
    pub kubeconfig: String,
    /// Verbosity of the log.
    pub verbosity: u8,
}

/// Where tokens come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Provider {
    /// The key `token` of a Secret on the member.
    Secret {
        /// Its name.
        name: String,
        /// Its namespace.
        namespace: String,
    },
    /// The managed identity of the machine.
    Azure {
        /// Client ID of the identity.
        client_id: String,
        /// Whom the token is for.
        scope: String,
    },
}

fn flags() -> FlagSet {
    FlagSet::new(
        "refreshtoken secret|azure",
        "Keeps the token towards the hub fresh in a file.",
    )
    .value("file-path", "/config/token", "File that the token is written to.")
    .value("name", "", "Name of the Secret; needed with secret.")
    .value("namespace", "", "Namespace of the Secret; needed with secret.")
    .value("clientid", "", "Client ID of the managed identity; needed with azure.")
    .value("scope", DEFAULT_SCOPE, "Whom tokens of the managed identity are for.")
    .value(
        "kubeconfig",
        "",
        "Kubeconfig of the member; empty means KUBECONFIG, the pod, or the home folder.",
    )
}

/// Reads a command line (without the program's name). Flags may stand before and after the provider.
///
/// # Errors
/// When help is requested, the provider is missing or unknown, or a flag is unknown or missing.
pub fn parse<I: IntoIterator<Item = String>>(arguments: I) -> Result<Settings, ParseError> {
    let flags = flags();
    let mut providers = Vec::new();
    let mut rest: Vec<String> = Vec::new();
    for argument in arguments {
        // The word after a flag without a value of its own may be that value.
        let may_be_value = rest.last().is_some_and(|last| {
            last.starts_with('-') && !last.contains('=') && !flags.is_switch(last.trim_start_matches('-'))
        });
        if argument.starts_with('-') || may_be_value {
            rest.push(argument);
        } else {
            providers.push(argument);
        }
    }
    let mut values = flags.parse(rest)?;
    let mut needed = |name: &'static str| {
        let text = values.text(name);
        if text.is_empty() {
            values.problem(format!("The flag --{name} must be given."));
        }
        text
    };
    let provider = match providers.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["secret"] => Provider::Secret {
            name: needed("name"),
            namespace: needed("namespace"),
        },
        ["azure"] => Provider::Azure {
            client_id: needed("clientid"),
            scope: values.text("scope"),
        },
        _ => {
            let problem = format!(
                "One provider must be named, secret or azure, not {:?}.",
                providers.join(" ")
            );
            return Err(ParseError::Invalid(vec![problem]));
        }
    };
    let settings = Settings {
        file: values.text("file-path").into(),
        provider,
        kubeconfig: values.text("kubeconfig"),
        verbosity: values.verbosity(),
    };
    values.finish(settings).map_err(ParseError::Invalid)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> Result<Settings, String> {
        parse(line.split_whitespace().map(str::to_owned)).map_err(|err| err.to_string())
    }

    #[test]
    fn lines_of_the_chart_and_others() {
        let chart = of("secret --name=hub-kubeconfig-secret --namespace=default --v=5").unwrap();
        let provider = Provider::Secret {
            name: "hub-kubeconfig-secret".to_owned(),
            namespace: "default".to_owned(),
        };
        assert_eq!(
            (chart.file.to_str(), &chart.provider, chart.verbosity),
            (Some("/config/token"), &provider, 5)
        );
        let other = of("--file-path /tmp/t secret --name hub-kubeconfig-secret --namespace default").unwrap();
        assert_eq!((other.file.to_str(), other.provider), (Some("/tmp/t"), provider));
        let first = of("-add_dir_header --logtostderr secret --name=a --namespace=b").unwrap();
        assert!(
            matches!(first.provider, Provider::Secret { .. }),
            "switches have no value behind them"
        );
        let Provider::Azure { client_id, scope } = of("azure --clientid=me").unwrap().provider else {
            unreachable!("azure is configured")
        };
        assert_eq!((client_id.as_str(), scope.as_str()), ("me", DEFAULT_SCOPE));
    }

    #[test]
    fn mistakes_are_named() {
        for (line, part) in [
            ("", "secret or azure"),
            ("vault", "not \"vault\""),
            ("secret --name=a", "--namespace"),
            ("secret --namespace=a", "--name "),
            ("azure", "--clientid"),
            ("secret --nope=1 --name=a --namespace=b", "--nope"),
        ] {
            let err = of(line).unwrap_err();
            assert!(err.contains(part), "{line}: {err}");
        }
    }
}
