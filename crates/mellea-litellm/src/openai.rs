//! Providers of OpenAI's wire: a row, an address and a credential become a backend.

use std::sync::Arc;

use mellea_core::{Backend, Result};
use mellea_http::auth::Bearer;
use mellea_openai::OpenAi;

use crate::dialect;
use crate::exchange::Exchange;
use crate::form::Shape;
use crate::keys::Credential;
use crate::registry::Provider;
use crate::settings::Settings;

/// The backend of a provider of OpenAI's wire.
pub(crate) fn backend(
    settings: Settings,
    provider: &Provider,
    shape: Shape,
    exchange: Option<Exchange>,
) -> Result<Arc<dyn Backend>> {
    let mut dialect = dialect::dialect(provider, shape.auth.as_deref());
    let mut base = shape.base;
    if base.as_url().path() == "/" && provider.is_at_root() && provider.path.is_none() {
        // An address without a path would get `/v1`; here it is meant as it stands.
        base = mellea_http::BaseUrl::parse(base.join("chat", &[]).as_str())?;
        dialect = dialect.chat_path("completions").completions_path("");
    }
    let mut builder = OpenAi::builder().dialect(dialect).base_url(base.as_url().as_str()).model(shape.model.as_str());
    builder = match (exchange, shape.credential) {
        (Some(exchange), _) => builder.auth(exchange),
        (None, Some(Credential::Key(key))) => builder.api_key(key),
        (None, Some(Credential::Token(token))) => builder.auth(Bearer::new(token)),
        (None, None) => builder.keyless(),
    };
    let fixed = provider.headers.iter().map(|(name, value)| (name.clone(), value.clone()));
    let from_env = provider
        .header_env
        .iter()
        .filter_map(|(name, variable)| Some((name.clone(), settings.env.get(variable)?.expose().to_owned())));
    for (name, value) in fixed.chain(from_env).chain(shape.headers) {
        builder = builder.header(name, value);
    }
    Ok(Arc::new(builder.settings(settings.client).options(&settings.options).build()?))
}
