//! Citations of the contract (`docs/contract`) and links between documents: each must lead somewhere.
//!
//! Comments, tests and documents cite the contract by document and section, for example with the sections `7.4`,
//! `7.1 to 7.5`, `B.8` or `3.2, 8.8 and 11.1` after the document's name. A section exists if the document has a heading
//! with that number, or a table row whose first cell is that name (`R12`).

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, bail};

/// The documents of the contract, as they are cited.
const DOCUMENTS: [&str; 6] = [
    "placement-api",
    "hub-behaviour",
    "member-behaviour",
    "networking",
    "multicluster-failover",
    "service-router",
];

/// Where documents and citations are looked for, beside the Markdown files at the root.
const FOLDERS: [&str; 7] = ["crates", "deploy", "docs", "e2e", "proto", "xtask", ".ci"];

/// Files that may cite the contract.
const EXTENSIONS: [&str; 7] = ["md", "proto", "rs", "sh", "toml", "yaml", "yml"];

/// The sections of each document of the contract.
type Contract = BTreeMap<&'static str, BTreeSet<String>>;

/// Verifies every citation and every relative link of the repository; the error lists what leads nowhere.
pub fn verify(root: &Path) -> Result<()> {
    let contract = contract(root)?;
    let mut broken = Vec::new();
    for file in files(root)? {
        let text =
            fs::read_to_string(root.join(&file)).with_context(|| format!("{} cannot be read", file.display()))?;
        let mut add = |line: usize, problem: String| broken.push(format!("{}:{line}: {problem}", file.display()));
        for citation in citations(&text) {
            if let Some(problem) = problem_of(&citation, &contract) {
                add(citation.line, problem);
            }
        }
        if file.extension().is_some_and(|extension| extension == "md") {
            let folder = file.parent().unwrap_or(Path::new(""));
            let lost = links(&text)
                .into_iter()
                .filter(|link| !root.join(normal(&folder.join(&link.target))).exists());
            lost.for_each(|link| add(link.line, format!("the link {} leads to no file", link.target)));
        }
    }
    if !broken.is_empty() {
        bail!(
            "citations or links lead nowhere; correct them, or add what they name:\n  {}",
            broken.join("\n  ")
        );
    }
    Ok(())
}

fn contract(root: &Path) -> Result<Contract> {
    let mut contract = Contract::new();
    for document in DOCUMENTS {
        let path = root.join(format!("docs/contract/{document}.md"));
        let text = fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))?;
        contract.insert(document, sections(&text));
    }
    Ok(contract)
}

/// All files that are looked at, relative to the root, in a stable order.
fn files(root: &Path) -> Result<BTreeSet<PathBuf>> {
    let mut found = BTreeSet::new();
    let mut folders: Vec<PathBuf> = FOLDERS.iter().map(|folder| root.join(folder)).collect();
    let mut look = vec![root.to_owned()];
    while let Some(folder) = look.pop().or_else(|| folders.pop()) {
        let is_root = folder == root;
        let entries = fs::read_dir(&folder).with_context(|| format!("{} cannot be read", folder.display()))?;
        for entry in entries {
            let path = entry?.path();
            if path.is_dir() {
                let is_output = path.file_name().is_some_and(|name| name == "target");
                look.extend((!is_root && !is_output).then_some(path));
                continue;
            }
            let extension = path
                .extension()
                .and_then(|extension| extension.to_str())
                .unwrap_or_default();
            if EXTENSIONS.contains(&extension) {
                found.insert(path.strip_prefix(root)?.to_owned());
            }
        }
    }
    Ok(found)
}

/// A citation of one or more sections of one document.
#[derive(Debug, PartialEq, Eq)]
struct Citation {
    line: usize,
    document: &'static str,
    sections: Vec<String>,
}

/// What is wrong with a citation.
fn problem_of(citation: &Citation, contract: &Contract) -> Option<String> {
    let known = contract.get(citation.document)?;
    let missing: Vec<&String> = citation
        .sections
        .iter()
        .filter(|section| !known.contains(*section))
        .collect();
    let first = *missing.first()?;
    let names: Vec<&str> = missing.iter().map(|section| section.as_str()).collect();
    Some(format!(
        "{} has no section {}; the nearest are {}",
        citation.document,
        names.join(", "),
        nearest(first, known).join(", ")
    ))
}

/// The sections of a document: the numbers of its headings, and the names of its table rows.
fn sections(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (_, line) in outside_of_fences(text) {
        let heading = line.trim_start_matches('#');
        let number = match line.strip_prefix("| ") {
            Some(row) => section_at(row).filter(|name| name.starts_with(char::is_alphabetic) && !name.contains('.')),
            None if heading.len() < line.len() => {
                let title = heading.trim_start();
                let title = title.strip_prefix("Part ").unwrap_or(title);
                // A letter alone is the number of a part, and the first word of many a title.
                let part = title.split_once(". ").map(|(part, _)| part);
                let is_part = |part: &&str| part.len() == 1 && part.starts_with(|c: char| c.is_ascii_uppercase());
                section_at(title).or_else(|| part.filter(is_part).map(str::to_owned))
            }
            None => None,
        };
        found.extend(number);
    }
    found
}

