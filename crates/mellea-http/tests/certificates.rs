//! Servers whose certificates are wrong, and one whose certificate is right, over real TLS.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mellea_core::ErrorKind;
use mellea_http::{Client, Retry, reqwest};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// An authority that nobody knows.
fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, "an authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A server with a certificate for this host; its port, and how often it was connected to.
async fn server(
    authority: &CertifiedIssuer<'static, KeyPair>,
    host: &str,
    change: impl FnOnce(&mut CertificateParams),
) -> (u16, Arc<AtomicUsize>) {
    let mut params = CertificateParams::new([host.to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, host);
    change(&mut params);
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, authority).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key).unwrap();
    let (acceptor, listener) = (TlsAcceptor::from(Arc::new(config)), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let (port, connections) = (listener.local_addr().unwrap().port(), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::Relaxed);
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let mut stream = acceptor.accept(stream).await.ok()?;
                let mut request = [0; 4096];
                let _ = stream.read(&mut request).await.ok()?;
                let answer = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
                stream.write_all(answer.as_bytes()).await.ok()?;
                stream.shutdown().await.ok()
            });
        }
    });
    (port, connections)
}

/// A client of `localhost` that trusts this authority as well, if there is one.
fn client(port: u16, trusted: Option<&CertifiedIssuer<'static, KeyPair>>) -> Client {
    let retry = Retry::new().waits(Duration::ZERO, Duration::ZERO);
    let builder = Client::builder("p", format!("https://localhost:{port}")).key("canary-key").retry(retry);
    // The first client sets up TLS for all.
    let plain = builder.build().unwrap();
    let Some(authority) = trusted else { return plain };
    let certificate = reqwest::Certificate::from_der(authority.der()).unwrap();
    let http = reqwest::Client::builder().no_proxy().tls_certs_merge([certificate]).build().unwrap();
    Client::builder("p", format!("https://localhost:{port}")).key("canary-key").retry(retry).http(http).build().unwrap()
}

#[tokio::test]
async fn a_wrong_certificate_is_told_and_not_tried_again() {
    let authority = authority();
    let expired = |params: &mut CertificateParams| params.not_after = date_time_ymd(2021, 1, 1);
    for (what, host, trusted, change) in [
        ("nobody knows who signed it", "localhost", false, None),
        ("it is for another host", "example.com", true, None),
        ("its time is over", "localhost", true, Some(expired)),
    ] {
        let (port, connections) = server(&authority, host, |params| change.into_iter().for_each(|change| change(params))).await;
        let client = client(port, trusted.then_some(&authority));
        let error = client.send(client.get("x")).await.unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::Connection { reason, .. } if reason.contains("no secure connection")),
            "{what}: {error}"
        );
        assert!(error.hint().is_some_and(|hint| hint.contains("certificate")), "{what}: {:?}", error.hint());
        assert_eq!(connections.load(Ordering::Relaxed), 1, "{what}");
    }
}

#[tokio::test]
async fn a_right_certificate_is_taken() {
    let authority = authority();
    let (port, _) = server(&authority, "localhost", |_| {}).await;
    let client = client(port, Some(&authority));
    let answer: serde_json::Value = client.send(client.get("x")).await.unwrap().json().await.unwrap();
    assert_eq!(answer, serde_json::json!({}));
}
