//! Command lines in Go's notation.
//!
//! One or two dashes; `--name=value` or `--name value`; switches bare or with `=value`; the last one wins. The logging
//! flags of klog are accepted. Values are checked one by one through [`Values`], which collects what is wrong so that
//! all of it is reported together.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{Display, Write as _};
use std::ops::RangeInclusive;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

mod duration;

pub use duration::parse_duration;

/// The flags that a program knows.
#[derive(Debug)]
pub struct FlagSet {
    program: &'static str,
    about: &'static str,
    known: BTreeMap<&'static str, Flag>,
}

#[derive(Debug, Clone)]
struct Flag {
    default: &'static str,
    help: &'static str,
    switch: bool,
    hidden: bool,
    /// The value with which a flag without effect requests nothing; `None` for a flag that has an effect.
    idle: Option<&'static str>,
}

/// A command line that cannot be used as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Help was requested; the text to print.
    #[error("{0}")]
    Help(String),
    /// It is malformed; one sentence for each mistake.
    #[error("{}", .0.join("\n"))]
    Invalid(Vec<String>),
}

impl ParseError {
    /// Prints what the caller of the program should know. Answers the exit code: success for help, else `usage`.
    pub fn print(&self, usage: u8) -> ExitCode {
        match self {
            Self::Help(text) => {
                println!("{text}");
                ExitCode::SUCCESS
            }
            Self::Invalid(_) => {
                eprintln!("{self}");
                ExitCode::from(usage)
            }
        }
    }
}

/// Values given or defaulted, and what is wrong with them.
#[derive(Debug)]
pub struct Values {
    given: BTreeMap<&'static str, String>,
    /// Those that the command line names.
    named: BTreeSet<&'static str>,
    problems: Vec<String>,
    without_effect: Vec<&'static str>,
}

/// Logging flags of klog: accepted, of which only `v` has an effect.
const KLOG_SWITCHES: [&str; 6] = [
    "add_dir_header",
    "logtostderr",
    "alsologtostderr",
    "skip_headers",
    "skip_log_headers",
    "one_output",
];
const KLOG_VALUES: [&str; 6] = [
    "vmodule",
    "log_dir",
    "log_file",
    "log_file_max_size",
    "stderrthreshold",
    "log_backtrace_at",
];

impl FlagSet {
    /// Flags of a program, with those of klog.
    pub fn new(program: &'static str, about: &'static str) -> Self {
        let mut set = Self {
            program,
            about,
            known: BTreeMap::new(),
        };
        for name in KLOG_SWITCHES {
            set.add(name, "", "", true, true);
        }
        for name in KLOG_VALUES {
            set.add(name, "", "", false, true);
        }
        set.value("v", "0", "Verbosity of the log; above 5 it shows details.")
    }

    /// Adds a flag that takes a value.
    #[must_use]
    pub fn value(mut self, name: &'static str, default: &'static str, help: &'static str) -> Self {
        self.add(name, default, help, false, false);
        self
    }

    /// Adds a flag that is on or off.
    #[must_use]
    pub fn switch(mut self, name: &'static str, default: bool, help: &'static str) -> Self {
        self.add(name, if default { "true" } else { "false" }, help, true, false);
        self
    }

    /// Adds a flag that is accepted for compatibility and has no effect.
    #[must_use]
    pub fn ignored(mut self, name: &'static str, default: &'static str) -> Self {
        self.add(name, default, "", false, true);
        self
    }

    /// Adds a switch that is accepted for compatibility and has no effect.
    #[must_use]
    pub fn ignored_switch(mut self, name: &'static str) -> Self {
        self.add(name, "", "", true, true);
        self
    }

    /// Says of known flags that they have no effect, because what they control does not exist. Each comes with the value with
    /// which it requests nothing; with any other, [`Values::without_effect`] names it.
    #[must_use]
    pub fn without_effect(mut self, flags: &[(&'static str, &'static str)]) -> Self {
        for (name, idle) in flags {
            if let Some(flag) = self.known.get_mut(name) {
                flag.idle = Some(idle);
            }
        }
        self
    }

    fn add(&mut self, name: &'static str, default: &'static str, help: &'static str, switch: bool, hidden: bool) {
        self.known.insert(
            name,
            Flag {
                default,
                help,
                switch,
                hidden,
                // What is hidden is only accepted.
                idle: hidden.then_some(default),
            },
        );
    }

    /// Whether a flag of that name stands alone, without a value behind it.
    pub fn is_switch(&self, name: &str) -> bool {
        self.known.get(name).is_some_and(|flag| flag.switch)
    }

