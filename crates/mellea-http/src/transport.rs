//! The connection pool below a client.

use std::time::Duration;

use mellea_core::{Error, Result};
use reqwest::{NoProxy, Proxy, redirect};

use crate::base::BaseUrl;
use crate::secret::Secret;
use crate::timeouts::Timeouts;

/// How often a redirect within one host is followed.
const MAX_REDIRECTS: usize = 5;

/// A client with these limits, through this proxy.
pub(crate) fn client(timeouts: &Timeouts, proxy: Option<&Secret>) -> Result<reqwest::Client> {
    #[cfg(feature = "rustls")]
    {
        // Fails if the program has chosen its own provider, which is then used.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
    let mut builder = reqwest::Client::builder()
        .connect_timeout(timeouts.connect)
        .tcp_nodelay(true)
        .tcp_keepalive(Duration::from_secs(60))
        .http2_keep_alive_interval(Duration::from_secs(30))
        .redirect(redirect::Policy::custom(follow))
        // There is one place where a call is made again, and it is not this.
        .retry(reqwest::retry::never())
        // Whatever features of reqwest the program turns on elsewhere: small bodies gain nothing, and a few
        // compressed bytes can be gigabytes.
        .no_gzip()
        .no_brotli()
        .no_deflate()
        .no_zstd();
    if let Some(address) = proxy {
        let parsed = BaseUrl::parse(address.expose())?;
        let proxy =
            Proxy::all(parsed.as_url().clone()).map_err(|_| Error::config("proxy", format!("{parsed} cannot be a proxy")))?;
        builder = builder.proxy(proxy.no_proxy(NoProxy::from_env()));
    }
    builder.build().map_err(|e| Error::config("client", format!("no HTTP client can be made: {e}")))
}

/// Redirects are followed only within one host: keys in custom headers would otherwise travel with them.
fn follow(attempt: redirect::Attempt<'_>) -> redirect::Action {
    let same = attempt.previous().last().is_some_and(|from| from.origin() == attempt.url().origin());
    let keeps_method = matches!(attempt.status().as_u16(), 307 | 308);
    if same && keeps_method && attempt.previous().len() <= MAX_REDIRECTS { attempt.follow() } else { attempt.stop() }
}
