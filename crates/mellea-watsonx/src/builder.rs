//! Builds the backend from setters, and from the environment for what they leave open.

use std::sync::Arc;

use mellea_core::{Error, ModelOptions, ModelRef, OptionKey, OptionValue, Result};
use mellea_http::auth::Bearer;
use mellea_http::{Authorize, BaseUrl, Client, ClientSettings, Secret, client_setters};

use crate::auth::{Credential, Shared, Tokens, ZenKey, region_url};
use crate::backend::{Inner, WatsonX};
use crate::scope::Scope;
use crate::{PROVIDER, TokensBuilder};

/// The default version of the API, a date; [`WatsonXBuilder::version`] sets another.
pub const DEFAULT_VERSION: &str = "2025-02-11";

/// How many generations of one [`complete`](mellea_core::Backend::complete) run at once by default.
const RAW_CONCURRENCY: usize = 8;

/// The model of a backend that names none.
const DEFAULT_MODEL: mellea_core::ModelIdentifier = mellea_core::model::IBM_GRANITE_4_HYBRID_SMALL;

const URL: [&str; 3] = ["WATSONX_URL", "WATSONX_API_BASE", "WX_URL"];
const REGION: [&str; 1] = ["WATSONX_REGION"];
const KEY: [&str; 3] = ["WATSONX_API_KEY", "WATSONX_APIKEY", "WX_API_KEY"];
const TOKEN: [&str; 1] = ["WATSONX_TOKEN"];
const ZEN_KEY: [&str; 1] = ["WATSONX_ZENAPIKEY"];
const IAM_URL: [&str; 1] = ["WATSONX_IAM_URL"];
const PROJECT: [&str; 2] = ["WATSONX_PROJECT_ID", "WX_PROJECT_ID"];
const SPACE: [&str; 3] = ["WATSONX_DEPLOYMENT_SPACE_ID", "WATSONX_SPACE_ID", "WX_SPACE_ID"];

/// Sets up a [`WatsonX`] backend.
///
/// What is not set is taken from the environment when it is built. Of several names of one variable,
/// the first that is set counts:
///
/// | setting | variables |
/// |---|---|
/// | [`url`](Self::url) | `WATSONX_URL`, `WATSONX_API_BASE`, `WX_URL`; or `WATSONX_REGION` |
/// | [`token`](Self::token) | `WATSONX_TOKEN` |
/// | [`zen_api_key`](Self::zen_api_key) | `WATSONX_ZENAPIKEY` |
/// | [`api_key`](Self::api_key) | `WATSONX_API_KEY`, `WATSONX_APIKEY`, `WX_API_KEY` |
/// | [`iam_url`](Self::iam_url) | `WATSONX_IAM_URL` |
/// | [`project_id`](Self::project_id) | `WATSONX_PROJECT_ID`, `WX_PROJECT_ID` |
/// | [`space_id`](Self::space_id) | `WATSONX_DEPLOYMENT_SPACE_ID`, `WATSONX_SPACE_ID`, `WX_SPACE_ID` |
///
/// Of `token`, `zen_api_key` and `api_key` in the environment, the first counts in this order. Of the
/// setters for credentials, the last one counts.
#[derive(Default)]
#[must_use = "a backend is made by `build`"]
pub struct WatsonXBuilder {
    model: Option<ModelRef>,
    url: Option<String>,
    access: Option<Access>,
    iam_url: Option<String>,
    project: Option<String>,
    space: Option<String>,
    deployment: Option<String>,
    version: Option<String>,
    settings: ClientSettings,
    options: ModelOptions,
    raw_concurrency: Option<usize>,
}

/// The credentials.
enum Access {
    Key(Secret),
    Token(Secret),
    Zen(Secret),
    CloudPak(String, Credential),
    Other(Shared),
}

impl WatsonXBuilder {
    /// The model, by its name on watsonx.ai; default `ibm/granite-4-h-small`. The name
    /// `deployment/<id>` is that of a [deployment](Self::deployment_id).
    pub fn model(mut self, model: impl Into<ModelRef>) -> Self {
        self.model = Some(model.into());
        self
    }

    /// The address of the service, such as `https://us-south.ml.cloud.ibm.com`.
    pub fn url(mut self, url: impl Into<String>) -> Self {
        self.url = Some(url.into());
        self
    }

    /// The same as [`url`](Self::url), under the name that other backends use.
    pub fn base_url(self, url: impl Into<String>) -> Self {
        self.url(url)
    }

    /// The address of a region: `us-south`, `eu-de`, `eu-gb`, `jp-tok`, `au-syd`, `ca-tor`, or
    /// `ap-south-1` on AWS.
    pub fn region(self, region: impl AsRef<str>) -> Self {
        let url = region_url(region.as_ref());
        self.url(url)
    }

    /// An API key of IBM's cloud. It is exchanged for tokens, see [`Tokens`].
    pub fn api_key(mut self, key: impl Into<Secret>) -> Self {
        self.access = Some(Access::Key(key.into()));
        self
    }

