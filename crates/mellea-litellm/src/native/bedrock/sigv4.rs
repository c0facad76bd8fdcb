//! Signing calls with AWS access keys, version 4.

use std::time::SystemTime;

use async_trait::async_trait;
use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use mellea_core::{Error, Result};
use mellea_http::auth::Outgoing;
use mellea_http::reqwest::header::HeaderName;
use mellea_http::{Authorize, Secret};

use super::credentials::Keys;

/// Signs each call. Path segments that are encoded in the address are encoded once more in what is
/// signed, as the service does.
#[derive(Debug)]
pub(super) struct SigV4 {
    keys: Keys,
    region: String,
    clock: fn() -> SystemTime,
}

impl SigV4 {
    pub(super) fn new(keys: Keys, region: String) -> Self {
        Self { keys, region, clock: SystemTime::now }
    }
}

impl SigV4 {
    /// Signs a call; `set` gets each header to add.
    fn sign(
        &self,
        method: &str,
        url: &str,
        content_type: &str,
        body: &[u8],
        mut set: impl FnMut(HeaderName, &str) -> Result<()>,
    ) -> Result<()> {
        // The cause may show what was signed with; it is left out.
        let failed = || Error::config("api_key", "the call cannot be signed with these AWS keys");
        let token = self.keys.token.as_ref().map(|token| token.expose().to_owned());
        let identity = Credentials::new(self.keys.id.expose(), self.keys.secret.expose(), token, None, "mellea").into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name("bedrock")
            .time((self.clock)())
            .settings(SigningSettings::default())
            .build()
            .map_err(|_| failed())?
            .into();
        let headers = [("content-type", content_type)];
        let request = SignableRequest::new(method, url, headers.into_iter(), SignableBody::Bytes(body)).map_err(|_| failed())?;
        let (instructions, _) = sign(request, &params).map_err(|_| failed())?.into_parts();
        let (signed, _) = instructions.into_parts();
        for header in signed {
            set(HeaderName::from_bytes(header.name().as_bytes()).map_err(|_| failed())?, header.value())?;
        }
        Ok(())
    }
}

#[async_trait]
impl Authorize for SigV4 {
    async fn authorize(&self, call: &mut Outgoing<'_>) -> Result<()> {
        let content_type = call.headers.get("content-type").and_then(|value| value.to_str().ok());
        let content_type = content_type.unwrap_or("application/json").to_owned();
        let (method, url, body) = (call.method, call.url.as_str(), call.body.clone());
        self.sign(method, url, &content_type, &body, |name, value| call.set_secret(&name, value))
    }

    fn secrets(&self) -> Vec<Secret> {
        let keys = &self.keys;
        [Some(&keys.id), Some(&keys.secret), keys.token.as_ref()].into_iter().flatten().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mellea_http::BaseUrl;
    use serde_json::Value;

    use super::super::super::testing::corpus;
    use super::*;

    /// 2026-08-20 12:30:45 UTC.
    fn fixed() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1787229045)
    }

    fn keys(token: Option<&str>) -> Keys {
        Keys {
            id: "AKIDEXAMPLE".into(),
            secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".into(),
            token: token.map(Secret::from),
        }
    }

    #[test]
    fn signatures_are_those_of_botocore() {
        let recorded: Value = serde_json::from_slice(&corpus("bedrock/sigv4.json")).unwrap();
        let requests = recorded["requests"].as_array().unwrap();
        assert!(requests.len() >= 5);
        for request in requests {
            let text = |name: &str| request[name].as_str().unwrap();
            let region = text("region");
            let base = BaseUrl::parse(&format!("https://bedrock-runtime.{region}.amazonaws.com")).unwrap();
            let url = base.join(&format!("model/{}/{}", super::super::encoded(text("model")), text("operation")), &[]);
            let signer = SigV4 { keys: keys(request["token"].as_str()), region: region.to_owned(), clock: fixed };
            let mut headers = std::collections::BTreeMap::new();
            let set = |name: HeaderName, value: &str| {
                headers.insert(name.to_string(), value.to_owned());
                Ok(())
            };
            signer.sign("POST", url.as_str(), "application/json", text("body").as_bytes(), set).unwrap();
            let header = |name: &str| headers.get(name).map(String::as_str);
            assert_eq!(header("x-amz-date"), request["date"].as_str());
            assert_eq!(header("x-amz-security-token"), request["security_token"].as_str());
            assert_eq!(header("authorization"), request["authorization"].as_str(), "{url}");
        }
    }

    #[test]
    fn keys_are_not_shown() {
        let signer = SigV4::new(keys(Some("t0ken-canary")), "us-east-1".to_owned());
        let shown = format!("{signer:?} {signer:#?}");
        assert!(!shown.contains("wJalr") && !shown.contains("canary") && !shown.contains("AKID"), "{shown}");
        assert_eq!(signer.secrets().len(), 3);
    }
}