/// All citations of a text. A citation may continue in the next line of a comment.
fn citations(text: &str) -> Vec<Citation> {
    let (joined, starts) = join_lines(text);
    let mut found = Vec::new();
    for document in DOCUMENTS {
        for (at, _) in joined.match_indices(document) {
            let before = joined[..at].chars().next_back();
            if before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '/' | '.')) {
                continue;
            }
            let after = &joined[at + document.len()..];
            let after = after.strip_prefix(".md").unwrap_or(after);
            let Some(rest) = after.strip_prefix(' ').map(str::trim_start) else {
                continue;
            };
            let sections = listed(rest);
            if !sections.is_empty() {
                let line = starts.partition_point(|start| *start <= at);
                found.push(Citation {
                    line,
                    document,
                    sections,
                });
            }
        }
    }
    found.sort_by_key(|citation| citation.line);
    found
}

/// The sections at the beginning of a text: `7.4`, `7.1 to 7.5`, `3.2, 8.8 and 11.1`.
fn listed(mut text: &str) -> Vec<String> {
    let mut found = Vec::new();
    // An older notation: numbers of a list that no document has any more.
    if let Some(number) = text.strip_prefix("FIX ") {
        let end = number.find(|c: char| !c.is_ascii_digit()).unwrap_or(number.len());
        return vec![format!("FIX {}", &number[..end])];
    }
    while let Some(section) = section_at(text) {
        text = &text[section.len()..];
        found.push(section);
        let next = [", ", " to ", " and ", " or "]
            .iter()
            .find_map(|separator| text.strip_prefix(separator));
        match next {
            Some(rest) => text = rest.trim_start(),
            None => break,
        }
    }
    found
}

/// The section number at the beginning of a text: `7`, `7.4`, `4.2.1`, `B.8`, `A.7.1`, `R12`.
fn section_at(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let digits = |from: usize| bytes[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let letter = usize::from(bytes.first().is_some_and(u8::is_ascii_uppercase));
    let mut end = letter + digits(letter);
    while bytes.get(end) == Some(&b'.') && digits(end + 1) > 0 {
        end += 1 + digits(end + 1);
    }
    let goes_on = text[end..].starts_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | '%' | '/'));
    (end > letter && !goes_on).then(|| text[..end].to_owned())
}

/// Up to three sections that the author may have meant: those with the longest common beginning and the closest number.
fn nearest(wanted: &str, known: &BTreeSet<String>) -> Vec<String> {
    let parts = |section: &str| section.split('.').map(str::to_owned).collect::<Vec<_>>();
    let wanted = parts(wanted);
    let distance = |section: &&String| {
        let other = parts(section);
        let common = wanted.iter().zip(&other).take_while(|(a, b)| a == b).count();
        let number = |parts: &[String]| parts.get(common).and_then(|part| part.parse::<i64>().ok()).unwrap_or(0);
        (
            wanted.len() - common,
            (number(&wanted) - number(&other)).abs(),
            other.len(),
        )
    };
    let mut all: Vec<&String> = known.iter().collect();
    all.sort_by_key(distance);
    all.into_iter().take(3).cloned().collect()
}

/// The text as one line, without indentation and comment markers, and where each line begins in it.
fn join_lines(text: &str) -> (String, Vec<usize>) {
    let mut joined = String::with_capacity(text.len());
    let mut starts = Vec::new();
    for line in text.lines() {
        starts.push(joined.len());
        let line = line.trim();
        let markers = ["///", "//!", "//", "#", "* "];
        let bare = markers
            .iter()
            .find_map(|marker| line.strip_prefix(marker))
            .unwrap_or(line);
        joined.push_str(bare.trim());
        joined.push(' ');
    }
    (joined, starts)
}

/// A link to a file of the repository.
#[derive(Debug, PartialEq, Eq)]
struct Link {
    line: usize,
    target: String,
}

/// The relative links of a Markdown document, without fragments.
fn links(text: &str) -> Vec<Link> {
    let mut found = Vec::new();
    for (line, content) in outside_of_fences(text) {
        let prose: String = content.split('`').step_by(2).collect::<Vec<_>>().join("``");
        let inline = prose.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        let defined = prose
            .strip_prefix('[')
            .and_then(|rest| rest.split_once("]: "))
            .map(|(_, target)| target);
        for target in inline.chain(defined) {
            let target = target.split([' ', '#']).next().unwrap_or_default();
            if !target.is_empty() && !target.contains("://") && !target.starts_with("mailto:") {
                found.push(Link {
                    line,
                    target: target.to_owned(),
                });
            }
        }
    }
    found
}

/// Lines with their numbers, without those of fenced code.
fn outside_of_fences(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    text.lines().enumerate().filter_map(move |(index, line)| {
        let is_fence = line.trim_start().starts_with("```");
        fenced ^= is_fence;
        (!fenced && !is_fence).then_some((index + 1, line))
    })
}