    /// A token that is sent unchanged, and never renewed.
    pub fn token(mut self, token: impl Into<Secret>) -> Self {
        self.access = Some(Access::Token(token.into()));
        self
    }

    /// A user of Cloud Pak for Data, with password or API key. They are exchanged for tokens at the
    /// address of the service.
    pub fn cloud_pak(mut self, username: impl Into<String>, credential: Credential) -> Self {
        self.access = Some(Access::CloudPak(username.into(), credential));
        self
    }

    /// A key of Cloud Pak for Data that needs no exchange: `user:key`, or that in base64.
    pub fn zen_api_key(mut self, key: impl Into<Secret>) -> Self {
        self.access = Some(Access::Zen(key.into()));
        self
    }

    /// Any other way to authenticate, or [`Tokens`] that several backends share.
    pub fn auth(mut self, auth: impl Authorize) -> Self {
        self.access = Some(Access::Other(Shared(Arc::new(auth))));
        self
    }

    /// Where an [API key](Self::api_key) is exchanged for tokens. The addresses of IBM's clouds are known; others
    /// need this.
    pub fn iam_url(mut self, url: impl Into<String>) -> Self {
        self.iam_url = Some(url.into());
        self
    }

    /// The project that calls are made for.
    pub fn project_id(mut self, id: impl Into<String>) -> Self {
        self.project = Some(id.into());
        self
    }

    /// The deployment space that calls are made for, instead of a project.
    pub fn space_id(mut self, id: impl Into<String>) -> Self {
        self.space = Some(id.into());
        self
    }

    /// A deployed model, instead of a model's name and a project or space.
    pub fn deployment_id(mut self, id: impl Into<String>) -> Self {
        self.deployment = Some(id.into());
        self
    }

    /// The version of the API, a date `YYYY-MM-DD`; default [`DEFAULT_VERSION`].
    pub fn version(mut self, date: impl Into<String>) -> Self {
        self.version = Some(date.into());
        self
    }

    client_setters!();

    /// Sets an option for every call that does not set it.
    pub fn option(mut self, key: impl Into<OptionKey>, value: impl Into<OptionValue>) -> Self {
        self.options.set(key, value);
        self
    }

    /// Sets options for every call that does not set them.
    pub fn options(mut self, options: &ModelOptions) -> Self {
        self.options = self.options.merged(options);
        self
    }

    /// Runs at most this many generations of one [`complete`](mellea_core::Backend::complete) at once;
    /// default 8, and at least 1.
    pub fn raw_concurrency(mut self, calls: usize) -> Self {
        self.raw_concurrency = Some(calls.max(1));
        self
    }

    /// Builds the backend. Nothing is sent yet.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](mellea_core::ErrorKind::Config) for what is missing, with the names of its variables; for settings that
    /// exclude each other; and for an invalid address or key.
    pub fn build(self) -> Result<WatsonX> {
        self.build_in(&|variable| std::env::var(variable).ok())
    }

    fn build_in(mut self, env: &Env<'_>) -> Result<WatsonX> {
        let model = self.model_name();
        self.finish(env).map_err(|error| error.at(PROVIDER, &model))
    }

    fn model_name(&mut self) -> String {
        let name = match &self.model {
            Some(model) => model.name_for(PROVIDER).unwrap_or_default().into_owned(),
            None => String::new(),
        };
        if self.deployment.is_none()
            && let Some(id) = name.strip_prefix("deployment/")
        {
            self.deployment = Some(id.to_owned());
        }
        match (&self.deployment, &self.model) {
            (Some(id), _) if name.is_empty() => format!("deployment/{id}"),
            (None, None) => DEFAULT_MODEL.watsonx_name.unwrap_or_default().to_owned(),
            _ => name,
        }
    }

    fn finish(mut self, env: &Env<'_>) -> Result<WatsonX> {
        let model = self.model_name();
        if model.trim().is_empty() {
            return Err(Error::config("model", "this model has no name on watsonx.ai")
                .with_hint("give the name itself, such as `ibm/granite-4-h-small`"));
        }
        let scope = self.scope(env)?;
        let url = self.url.clone().or_else(|| first(env, &URL)).or_else(|| Some(region_url(&first(env, &REGION)?)));
        let url = url.ok_or_else(|| {
            Error::config("url", format!("no address of watsonx.ai: {} is not set", one_of(&URL)))
                .with_hint("set it to such as https://us-south.ml.cloud.ibm.com, or use `url` or `region`")
        })?;
        let base = BaseUrl::parse(&url)?;
        let version = self.version.take().unwrap_or_else(|| DEFAULT_VERSION.to_owned());
        if !is_date(&version) {
            return Err(Error::config("version", format!("the version `{version}` is no date of the form YYYY-MM-DD")));
        }
        let auth = self.auth_for(&base, env)?;
        let limiter = self.settings.limiter.get_or_insert_default().clone();
        let client = Client::builder(PROVIDER, url).auth(auth).settings(self.settings);
        let context_window = match (&self.model, &scope) {
            (Some(model), _) => model.context_length(),
            (None, Scope::Deployment(_)) => None,
            (None, _) => DEFAULT_MODEL.context_length,
        };
        Ok(WatsonX(Arc::new(Inner {
            client: client.build()?,
            context_window,
            model,
            scope,
            version,
            options: self.options,
            limiter,
            raw_concurrency: self.raw_concurrency.unwrap_or(RAW_CONCURRENCY),
        })))
    }