    /// Reads arguments (without the program's name).
    ///
    /// # Errors
    /// When help is requested, a flag is unknown or lacks its value, or there are other arguments.
    pub fn parse<I: IntoIterator<Item = String>>(&self, arguments: I) -> Result<Values, ParseError> {
        let mut given: BTreeMap<&'static str, String> = self
            .known
            .iter()
            .map(|(name, flag)| (*name, flag.default.to_owned()))
            .collect();
        let mut named = BTreeSet::new();
        let mut problems = Vec::new();
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            let Some(body) = argument.strip_prefix("--").or_else(|| argument.strip_prefix('-')) else {
                problems.push(format!("The argument {argument:?} is not a flag."));
                continue;
            };
            let (name, value) = match body.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (body, None),
            };
            if matches!(name, "h" | "help") {
                return Err(ParseError::Help(self.help()));
            }
            let Some((name, flag)) = self.known.get_key_value(name) else {
                problems.push(format!("The flag {argument:?} is unknown."));
                continue;
            };
            let value = match value {
                Some(value) => value,
                None if flag.switch => "true".to_owned(),
                None => match arguments.next() {
                    Some(value) => value,
                    None => {
                        problems.push(format!("The flag --{name} needs a value."));
                        continue;
                    }
                },
            };
            given.insert(name, value);
            named.insert(*name);
        }
        let without_effect = self.known.iter().filter(|(name, flag)| {
            let value = given.get(*name).map_or("", String::as_str);
            flag.idle.is_some_and(|idle| flag.normal(value) != flag.normal(idle))
        });
        let without_effect = without_effect.map(|(name, _)| *name).collect();
        if problems.is_empty() {
            Ok(Values {
                given,
                named,
                problems,
                without_effect,
            })
        } else {
            Err(ParseError::Invalid(problems))
        }
    }

    fn help(&self) -> String {
        let mut text = format!("{}\n\nUsage: {} [flags]\n\nFlags:\n", self.about, self.program);
        for (name, flag) in self.known.iter().filter(|(_, flag)| !flag.hidden) {
            let default = if flag.default.is_empty() { "empty" } else { flag.default };
            let _ = writeln!(text, "  --{name}\n        {} (default: {default})", flag.help);
        }
        text
    }
}

impl Flag {
    /// One spelling for each value. A switch that is not given is off.
    fn normal<'v>(&self, value: &'v str) -> &'v str {
        match value {
            "1" | "t" | "T" | "TRUE" | "True" if self.switch => "true",
            "" | "0" | "f" | "F" | "FALSE" | "False" if self.switch => "false",
            other => other,
        }
    }
}

