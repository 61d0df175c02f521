//! What users choose of an endpoint beside its weight: annotations of ServiceExports and of TrafficManagerBackends.

use api::text::annotations::{ENDPOINT_LOCATION, ENDPOINT_PRIORITY};

/// Lowest rank of an endpoint.
const LOWEST: u16 = 1000;
/// Longest name of a region in characters.
const LONGEST: usize = 100;

/// What users choose of an endpoint. Nothing is chosen by default, and then nothing is written about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndpointSettings {
    /// Rank where the profile routes by `Priority`, 1 to 1000, the lowest first.
    pub priority: Option<u16>,
    /// Region where the profile routes by `Performance`.
    pub location: Option<String>,
}

impl EndpointSettings {
    /// Reads the annotations of an object.
    ///
    /// # Errors
    /// What the user has to change, as one sentence without a full stop.
    pub fn of<'a>(annotation: impl Fn(&'static str) -> Option<&'a str>) -> Result<Self, String> {
        let priority = annotation(ENDPOINT_PRIORITY).map(|text| {
            let digits = text.bytes().all(|byte| byte.is_ascii_digit());
            let number = text.parse().ok().filter(|number| digits && is_priority(*number));
            number.ok_or_else(|| {
                format!(
                    "the annotation {ENDPOINT_PRIORITY} is {text:?}, but a whole number from 1 to {LOWEST} is required"
                )
            })
        });
        let location = annotation(ENDPOINT_LOCATION).map(|text| {
            let name = text.trim();
            is_location(name).then(|| name.to_owned()).ok_or_else(|| {
                format!(
                    "the annotation {ENDPOINT_LOCATION} is {text:?}, but the name of a region with 1 to {LONGEST} letters, \
                     digits, spaces, hyphens or underscores is required"
                )
            })
        });
        Ok(Self {
            priority: priority.transpose()?,
            location: location.transpose()?,
        })
    }

    /// The same, with what is not chosen taken from others.
    #[must_use]
    pub fn or(&self, others: &Self) -> Self {
        Self {
            priority: self.priority.or(others.priority),
            location: self.location.clone().or_else(|| others.location.clone()),
        }
    }

    /// Checks what came from elsewhere than annotations.
    ///
    /// # Errors
    /// A full sentence that names the field.
    pub(super) fn check(&self) -> Result<(), String> {
        if let Some(priority) = self.priority.filter(|priority| !is_priority(*priority)) {
            return Err(format!(
                "The field endpoint_priority is {priority}; 1 to {LOWEST} are allowed."
            ));
        }
        if self.location.as_deref().is_some_and(|location| !is_location(location)) {
            return Err(format!(
                "The field endpoint_location is not the name of a region with 1 to {LONGEST} letters, digits, spaces, \
                 hyphens or underscores."
            ));
        }
        Ok(())
    }
}

fn is_priority(number: u16) -> bool {
    (1..=LOWEST).contains(&number)
}

fn is_location(name: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b' ' | b'-' | b'_');
    !name.trim().is_empty() && name.len() <= LONGEST && name.bytes().all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(priority: Option<&'static str>, location: Option<&'static str>) -> Result<EndpointSettings, String> {
        EndpointSettings::of(|name| match name {
            ENDPOINT_PRIORITY => priority,
            ENDPOINT_LOCATION => location,
            other => panic!("{other}"),
        })
    }

    #[test]
    fn annotations_are_read_or_say_what_is_required() {
        assert_eq!(of(None, None), Ok(EndpointSettings::default()));
        for (text, priority) in [("1", 1), ("007", 7), ("1000", 1000)] {
            assert_eq!(of(Some(text), None).unwrap().priority, Some(priority));
        }
        for text in ["", "0", "1001", "-1", "+1", "1.5", "70000", "first", " 1"] {
            let why = of(Some(text), None).unwrap_err();
            assert_eq!(
                why,
                format!(
                    "the annotation networking.fleet.azure.com/endpoint-priority is {text:?}, but a whole number from 1 to \
                     1000 is required"
                )
            );
        }
        assert_eq!(
            of(None, Some(" West Europe ")).unwrap().location.as_deref(),
            Some("West Europe")
        );
        let long = "x".repeat(101).leak();
        for text in ["", "  ", "a\nb", "a/b", "\u{e9}", long] {
            let why = of(None, Some(text)).unwrap_err();
            assert!(
                why.contains("endpoint-location") && why.ends_with("is required"),
                "{why}"
            );
        }
    }

    #[test]
    fn an_export_has_the_first_word() {
        let own = of(Some("1"), None).unwrap();
        let others = of(Some("2"), Some("westeurope")).unwrap();
        assert_eq!(own.or(&others), of(Some("1"), Some("westeurope")).unwrap());
        assert_eq!(EndpointSettings::default().or(&others), others);
    }

    #[test]
    fn reports_are_checked_as_annotations_are() {
        let settings = |priority, location: Option<&str>| EndpointSettings {
            priority,
            location: location.map(str::to_owned),
        };
        assert_eq!(settings(Some(1000), Some("westeurope")).check(), Ok(()));
        assert_eq!(settings(None, None).check(), Ok(()));
        for wrong in [
            settings(Some(0), None),
            settings(Some(u16::MAX), None),
            settings(None, Some("a\nb")),
        ] {
            assert!(wrong.check().unwrap_err().ends_with('.'), "{wrong:?}");
        }
    }
}
