//! Limits of requests per subscription, in the windows in which Azure counts them (networking 12.4). Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::error::ArmError;

/// Length of a window.
const WINDOW: Duration = Duration::from_secs(20);
/// Windows in a minute, in which Azure gives its limits.
const WINDOWS_PER_MINUTE: u32 = 3;
/// Subscriptions and classes that are counted at a time; more than any client needs.
const COUNTED: usize = 10_000;

/// Requests that are counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// A profile is written.
    ProfileWrite,
    /// Profiles are read.
    ProfileRead,
    /// A profile is deleted.
    ProfileDelete,
    /// An endpoint is written or deleted.
    EndpointWrite,
    /// An endpoint is read.
    EndpointRead,
    /// A name is checked.
    NameCheck,
    /// Public IP addresses are read.
    AddressRead,
    /// A public IP address is written or deleted.
    AddressWrite,
}

impl Class {
    /// Azure's limit in a minute. That of public IP addresses is the one of reads that are alike, because theirs is not
    /// published.
    pub fn per_minute(self) -> u32 {
        match self {
            Self::ProfileWrite => 600,
            Self::ProfileRead => 450,
            Self::ProfileDelete => 150,
            Self::EndpointWrite | Self::NameCheck | Self::AddressWrite => 300,
            Self::EndpointRead | Self::AddressRead => 1500,
        }
    }
}

/// Counts requests. Time is given as the time since any fixed point.
#[derive(Debug)]
pub struct Throttle {
    /// Azure's limits are multiplied by this; 0 means that nothing is limited.
    factor: u32,
    counts: BTreeMap<(String, Class), (u128, u32)>,
}

impl Throttle {
    /// Limits that are so many times those of Azure; 0 means none.
    pub fn new(factor: u32) -> Self {
        Self {
            factor,
            counts: BTreeMap::new(),
        }
    }

    /// Counts a request.
    ///
    /// # Errors
    /// 429 with the time until the next window, when this one is used up.
    pub fn admit(&mut self, subscription: &str, class: Class, now: Duration) -> Result<(), ArmError> {
        let limit = (class.per_minute() / WINDOWS_PER_MINUTE).saturating_mul(self.factor);
        if limit == 0 {
            return Ok(());
        }
        let window = now.as_millis() / WINDOW.as_millis();
        if self.counts.len() >= COUNTED {
            self.counts.retain(|_, (counted_in, _)| *counted_in == window);
        }
        let key = (subscription.to_ascii_lowercase(), class);
        let (counted_in, count) = self.counts.entry(key).or_insert((window, 0));
        if *counted_in != window {
            (*counted_in, *count) = (window, 0);
        }
        if *count < limit {
            *count += 1;
            return Ok(());
        }
        let next = WINDOW.as_millis() * (window + 1) - now.as_millis();
        let seconds = u64::try_from(next.div_ceil(1000)).unwrap_or(WINDOW.as_secs()).max(1);
        let message = format!(
            "The request is being throttled: this subscription may send {limit} requests of this kind in {} seconds. Try \
             again in {seconds} seconds.",
            WINDOW.as_secs()
        );
        Err(ArmError {
            retry_after: Some(seconds),
            ..ArmError::new(429, "TooManyRequests", message)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many requests in a row are admitted, and how long the first refused one is to wait.
    fn admitted(throttle: &mut Throttle, subscription: &str, class: Class, now: Duration) -> (u32, Option<u64>) {
        for count in 0..2000 {
            if let Err(err) = throttle.admit(subscription, class, now) {
                assert_eq!((err.status, err.code), (429, "TooManyRequests"));
                return (count, err.retry_after);
            }
        }
        (2000, None)
    }

    #[test]
    fn each_subscription_and_class_has_a_third_of_azures_minute_in_each_window() {
        let mut throttle = Throttle::new(1);
        let at = Duration::from_millis(12_300);
        for (class, limit) in [
            (Class::ProfileWrite, 200),
            (Class::ProfileRead, 150),
            (Class::ProfileDelete, 50),
            (Class::EndpointWrite, 100),
            (Class::EndpointRead, 500),
            (Class::NameCheck, 100),
            (Class::AddressRead, 500),
            (Class::AddressWrite, 100),
        ] {
            assert_eq!(admitted(&mut throttle, "Sub", class, at), (limit, Some(8)), "{class:?}");
            assert_eq!(admitted(&mut throttle, "sUB", class, at).0, 0, "the same subscription");
            assert_eq!(admitted(&mut throttle, "other", class, at).0, limit);
            let next = Duration::from_secs(20);
            assert_eq!(admitted(&mut throttle, "sub", class, next), (limit, Some(20)));
        }
        assert_eq!(admitted(&mut Throttle::new(0), "sub", Class::ProfileDelete, at).1, None);
        assert_eq!(admitted(&mut Throttle::new(3), "sub", Class::ProfileDelete, at).0, 150);
    }

    #[test]
    fn what_is_counted_stays_bounded() {
        let mut throttle = Throttle::new(1);
        for number in 0..COUNTED * 2 {
            let now = Duration::from_secs(if number < COUNTED { 0 } else { 20 });
            throttle.admit(&number.to_string(), Class::ProfileRead, now).unwrap();
            assert!(throttle.counts.len() <= COUNTED + 1, "{}", throttle.counts.len());
        }
    }
}