/// Warns about flags that request something and have no effect, in one line.
pub fn warn_without_effect(names: &[&'static str]) {
    if !names.is_empty() {
        let flags: Vec<String> = names.iter().map(|name| format!("--{name}")).collect();
        tracing::warn!(flags = flags.join(", "), "These flags have no effect in this release.");
    }
}

impl Values {
    /// Names of the flags that request something and have no effect, sorted.
    pub fn without_effect(&self) -> Vec<&'static str> {
        self.without_effect.clone()
    }

    /// Whether the command line names the flag, be it with its default.
    pub fn is_given(&self, name: &str) -> bool {
        self.named.contains(name)
    }

    /// A text.
    pub fn text(&self, name: &'static str) -> String {
        self.given.get(name).cloned().unwrap_or_default()
    }

    /// A text out of a few.
    pub fn choice(&mut self, name: &'static str, choices: &[&'static str]) -> String {
        let text = self.text(name);
        if !choices.contains(&text.as_str()) {
            self.problem(format!(
                "The flag --{name} must be one of {}, not {text:?}.",
                choices.join(", ")
            ));
        }
        text
    }

    /// On or off. Go's spellings are accepted.
    pub fn switch(&mut self, name: &'static str) -> bool {
        let text = self.text(name);
        match text.as_str() {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => true,
            "0" | "f" | "F" | "false" | "FALSE" | "False" => false,
            _ => {
                self.problem(format!("The flag --{name} must be true or false, not {text:?}."));
                false
            }
        }
    }

    /// A number within limits.
    pub fn number<T>(&mut self, name: &'static str, range: RangeInclusive<T>) -> T
    where
        T: FromStr + PartialOrd + Display + Copy,
    {
        self.number_or(name, range, |_| false)
    }

    /// A number within limits, or one that `exempt` accepts.
    pub fn number_or<T>(&mut self, name: &'static str, range: RangeInclusive<T>, exempt: fn(T) -> bool) -> T
    where
        T: FromStr + PartialOrd + Display + Copy,
    {
        let text = self.text(name);
        match text.trim().parse::<T>() {
            Ok(number) if range.contains(&number) || exempt(number) => number,
            Ok(number) => {
                self.problem(format!(
                    "The flag --{name} must be between {} and {}, not {number}.",
                    range.start(),
                    range.end()
                ));
                *range.start()
            }
            Err(_) => {
                self.problem(format!("The flag --{name} must be a number, not {text:?}."));
                *range.start()
            }
        }
    }

    /// A duration in Go's notation within limits.
    pub fn duration(&mut self, name: &'static str, range: RangeInclusive<Duration>) -> Duration {
        let text = self.text(name);
        match parse_duration(&text) {
            Some(duration) if range.contains(&duration) => duration,
            Some(_) => {
                self.problem(format!(
                    "The flag --{name} must be between {:?} and {:?}, not {text}.",
                    range.start(),
                    range.end()
                ));
                *range.start()
            }
            None => {
                self.problem(format!(
                    "The flag --{name} must be a duration such as 1m30s, not {text:?}."
                ));
                *range.start()
            }
        }
    }

    /// Verbosity of the log from the flag `v`; anything that is no number counts as 0, as logging flags never stop a start.
    pub fn verbosity(&self) -> u8 {
        self.text("v").trim().parse().unwrap_or_default()
    }

    /// Reports a mistake unless `holds`.
    pub fn require(&mut self, holds: bool, sentence: &str) {
        if !holds {
            self.problem(sentence.to_owned());
        }
    }

    /// Reports a mistake.
    pub fn problem(&mut self, sentence: String) {
        self.problems.push(sentence);
    }

    /// Hands `value` out when nothing was wrong.
    ///
    /// # Errors
    /// All mistakes, in the order in which they were found.
    pub fn finish<T>(self, value: T) -> Result<T, Vec<String>> {
        if self.problems.is_empty() {
            Ok(value)
        } else {
            Err(self.problems)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set() -> FlagSet {
        FlagSet::new("agent", "An agent.")
            .value("hub-api-qps", "250", "Requests a second.")
            .value("period", "6h", "A time.")
            .switch("leader-elect", false, "Whether to elect.")
            .switch("hooks", true, "Whether to serve hooks.")
            .value("hook-name", "hooks", "Name of the hooks.")
            .ignored("old", "")
            .ignored_switch("older")
            .without_effect(&[("hooks", "false"), ("hook-name", "hooks")])
    }

    #[test]
    fn flags_without_effect_are_named_when_they_ask_for_something() {
        for (arguments, wanted) in [
            (&[][..], &["hooks"][..]),
            (&["--hooks=f"], &[]),
            (&["--hooks=0", "--hook-name=x", "--leader-elect"], &["hook-name"]),
            (&["--hooks=false", "--hook-name=hooks", "--old="], &[]),
            (
                &["--hooks=T", "--old=x", "--older", "--add_dir_header"],
                &["add_dir_header", "hooks", "old", "older"],
            ),
            (&["--hooks=false", "--older=false"], &[]),
        ] {
            assert_eq!(parse(arguments).unwrap().without_effect(), wanted, "{arguments:?}");
        }
    }

    fn parse(arguments: &[&str]) -> Result<Values, ParseError> {
        set().parse(arguments.iter().map(|a| (*a).to_owned()))
    }

    #[test]
    fn gos_notations_are_understood() {
        let mut values = parse(&[
            "-leader-elect",
            "--hub-api-qps",
            "20.5",
            "-period=1h15m",
            "-add_dir_header",
            "--log_file_max_size=",
            "-v",
            "5",
            "--old=x",
            "--hub-api-qps=30",
        ])
        .unwrap();
        assert!(values.switch("leader-elect"));
        assert_eq!(values.number("hub-api-qps", 10.0..=100.0), 30.0);
        assert_eq!(
            values.duration("period", Duration::ZERO..=Duration::MAX),
            Duration::from_secs(4500)
        );
        assert_eq!(values.verbosity(), 5);
        assert_eq!(values.finish(7), Ok(7));
        assert!(!parse(&["--leader-elect=false"]).unwrap().switch("leader-elect"));
    }

    #[test]
    fn all_mistakes_are_reported_together() {
        let Err(ParseError::Invalid(problems)) = parse(&["--nope", "stray", "--period"]) else {
            unreachable!("must fail")
        };
        assert_eq!(
            problems,
            [
                "The flag \"--nope\" is unknown.",
                "The argument \"stray\" is not a flag.",
                "The flag --period needs a value."
            ]
        );
        let mut values = parse(&["--hub-api-qps=5", "--period=soon", "--leader-elect=maybe"]).unwrap();
        values.number_or("hub-api-qps", 10.0..=100.0, |qps| qps < 0.0);
        values.duration("period", Duration::ZERO..=Duration::MAX);
        values.switch("leader-elect");
        values.require(false, "Both cannot be set.");
        let problems = values.finish(()).unwrap_err();
        assert_eq!(
            problems,
            [
                "The flag --hub-api-qps must be between 10 and 100, not 5.",
                "The flag --period must be a duration such as 1m30s, not \"soon\".",
                "The flag --leader-elect must be true or false, not \"maybe\".",
                "Both cannot be set."
            ]
        );
        let unlimited = parse(&["--hub-api-qps=-1"])
            .unwrap()
            .number_or("hub-api-qps", 10.0..=100.0, |qps| qps < 0.0);
        assert_eq!(unlimited, -1.0);
    }

    #[test]
    fn help_lists_flags_but_not_those_without_effect() {
        let Err(ParseError::Help(text)) = parse(&["--help"]) else {
            unreachable!("must be help")
        };
        assert!(
            text.contains("--hub-api-qps\n        Requests a second. (default: 250)"),
            "{text}"
        );
        assert!(!text.contains("add_dir_header") && !text.contains("--old"));
    }
}
