//! Keys of callsigns for an agent with many MultiClusters: derived once, one at a time, off the threads that serve.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use ring::hmac;
use ring::rand::SystemRandom;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use crate::keys::{CallsignKeys, KeyError};

/// Keys that are kept although nobody uses them; more are forgotten.
const KEPT: usize = 256;

/// Derives keys and keeps them, under a code of the callsign that means nothing outside of this process.
#[derive(Debug)]
pub struct Deriver {
    codes: hmac::Key,
    one: Arc<Semaphore>,
    known: Arc<Mutex<HashMap<[u8; 32], Arc<CallsignKeys>>>>,
}

impl Deriver {
    /// A deriver that knows no keys yet. Fails when the operating system has no random numbers.
    pub fn new() -> Result<Self, KeyError> {
        let codes = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new())
            .map_err(|_| KeyError::Derivation("the operating system gave no random numbers".to_owned()))?;
        Ok(Self {
            codes,
            one: Arc::new(Semaphore::new(1)),
            known: Arc::default(),
        })
    }

    /// The keys of a callsign. The copy of the callsign is wiped as soon as they are derived.
    pub async fn keys(&self, callsign: &str) -> Result<Arc<CallsignKeys>, KeyError> {
        let code = self.code(callsign);
        if let Some(known) = self.known(&code) {
            return Ok(known);
        }
        let closed = |_| KeyError::Derivation("the process is ending".to_owned());
        let permit = self.one.clone().acquire_owned().await.map_err(closed)?;
        // Somebody else may have derived them in the meantime.
        if let Some(known) = self.known(&code) {
            return Ok(known);
        }
        let callsign = Zeroizing::new(callsign.to_owned());
        let known = self.known.clone();
        let derived = tokio::task::spawn_blocking(move || {
            let keys = Arc::new(CallsignKeys::derive(&callsign)?);
            let mut known = known.lock();
            if known.len() >= KEPT {
                known.retain(|_, keys| Arc::strong_count(keys) > 1);
            }
            known.insert(code, keys.clone());
            // Held by the thread until then: also when the caller goes away, the next one finds the keys or derives alone.
            drop(permit);
            Ok(keys)
        });
        derived.await.map_err(|error| KeyError::Derivation(error.to_string()))?
    }

    fn known(&self, code: &[u8; 32]) -> Option<Arc<CallsignKeys>> {
        self.known.lock().get(code).cloned()
    }

    fn code(&self, callsign: &str) -> [u8; 32] {
        let mut code = [0; 32];
        let tag = hmac::sign(&self.codes, callsign.as_bytes());
        code.iter_mut().zip(tag.as_ref()).for_each(|(to, from)| *to = *from);
        code
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_callsign_is_derived_once_however_many_need_it() {
        let deriver = Deriver::new().unwrap();
        let (a, b) = tokio::join!(deriver.keys("federation"), deriver.keys("federation"));
        let (a, b) = (a.unwrap(), b.unwrap());
        assert!(Arc::ptr_eq(&a, &b));
        assert!(Arc::ptr_eq(&a, &deriver.keys("federation").await.unwrap()));
        assert_ne!(deriver.keys("federation2").await.unwrap().id(), a.id());
        assert!(deriver.known.lock().keys().all(|code| !code.starts_with(b"fede")));
    }

    #[tokio::test]
    async fn a_refused_callsign_leaves_the_next_one_its_turn() {
        let deriver = Deriver::new().unwrap();
        assert!(deriver.keys("").await.is_err());
        assert!(deriver.keys("federation").await.is_ok());
    }
}
