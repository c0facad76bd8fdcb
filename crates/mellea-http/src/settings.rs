//! The settings of a client that do not depend on the service, in one place for all builders.

use std::fmt;

use mellea_core::limit::Limiter;
use mellea_wire::Tags;

use crate::{Retry, Secret, Timeouts, reqwest};

/// The settings of a client that do not depend on the service.
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
    /// Headers of every request; of several with one name the last counts.
    pub headers: Vec<(String, String)>,
    /// The time limits; `None` leaves them to the client.
    pub timeouts: Option<Timeouts>,
    /// The retry policy; `None` is the default one.
    pub retry: Option<Retry>,
    /// The limiter of the calls.
    pub limiter: Option<Limiter>,
    /// The address of a proxy, which may contain a password.
    pub proxy: Option<Secret>,
    /// A `reqwest` client to use instead of a new one.
    pub http: Option<reqwest::Client>,
    /// Whether keys may travel over plain `http` to hosts on the open network.
    pub insecure: bool,
    /// The tags that set reasoning apart within answers; `None` are those that models use.
    pub reasoning_tags: Option<Tags>,
    /// Whether calls of tools that a model writes as text stay text.
    pub no_text_calls: bool,
    /// Whether pieces of a stream that cannot be read are left out, instead of being an error.
    pub skip_unreadable: bool,
}

impl ClientSettings {
    /// These settings, with those of `over` taking precedence.
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
            reasoning_tags: over.reasoning_tags.or(self.reasoning_tags),
            no_text_calls: over.no_text_calls || self.no_text_calls,
            skip_unreadable: over.skip_unreadable || self.skip_unreadable,
        }
    }

    /// Only how requests travel: the proxy, the ready client, and whether keys may travel
    /// unencrypted. For requests on behalf of another, such as a token exchange.
    #[must_use]
    pub fn route(&self) -> Self {
        Self { proxy: self.proxy.clone(), http: self.http.clone(), insecure: self.insecure, ..Self::default() }
    }
}

impl fmt::Debug for ClientSettings {
    /// Leaves out what may be secret: the values of headers, and the proxy.
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

/// The setters for a builder's field `settings`, a [`ClientSettings`].
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

        /// With these time limits.
        pub fn timeouts(mut self, timeouts: $crate::Timeouts) -> Self {
            self.settings.timeouts = Some(timeouts);
            self
        }

        /// Sets the retry policy; by default a call makes at most three requests.
        pub fn retry(mut self, retry: $crate::Retry) -> Self {
            self.settings.retry = Some(retry);
            self
        }

        /// Limits the calls; a `Retry-After` pauses the limiter.
        pub fn limiter(mut self, limiter: $crate::Limiter) -> Self {
            self.settings.limiter = Some(limiter);
            self
        }

        /// Uses this proxy, except for the hosts that `NO_PROXY` names. Without it, `HTTP_PROXY`,
        /// `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` apply.
        pub fn proxy(mut self, address: impl Into<$crate::Secret>) -> Self {
            self.settings.proxy = Some(address.into());
            self
        }

        /// Uses this `reqwest` client, with its own proxies, certificates, connection limit and
        /// redirects; the limit on connecting and a proxy set here are then left to it. If it follows redirects to other hosts, it takes along every header but
        /// `Authorization`.
        pub fn http(mut self, client: $crate::reqwest::Client) -> Self {
            self.settings.http = Some(client);
            self
        }

        /// Also sends keys over plain `http` to hosts on the open network.
        pub fn insecure(mut self) -> Self {
            self.settings.insecure = true;
            self
        }

        /// Takes what stands between these tags for reasoning; [`Tags::none`]($crate::Tags::none) leaves all text as it
        /// is. By default the tags that models use, such as `<think>`.
        pub fn reasoning_tags(mut self, tags: $crate::Tags) -> Self {
            self.settings.reasoning_tags = Some(tags);
            self
        }

        /// Leaves text as it is where a model writes a call of an offered tool into it. By default, what reads as a call
        /// is one, with a warning.
        pub fn no_text_calls(mut self) -> Self {
            self.settings.no_text_calls = true;
            self
        }

        /// Leaves out pieces of a stream that cannot be read, up to 16, with a warning. By default they are an error
        /// that keeps the text so far, because nobody can know what was in them.
        pub fn skip_unreadable(mut self) -> Self {
            self.settings.skip_unreadable = true;
            self
        }

        /// Adds all of these settings, over those already set.
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
