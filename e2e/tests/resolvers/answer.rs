//! What `dig` and `kdig` print. Their formats differ in little.

use std::path::PathBuf;

use super::programs::output;

/// An answer as it was printed.
#[derive(Debug)]
pub struct Answer {
    /// `NOERROR`, `NXDOMAIN`, `REFUSED` and so on.
    pub status: String,
    /// Flags of the header, such as `aa` and `tc`.
    pub flags: Vec<String>,
    /// UDP size in the answer's OPT record, if there is one.
    pub udp_size: Option<u16>,
    /// The client subnet of the answer with its scope, such as `10.1.0.0/16/16`.
    pub subnet: Option<String>,
    /// Records by section.
    pub answers: Vec<Record>,
    pub authority: Vec<Record>,
    pub additional: Vec<Record>,
    /// Whether the answer came over TCP.
    pub tcp: bool,
    /// Everything that was printed.
    pub text: String,
}

/// A record.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Record {
    pub name: String,
    pub ttl: u32,
    pub kind: String,
    pub data: String,
}

/// `dig` or `kdig`, and the server that is queried.
pub struct Tool {
    pub program: PathBuf,
    pub port: u16,
}

impl Tool {
    /// The last answer to a question, with options such as `+notcp`.
    pub async fn query(&self, name: &str, kind: &str, options: &[&str]) -> Answer {
        let server = ["@127.0.0.1".to_owned(), "-p".to_owned(), self.port.to_string()];
        let question = [name.to_owned(), kind.to_owned(), "+norecurse".to_owned()];
        let options = options.iter().map(|option| (*option).to_owned());
        let arguments: Vec<String> = server.into_iter().chain(question).chain(options).collect();
        Answer::read(output(&self.program, &arguments).await)
    }
}

impl Answer {
    fn read(text: String) -> Self {
        let mut answer = Self {
            status: String::new(),
            flags: Vec::new(),
            udp_size: None,
            subnet: None,
            answers: Vec::new(),
            authority: Vec::new(),
            additional: Vec::new(),
            tcp: false,
            text: String::new(),
        };
        let mut section = String::new();
        for line in text.lines() {
            let lower = line.to_lowercase();
            if lower.contains("->>header<<-") {
                // kdig prints an answer that it repeats over TCP as well; the last one counts.
                answer.answers.clear();
                answer.authority.clear();
                answer.additional.clear();
                answer.status = word_after(&lower, "status: ").unwrap_or_default().to_uppercase();
            } else if let Some(flags) = lower.strip_prefix(";; flags: ") {
                let flags = flags.split(';').next().unwrap_or_default();
                answer.flags = flags.split_whitespace().map(str::to_owned).collect();
            } else if let Some(name) = lower
                .strip_prefix(";; ")
                .and_then(|rest| rest.strip_suffix(" section:"))
            {
                section = name.to_owned();
            } else if lower.starts_with(";; server") || lower.starts_with(";; from ") {
                answer.tcp |= lower.contains("tcp");
            } else if lower.contains("udp: ") || lower.contains("udp size: ") {
                let size = word_after(&lower, "udp: ").or_else(|| word_after(&lower, "udp size: "));
                answer.udp_size = size.and_then(|size| size.parse().ok());
            } else if lower.contains("client-subnet: ") || lower.contains("client subnet: ") {
                let subnet = word_after(&lower, "subnet: ");
                answer.subnet = subnet.map(str::to_owned);
            }
            if line.starts_with(';') || line.trim().is_empty() {
                continue;
            }
            match section.as_str() {
                "answer" => answer.answers.push(Record::read(line)),
                "authority" => answer.authority.push(Record::read(line)),
                "additional" => answer.additional.push(Record::read(line)),
                _ => panic!("a record outside of a section: {text}"),
            }
        }
        assert!(!answer.status.is_empty(), "no answer: {text}");
        answer.text = text;
        answer
    }

    /// Type and data of each record of the answer section.
    pub fn data(&self) -> Vec<(&str, &str)> {
        let records = self.answers.iter();
        records
            .map(|record| (record.kind.as_str(), record.data.as_str()))
            .collect()
    }

    /// Whether a flag is set.
    pub fn has(&self, flag: &str) -> bool {
        self.flags.iter().any(|set| set == flag)
    }
}

impl Record {
    fn read(line: &str) -> Self {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [name, ttl, class, kind, data @ ..] = words.as_slice() else {
            panic!("no record: {line}");
        };
        assert_eq!(*class, "IN", "{line}");
        Self {
            name: (*name).to_owned(),
            ttl: ttl.parse().unwrap(),
            kind: (*kind).to_owned(),
            data: data.join(" "),
        }
    }
}

fn word_after<'t>(text: &'t str, before: &str) -> Option<&'t str> {
    let (_, rest) = text.split_once(before)?;
    rest.split([' ', ',', ';']).next()
}
