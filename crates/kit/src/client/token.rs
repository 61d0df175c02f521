//! Bearer tokens: fixed, or in a file that somebody else renews.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use http::header::InvalidHeaderValue;
use parking_lot::Mutex;
use tokio::time::Instant;

/// How long a token from a file is used before the file is read again.
const FRESH: Duration = Duration::from_secs(60);

/// Where the bearer token comes from.
#[derive(Debug, Clone)]
pub(super) enum Bearer {
    None,
    Fixed(HeaderValue),
    File(Arc<TokenFile>),
}

#[derive(Debug)]
pub(super) struct TokenFile {
    path: PathBuf,
    cache: Mutex<Cache>,
}

#[derive(Debug, Default)]
struct Cache {
    header: Option<HeaderValue>,
    /// Until then the cached header is used without reading the file.
    fresh_until: Option<Instant>,
}

impl Bearer {
    pub(super) fn file(path: PathBuf) -> Self {
        Self::File(Arc::new(TokenFile {
            path,
            cache: Mutex::default(),
        }))
    }

    pub(super) fn fixed(token: &str) -> Result<Self, InvalidHeaderValue> {
        header(token).map(Self::Fixed)
    }

    /// The value of the Authorization header. A file that cannot be read leaves the last token in use.
    pub(super) fn header(&self) -> io::Result<Option<HeaderValue>> {
        match self {
            Self::None => Ok(None),
            Self::Fixed(header) => Ok(Some(header.clone())),
            Self::File(file) => file.header().map(Some),
        }
    }

    /// The server refused the token: read the file again before the next request.
    pub(super) fn refused(&self) {
        if let Self::File(file) = self {
            file.cache.lock().fresh_until = None;
        }
    }
}

impl TokenFile {
    fn header(&self) -> io::Result<HeaderValue> {
        let mut cache = self.cache.lock();
        let now = Instant::now();
        if let (Some(known), Some(until)) = (&cache.header, cache.fresh_until)
            && now < until
        {
            return Ok(known.clone());
        }
        match self.read() {
            Ok(read) => {
                cache.header = Some(read.clone());
                cache.fresh_until = Some(now + FRESH);
                Ok(read)
            }
            Err(err) => cache.header.clone().ok_or(err),
        }
    }

    fn read(&self) -> io::Result<HeaderValue> {
        let wrap = |what: String| io::Error::other(format!("the token file {} {what}", self.path.display()));
        let text = std::fs::read_to_string(&self.path).map_err(|err| wrap(format!("cannot be read: {err}")))?;
        let token = text.trim();
        if token.is_empty() {
            return Err(wrap("is empty".to_owned()));
        }
        header(token).map_err(|_| wrap("holds characters that no token has".to_owned()))
    }
}

fn header(token: &str) -> Result<HeaderValue, InvalidHeaderValue> {
    let mut value = HeaderValue::from_str(&format!("Bearer {}", token.trim()))?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_file_is_read_once_a_minute_and_after_a_refusal() {
        let path = std::env::temp_dir().join(format!("fairway-token-{}", std::process::id()));
        let bearer = Bearer::file(path.clone());
        assert!(bearer.header().is_err(), "there is no file yet");
        let token = |bearer: &Bearer| bearer.header().unwrap().unwrap().to_str().unwrap().to_owned();

        std::fs::write(&path, "one\n").unwrap();
        assert_eq!(token(&bearer), "Bearer one");
        std::fs::write(&path, "two").unwrap();
        assert_eq!(token(&bearer), "Bearer one");
        bearer.refused();
        assert_eq!(token(&bearer), "Bearer two");
        std::fs::write(&path, "three").unwrap();
        tokio::time::advance(FRESH).await;
        assert_eq!(token(&bearer), "Bearer three");
        std::fs::remove_file(&path).unwrap();
        tokio::time::advance(FRESH).await;
        assert_eq!(
            token(&bearer),
            "Bearer three",
            "the last token stays in use while the file is missing"
        );
    }
}
