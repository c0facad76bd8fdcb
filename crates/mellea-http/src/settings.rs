//! What a client can be told whatever the service, in one place for all builders.

use std::fmt;

use mellea_core::limit::Limiter;

use crate::{Retry, Secret, Timeouts, reqwest};

/// What a client can be told whatever the service.
///
/// A builder with a field `settings` of this type gets the setters from
/// [`client_setters!`](crate::client_setters), and hands it on with
/// [`ClientBuilder::settings`](crate::ClientBuilder::settings). Every backend's builder has them, so one value can
/// serve several:
///
/// ```
/// use mellea_http::{Client, ClientSettings, Retry};
///
/// # fn main() -> mellea_core::Result<()> {
/// let mut settings = ClientSettings::default();
/// settings.retry = Some(Retry::never());
/// settings.headers.push(("x-team".to_owned(), "blue".to_owned()));
/// let one = Client::builder("one", "http://localhost:8001").settings(settings.clone()).build()?;
/// let two = Client::builder("two", "http://localhost:8002").settings(settings).build()?;
/// assert_eq!((one.max_requests(), two.max_requests()), (1, 1));
/// # Ok(()) }
/// ```
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct ClientSettings {
    /// Headers of every request; the last of a name counts.
    pub headers: Vec<(String, String)>,
    /// The limits of time; `None` leaves them to the client.
    pub timeouts: Option<Timeouts>,
    /// The policy of retries; `None` is the default one.
    pub retry: Option<Retry>,
    /// What limits the calls.
    pub limiter: Option<Limiter>,
    /// The address of a proxy, which may have a password in it.
    pub proxy: Option<Secret>,
    /// A ready client of reqwest.
    pub http: Option<reqwest::Client>,
    /// Whether keys may go over plain `http` to hosts of the open network.
    pub insecure: bool,
}

impl ClientSettings {
    /// These settings, with those of `over` taking precedence where there are any.
    #[must_use]
    pub fn merged(mut self, over: Self) -> Self {
        self.headers.extend(over.headers);
        Self {
            headers: self.headers,
            timeouts: over.timeouts.or(self.timeouts),
            retry: over.retry.or(self.retry),
            limiter: over.limiter.or(self.limiter),
            proxy: over.proxy.or(self.proxy),
            http: over.http.or(self.http),
            insecure: over.insecure || self.insecure,
        }
    }

    /// The way that requests take, and nothing else: the proxy, the ready client, and whether keys may go in the
    /// clear. For requests on behalf of another, such as an exchange of tokens.
    #[must_use]
    pub fn route(&self) -> Self {
        Self { proxy: self.proxy.clone(), http: self.http.clone(), insecure: self.insecure, ..Self::default() }
    }
}

impl fmt::Debug for ClientSettings {
    /// Without what may be secret: the values of headers, and the proxy.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("ClientSettings")
            .field("headers", &headers)
            .field("timeouts", &self.timeouts)
            .field("retry", &self.retry)
            .field("limiter", &self.limiter)
            .field("insecure", &self.insecure)
            .finish_non_exhaustive()
    }
}

/// The setters of a builder's field `settings`, a [`ClientSettings`].
///
/// ```
/// use mellea_http::{ClientSettings, Retry};
///
/// #[derive(Default)]
/// #[must_use]
/// struct Builder {
///     settings: ClientSettings,
/// }
///
/// impl Builder {
///     mellea_http::client_setters!();
/// }
///
/// let builder = Builder::default().header("x-team", "blue").retry(Retry::never());
/// assert_eq!(builder.settings.retry.unwrap().attempts, 1);
/// ```
#[macro_export]
macro_rules! client_setters {
    () => {
        /// Sends this header with every request.
        pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
            self.settings.headers.push((name.into(), value.into()));
            self
        }

        /// With these limits of time.
        pub fn timeouts(mut self, timeouts: $crate::Timeouts) -> Self {
            self.settings.timeouts = Some(timeouts);
            self
        }

        /// With this policy of retries; by default a call makes at most three requests.
        pub fn retry(mut self, retry: $crate::Retry) -> Self {
            self.settings.retry = Some(retry);
            self
        }

        /// Sends no more than this limiter lets through; a `Retry-After` pauses it.
        pub fn limiter(mut self, limiter: $crate::Limiter) -> Self {
            self.settings.limiter = Some(limiter);
            self
        }

        /// Goes through this proxy, except to the hosts that `NO_PROXY` names. Without it, `HTTP_PROXY`,
        /// `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` count.
        pub fn proxy(mut self, address: impl Into<$crate::Secret>) -> Self {
            self.settings.proxy = Some(address.into());
            self
        }

        /// Uses a ready client of reqwest, with its own proxies, certificates, connection limit and
        /// redirects; the limit on connecting and a proxy set here are then left to it. If it follows redirects to other hosts, it takes along every header but
        /// `Authorization`.
        pub fn http(mut self, client: $crate::reqwest::Client) -> Self {
            self.settings.http = Some(client);
            self
        }

        /// Sends keys over plain `http` to hosts of the open network as well.
        pub fn insecure(mut self) -> Self {
            self.settings.insecure = true;
            self
        }

        /// With all of these settings, over those there are.
        pub fn settings(mut self, settings: $crate::ClientSettings) -> Self {
            self.settings = self.settings.merged(settings);
            self
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_settings_win_and_headers_add_up() {
        let mut one = ClientSettings { retry: Some(Retry::never()), insecure: true, ..ClientSettings::default() };
        one.headers.push(("a".to_owned(), "1".to_owned()));
        let two = ClientSettings { timeouts: Some(Timeouts::new()), headers: one.headers.clone(), ..ClientSettings::default() };
        let both = one.merged(two);
        assert!(both.insecure && both.timeouts.is_some());
        assert_eq!((both.retry.unwrap().attempts, both.headers.len()), (1, 2));
    }

    #[test]
    fn nothing_secret_is_shown() {
        let settings = ClientSettings {
            headers: vec![("x-key".to_owned(), "canary".to_owned())],
            proxy: Some("http://u:canary@proxy".into()),
            ..ClientSettings::default()
        };
        assert!(!format!("{settings:?}").contains("canary"));
    }
}