/// A path without `.` and `..`.
fn normal(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(out.pop()),
            Component::CurDir => {}
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = "# Title\n\n## 0. Words\n### 7.4 Status\n#### 4.2.1 More\n## Part B. Rest\n### B.8 States\n\
        ```yaml\n# 9.9 is a comment\n```\n## Contents\n| R12 | a row |\n| 16 | no name |\n| Kind | x |\n";

    /// A citation that this file itself does not contain.
    fn cite(sections: &str) -> String {
        format!("{} {sections}", DOCUMENTS[1])
    }

    fn contract() -> Contract {
        DOCUMENTS
            .into_iter()
            .map(|document| (document, sections(DOCUMENT)))
            .collect()
    }

    /// The problems of all citations in a text, each behind its line.
    fn problems(text: &str) -> Vec<String> {
        let all = citations(text).into_iter();
        all.filter_map(|citation| Some(format!("{}: {}", citation.line, problem_of(&citation, &contract())?)))
            .collect()
    }

    #[test]
    fn headings_and_named_rows_are_sections() {
        let found: Vec<String> = sections(DOCUMENT).into_iter().collect();
        assert_eq!(found, ["0", "4.2.1", "7.4", "B", "B.8", "R12"]);
    }

    #[test]
    fn a_citation_that_leads_nowhere_is_named_with_its_line_and_the_nearest_sections() {
        let text = format!("one\n// Why ({}).\n// Fine ({}).\n", cite("7.9"), cite("7.4"));
        assert_eq!(
            problems(&text),
            [format!(
                "2: {} has no section 7.9; the nearest are 7.4, 4.2.1, 0",
                DOCUMENTS[1]
            )]
        );
        assert_eq!(problems(&cite("FIX 12")).len(), 1);
        assert_eq!(problems(&cite("R13")).len(), 1);
    }

    #[test]
    fn every_section_of_a_list_counts() {
        for good in [
            "7.4",
            "7.4.",
            "7.4, 4.2.1",
            "0 to B.8",
            "7.4, B.8 and R12",
            "7.4 steps 3 to 6",
            "7.4, point 9",
        ] {
            assert_eq!(problems(&cite(good)), Vec::<String>::new(), "{good}");
        }
        for bad in ["1", "7.4, 7.5", "7.4 to 7.5", "B.8 and B.9", "7.4, 0 or 5"] {
            assert_eq!(problems(&cite(bad)).len(), 1, "{bad}");
        }
    }

    #[test]
    fn a_citation_goes_on_in_the_next_line_of_a_comment() {
        let text = format!("/// Row by row ({}\n    /// 7.9), and so on.\n", DOCUMENTS[1]);
        assert!(problems(&text)[0].starts_with("1: "), "{:?}", problems(&text));
        let text = format!("//! ({},\n//! 7.9)\n", cite("7.4"));
        assert_eq!(problems(&text).len(), 1);
    }

    #[test]
    fn words_are_no_citations() {
        let name = DOCUMENTS[3];
        for text in [
            format!("the {name} agents"),
            format!("{name} 3rd"),
            format!("{name} 90%"),
            format!("core/{name} 99"),
            format!("multi-{name} 99"),
            format!("{name}."),
        ] {
            assert_eq!(citations(&text), [], "{text}");
        }
    }

    #[test]
    fn links_to_files_are_found() {
        let text = "[a](a.md) and [b](../b.md#part)\n```\n[c](c.md)\n```\n`[d](d.md)` [e](https://x.io) [f](#here)\n[g]: g.md\n";
        let found: Vec<String> = links(text)
            .into_iter()
            .map(|link| format!("{}:{}", link.line, link.target))
            .collect();
        assert_eq!(found, ["1:a.md", "1:../b.md", "6:g.md"]);
        assert_eq!(normal(Path::new("docs/decisions/../b.md")), Path::new("docs/b.md"));
    }

    #[test]
    fn broken_links_and_citations_of_a_tree_are_reported_together() {
        let root = std::env::temp_dir().join(format!("fairway-citations-{}", std::process::id()));
        for folder in FOLDERS {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        fs::create_dir_all(root.join("docs/contract")).unwrap();
        for document in DOCUMENTS {
            fs::write(root.join(format!("docs/contract/{document}.md")), DOCUMENT).unwrap();
        }
        fs::write(root.join("README.md"), "[contract](docs/contract/networking.md)\n").unwrap();
        assert!(verify(&root).is_ok());
        fs::write(root.join("docs/index.md"), "[gone](gone.md)\n").unwrap();
        fs::write(root.join("crates/lib.rs"), format!("\n// {}\n", cite("99.1"))).unwrap();
        let problem = verify(&root).unwrap_err().to_string();
        fs::remove_dir_all(&root).unwrap();
        assert!(
            problem.contains("docs/index.md:1: the link gone.md leads to no file"),
            "{problem}"
        );
        assert!(problem.contains("crates/lib.rs:2: "), "{problem}");
    }
}
