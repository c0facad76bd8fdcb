//! Which service gives tokens for which address of watsonx.ai.

use mellea_http::BaseUrl;

/// The form in which a service gives tokens for an API key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// IBM Cloud's IAM: a form goes in, `access_token` comes back.
    Iam,
    /// The SaaS console on AWS and its government variant: JSON goes in, `token` comes back.
    Saas,
}

impl Form {
    /// The path of the service, for an address that has none.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Iam => "identity/token",
            Self::Saas => "api/2.0/apikeys/token",
        }
    }
}

/// The address of a region of IBM's cloud. `ap-south-1` is on AWS.
pub(crate) fn region_url(region: &str) -> String {
    let on_aws = region.rsplit('-').next().is_some_and(|end| end.len() == 1 && end.bytes().all(|b| b.is_ascii_digit()));
    if on_aws { format!("https://{region}.aws.wxai.ibm.com") } else { format!("https://{region}.ml.cloud.ibm.com") }
}

/// The form and the address of the service that gives tokens for this host; no address if the host
/// is not one of IBM's clouds.
pub(crate) fn token_service(service: &BaseUrl) -> (Form, Option<&'static str>) {
    let host = service.host().to_ascii_lowercase();
    let below = |domain: &str| host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    if below("test.cloud.ibm.com") {
        (Form::Iam, Some("https://iam.test.cloud.ibm.com"))
    } else if below("cloud.ibm.com") {
        (Form::Iam, Some("https://iam.cloud.ibm.com"))
    } else if below("aws.wxai.ibm.com") {
        let test = host.starts_with("dev.") || host.starts_with("test.") || host.contains(".dev.") || host.contains(".test.");
        let url =
            if test { "https://account-iam.platform.test.saas.ibm.com" } else { "https://account-iam.platform.saas.ibm.com" };
        (Form::Saas, Some(url))
    } else if below("wxai.prep.ibmforusgov.com") {
        (Form::Saas, Some("https://dai.prep.ibmforusgov.com/api/rest/mcsp/apikeys/token"))
    } else if below("wxai.ibmforusgov.com") {
        (Form::Saas, Some("https://dai.ibmforusgov.com/api/rest/mcsp/apikeys/token"))
    } else {
        (Form::Iam, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cloud_has_its_service_for_tokens() {
        for (host, form, url) in [
            ("us-south.ml.cloud.ibm.com", Form::Iam, Some("https://iam.cloud.ibm.com")),
            ("private.eu-de.ml.cloud.ibm.com", Form::Iam, Some("https://iam.cloud.ibm.com")),
            ("us-south.ml.test.cloud.ibm.com", Form::Iam, Some("https://iam.test.cloud.ibm.com")),
            ("ap-south-1.aws.wxai.ibm.com", Form::Saas, Some("https://account-iam.platform.saas.ibm.com")),
            ("private.ap-south-1.aws.wxai.ibm.com", Form::Saas, Some("https://account-iam.platform.saas.ibm.com")),
            ("dev.aws.wxai.ibm.com", Form::Saas, Some("https://account-iam.platform.test.saas.ibm.com")),
            ("wxai.ibmforusgov.com", Form::Saas, Some("https://dai.ibmforusgov.com/api/rest/mcsp/apikeys/token")),
            (
                "private.wxai.prep.ibmforusgov.com",
                Form::Saas,
                Some("https://dai.prep.ibmforusgov.com/api/rest/mcsp/apikeys/token"),
            ),
            ("cpd.example.com", Form::Iam, None),
            ("evilcloud.ibm.com.example.com", Form::Iam, None),
            ("notcloud.ibm.com", Form::Iam, None),
        ] {
            assert_eq!(token_service(&BaseUrl::parse(host).unwrap()), (form, url), "{host}");
        }
    }

    #[test]
    fn regions_are_addresses() {
        assert_eq!(region_url("eu-de"), "https://eu-de.ml.cloud.ibm.com");
        assert_eq!(region_url("ap-south-1"), "https://ap-south-1.aws.wxai.ibm.com");
    }
}
