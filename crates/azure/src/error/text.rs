//! Texts of Azure without what differs at every repetition (networking 6.3).

use std::sync::LazyLock;

use regex::Regex;

/// Longer texts are cut, in characters.
const MAX: usize = 600;

/// Ids of requests and the times at which they were answered.
static VARYING: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    let named = r"(?i)[\s,;(]*\b(?:(?:x-ms-)?(?:correlation|client[\s-]?request|request|trace|tracking|activity|operation|session)[\s-]*id|timestamp|time[\s-]?stamp)\s*[:=]\s*['\x22]?[0-9a-z:.+\-]+(?:[ ][0-9][0-9:.]*(?:[ ]?utc|z)?)?['\x22]?[)]?";
    let patterns = [
        (named, ""),
        (r"(?i)\b(after|in|for) '?[0-9]+'? (seconds?|minutes?)\b", "$1 some time"),
        (
            r"\b[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?(?:Z|[+-][0-9:]+)?",
            "some time",
        ),
    ];
    let compiled = patterns.map(|(pattern, with)| Regex::new(pattern).ok().map(|regex| (regex, with)));
    compiled.into_iter().flatten().collect()
});

/// One line that is the same for every repetition, of bounded length.
pub(super) fn stable(text: &str) -> String {
    // Bounded before anything is searched.
    let head: String = text.chars().take(8 * MAX).collect();
    let mut line = head.split_whitespace().collect::<Vec<_>>().join(" ");
    for (pattern, with) in VARYING.iter() {
        line = pattern.replace_all(&line, *with).into_owned();
    }
    let mut line = line.trim().to_owned();
    if line.chars().count() > MAX {
        line = line.chars().take(MAX).collect();
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_compiles() {
        assert_eq!(VARYING.len(), 3);
    }

    #[test]
    fn ids_and_times_are_left_out() {
        for (text, wanted) in [
            (
                "AADSTS7000215: Invalid client secret provided.\r\nTrace ID: 5b9c1a9e-aaaa-bbbb-cccc-1234567890ab\r\n\
                 Correlation ID: 0f4c7b1e-1111-2222-3333-abcdefabcdef\r\nTimestamp: 2026-11-30 10:00:00Z",
                "AADSTS7000215: Invalid client secret provided.",
            ),
            (
                "It failed (RequestId: 12ab-34cd). Please try again.",
                "It failed. Please try again.",
            ),
            (
                "Something went wrong at 2026-11-30T10:00:00.123Z.",
                "Something went wrong at some time.",
            ),
            (
                "The request limit is reached. Retry after 17 seconds.",
                "The request limit is reached. Retry after some time.",
            ),
            (
                "The client 'a' with object id 'b' does not have authorization.",
                "The client 'a' with object id 'b' does not have authorization.",
            ),
            ("  a\n\tb ", "a b"),
        ] {
            assert_eq!(stable(text), wanted);
        }
        assert_eq!(stable(&"ä".repeat(100_000)).chars().count(), MAX + 1);
    }
}
