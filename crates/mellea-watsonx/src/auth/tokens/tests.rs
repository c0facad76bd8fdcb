//! The store of tokens, against a source that counts.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::FutureExt;
use futures_util::future::join_all;
use mellea_core::ProviderError;

use super::*;

/// Gives `t1`, `t2` and so on, each after a second; fails where it is told to.
#[derive(Debug, Default)]
struct Counting {
    count: AtomicUsize,
    lifetime: Duration,
    failures: Vec<usize>,
}

/// The source behind a pointer that the test keeps.
#[derive(Debug)]
struct Shared(Arc<Counting>);

#[async_trait]
impl Source for Shared {
    async fn fetch(&self) -> Result<Token> {
        let number = self.0.count.fetch_add(1, Ordering::SeqCst) + 1;
        tokio::time::sleep(Duration::from_secs(1)).await;
        if self.0.failures.contains(&number) {
            return Err(ErrorKind::Provider(ProviderError::new("no")).into());
        }
        Ok(Token { value: Secret::new(format!("t{number}")), lifetime: self.0.lifetime })
    }

    fn secret(&self) -> Secret {
        "canary".into()
    }
}

fn tokens(lifetime: u64, failures: &[usize]) -> (Tokens, Arc<Counting>) {
    let lifetime = Duration::from_secs(lifetime);
    let source = Arc::new(Counting { lifetime, failures: failures.to_vec(), ..Counting::default() });
    (Tokens::from_source(Shared(Arc::clone(&source))), source)
}

impl Counting {
    fn count(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }
}

async fn get(tokens: &Tokens) -> String {
    tokens.get().await.unwrap().expose().to_owned()
}

async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn a_crowd_of_calls_makes_one_request() {
    let (tokens, source) = tokens(3600, &[]);
    let all = join_all((0..50).map(|_| get(&tokens))).await;
    assert!(all.iter().all(|token| token == "t1"));
    assert_eq!(get(&tokens.clone()).await, "t1");
    assert_eq!(source.count(), 1);
    assert!(!format!("{tokens:?}").contains("t1"));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_given_up_does_not_lose_the_request() {
    let (tokens, source) = tokens(3600, &[]);
    assert!(tokens.get().now_or_never().is_none());
    pass(5).await;
    assert_eq!(tokens.get().now_or_never().unwrap().unwrap().expose(), "t1");
    assert_eq!(source.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_token_is_renewed_behind_the_calls_before_it_ends() {
    // A fifth of an hour is left after 48 minutes.
    let (tokens, source) = tokens(3600, &[]);
    assert_eq!(get(&tokens).await, "t1");
    pass(47 * 60).await;
    assert_eq!((get(&tokens).await.as_str(), source.count()), ("t1", 1));
    pass(2 * 60).await;
    // The call that notices does not wait.
    assert_eq!(tokens.get().now_or_never().unwrap().unwrap().expose(), "t1");
    pass(5).await;
    assert_eq!((get(&tokens).await.as_str(), source.count()), ("t2", 2));
    // Once it has ended, there is nothing but to wait.
    pass(7200).await;
    assert!(tokens.get().now_or_never().is_none());
    assert_eq!((get(&tokens).await.as_str(), source.count()), ("t3", 3));
}

#[tokio::test(start_paused = true)]
async fn short_tokens_are_renewed_when_less_than_a_minute_is_left() {
    let (tokens, source) = tokens(200, &[]);
    get(&tokens).await;
    pass(135).await;
    assert_eq!((get(&tokens).await.as_str(), source.count()), ("t1", 1));
    pass(10).await;
    get(&tokens).await;
    pass(2).await;
    assert_eq!((get(&tokens).await.as_str(), source.count()), ("t2", 2));
}

#[tokio::test(start_paused = true)]
async fn a_token_shorter_than_the_margin_is_still_used() {
    let (tokens, source) = tokens(30, &[]);
    get(&tokens).await;
    for _ in 0..10 {
        get(&tokens).await;
    }
    assert_eq!(source.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_token_without_a_lifetime_still_serves_those_who_wait() {
    let (tokens, _) = tokens(0, &[]);
    assert_eq!(get(&tokens).await, "t1");
    assert_eq!(get(&tokens).await, "t2");
}

#[tokio::test(start_paused = true)]
async fn a_token_that_cannot_be_renewed_is_used_to_its_end() {
    let (tokens, source) = tokens(3600, &[2, 3]);
    get(&tokens).await;
    pass(50 * 60).await;
    for _ in 0..20 {
        assert_eq!(get(&tokens).await, "t1");
    }
    pass(2).await;
    assert_eq!((get(&tokens).await.as_str(), source.count()), ("t1", 2));
    pass(2).await;
    get(&tokens).await;
    pass(5).await;
    get(&tokens).await;
    pass(5).await;
    assert_eq!((get(&tokens).await.as_str(), source.count()), ("t4", 4));
}

#[tokio::test(start_paused = true)]
async fn a_crowd_that_is_refused_makes_one_request_more() {
    let (tokens, source) = tokens(3600, &[]);
    get(&tokens).await;
    let renewed = join_all((0..20).map(|_| tokens.renew())).await;
    assert!(renewed.into_iter().all(|renewed| renewed.unwrap()));
    assert_eq!((get(&tokens).await.as_str(), source.count()), ("t2", 2));
    // Who comes late was refused with the old token.
    assert!(tokens.renew().await.unwrap());
    assert_eq!((get(&tokens).await.as_str(), source.count()), ("t2", 2));
    pass(11).await;
    assert!(tokens.renew().await.unwrap());
    assert_eq!((get(&tokens).await.as_str(), source.count()), ("t3", 3));
}

#[tokio::test(start_paused = true)]
async fn without_a_token_there_is_nothing_to_renew() {
    let (tokens, source) = tokens(3600, &[1]);
    assert!(!tokens.renew().await.unwrap());
    assert!(tokens.get().await.is_err());
    assert!(!tokens.renew().await.unwrap());
    assert_eq!(source.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_that_of_all_who_wait_and_is_forgotten_soon() {
    let (tokens, source) = tokens(3600, &[1]);
    let all = join_all((0..20).map(|_| tokens.get())).await;
    assert!(all.iter().all(Result::is_err));
    assert!(tokens.get().now_or_never().unwrap().is_err());
    assert_eq!(source.count(), 1);
    pass(2).await;
    assert_eq!((get(&tokens).await.as_str(), source.count()), ("t2", 2));
}

#[test]
fn a_runtime_that_stops_takes_no_token_down() {
    let (tokens, source) = tokens(3600, &[]);
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    let first = runtime();
    first.block_on(async { assert!(tokens.get().now_or_never().is_none()) });
    drop(first);
    let token = runtime().block_on(get(&tokens));
    assert_eq!(token, format!("t{}", source.count()), "the last one that was asked for");
    assert!(tokens.get().now_or_never().unwrap().is_ok());
    let (fresh, _) = self::tokens(3600, &[]);
    assert!(matches!(fresh.get().now_or_never().unwrap().unwrap_err().kind(), ErrorKind::Runtime(_)));
}

#[test]
fn settings_show_no_secret_and_need_one() {
    let builder =
        Tokens::cloud_pak("https://u:canary@cpd.example.com", "alice", Credential::password("canary")).proxy("http://u:canary@p");
    assert!(!format!("{builder:?} {:?}", builder.clone().build().unwrap()).contains("canary"));
    assert!(matches!(Tokens::iam(" ").build().unwrap_err().kind(), ErrorKind::Config { .. }));
}