    /// Exactly one of project, space and deployment; what is set here goes before the environment.
    fn scope(&self, env: &Env<'_>) -> Result<Scope> {
        let set = |id: &Option<String>| id.as_deref().map(str::trim).filter(|id| !id.is_empty()).map(str::to_owned);
        let both = |what: &str| {
            Error::config("project_id", format!("{what} are set, and watsonx.ai takes one of them"))
                .with_hint("set one of `project_id` and `space_id`; a deployment needs neither")
        };
        match (set(&self.deployment), set(&self.project), set(&self.space)) {
            (Some(id), None, None) => Scope::deployment(&id),
            (Some(_), ..) => Err(both("a deployment and a project or space")),
            (None, Some(_), Some(_)) => Err(both("a project and a space")),
            (None, Some(id), None) => Ok(Scope::Project(id)),
            (None, None, Some(id)) => Ok(Scope::Space(id)),
            (None, None, None) => match (first(env, &PROJECT), first(env, &SPACE)) {
                (Some(id), None) => Ok(Scope::Project(id)),
                (None, Some(id)) => Ok(Scope::Space(id)),
                (Some(_), Some(_)) => Err(both(&format!("{} and {}", one_of(&PROJECT), one_of(&SPACE)))),
                (None, None) => {
                    let message = format!("no project and no space: neither {} nor {} is set", one_of(&PROJECT), one_of(&SPACE));
                    Err(Error::config("project_id", message)
                        .with_hint("set one, or use `project_id`, `space_id` or `deployment_id`"))
                }
            },
        }
    }

    fn auth_for(&mut self, base: &BaseUrl, env: &Env<'_>) -> Result<Shared> {
        let of_env = || {
            let secret = |names: &[&str]| first(env, names).map(Secret::from);
            let token = || secret(&TOKEN).map(Access::Token);
            token().or_else(|| secret(&ZEN_KEY).map(Access::Zen)).or_else(|| secret(&KEY).map(Access::Key))
        };
        let access = self.access.take().or_else(of_env).ok_or_else(|| {
            Error::config("api_key", format!("no key for watsonx.ai: {} is not set", one_of(&KEY))).with_hint(
                "set it, or use `api_key`, `token`, `cloud_pak` or `zen_api_key`; keys are made at https://cloud.ibm.com/iam/apikeys",
            )
        })?;
        let given = |secret: Secret| {
            if secret.is_empty() { Err(Error::config("api_key", "the key for watsonx.ai is empty")) } else { Ok(secret) }
        };
        Ok(match access {
            Access::Token(token) => Shared(Arc::new(Bearer::new(given(token)?))),
            Access::Zen(key) => Shared(Arc::new(ZenKey::new(&given(key)?))),
            Access::Other(auth) => auth,
            Access::Key(key) => {
                let iam_url = self.iam_url.take().or_else(|| first(env, &IAM_URL));
                Shared(Arc::new(self.exchange(Tokens::for_service(base, &key, iam_url.as_deref())?)?))
            }
            Access::CloudPak(user, credential) => {
                let url = match self.iam_url.take() {
                    Some(url) => url,
                    None => base.join("icp4d-api/v1/authorize", &[]).into(),
                };
                Shared(Arc::new(self.exchange(Tokens::cloud_pak(url, user, credential))?))
            }
        })
    }

    /// Tokens whose requests are made like all other calls.
    fn exchange(&self, tokens: TokensBuilder) -> Result<Tokens> {
        tokens.settings(self.settings.route()).build()
    }
}

impl std::fmt::Debug for WatsonXBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WatsonXBuilder").field("model", &self.model).finish_non_exhaustive()
    }
}

/// The environment.
type Env<'e> = dyn Fn(&str) -> Option<String> + 'e;

/// The first of these variables that is set and not blank.
fn first(env: &Env<'_>, variables: &[&str]) -> Option<String> {
    variables.iter().find_map(|variable| env(variable).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty()))
}

fn one_of(variables: &[&str]) -> String {
    match variables {
        [first, others @ ..] if !others.is_empty() => format!("{first} (or {})", others.join(", ")),
        all => all.join(", "),
    }
}

fn is_date(text: &str) -> bool {
    let number = |part: Option<&str>, len: usize| {
        part.filter(|part| part.len() == len && part.bytes().all(|b| b.is_ascii_digit()))
            .and_then(|part| part.parse::<u32>().ok())
    };
    let mut parts = text.splitn(3, '-');
    let (year, month, day) = (number(parts.next(), 4), number(parts.next(), 2), number(parts.next(), 2));
    year.is_some() && month.is_some_and(|m| (1..=12).contains(&m)) && day.is_some_and(|d| (1..=31).contains(&d))
}

#[cfg(test)]
mod tests;
