//! How many pass, when, and in which order.

use futures_util::FutureExt;
use futures_util::future::join_all;

use super::*;
use crate::error::ErrorKind;

fn at_once(limiter: &Limiter) -> Option<Permit> {
    limiter.acquire().now_or_never()
}

#[test]
fn what_lets_nothing_through_is_refused() {
    let new = Limiter::new;
    for (what, result) in [
        ("at once", new().concurrency(0)),
        ("burst", new().burst(0)),
        ("rate", new().per_second(0.0)),
        ("rate", new().per_second(-1.0)),
        ("rate", new().per_second(-0.0)),
        ("rate", new().per_second(f64::NAN)),
        ("rate", new().per_second(f64::INFINITY)),
        ("rate", new().per_second(f64::MIN_POSITIVE)),
    ] {
        let error = result.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Config { reason, .. } if reason.contains(what)), "{error}");
    }
    for limiter in [new().concurrency(usize::MAX), new().burst(u32::MAX), new().per_second(1e12), new().per_second(1e-6)] {
        assert!(at_once(&limiter.unwrap()).is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn fifty_calls_with_a_limit_of_four_are_never_five() {
    let limiter = Limiter::new().concurrency(4).unwrap();
    let most = AtomicUsize::new(0);
    let calls = (0..50).map(|i| {
        let (limiter, most) = (&limiter, &most);
        async move {
            let permit = limiter.acquire().await;
            most.fetch_max(limiter.in_use(), Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(10 + i % 7)).await;
            drop(permit);
        }
    });
    join_all(calls).await;
    assert_eq!((most.into_inner(), limiter.in_use()), (4, 0));
}

#[tokio::test(start_paused = true)]
async fn a_rate_spaces_calls_and_a_burst_lets_some_go_together() {
    for (burst, expected) in [(1, [0, 500, 1000, 1500, 2000]), (3, [0, 0, 0, 500, 1000])] {
        let limiter = Limiter::new().per_second(2.0).unwrap().burst(burst).unwrap();
        let start = Instant::now();
        let mut begun = Vec::new();
        for _ in 0..5 {
            drop(limiter.acquire().await);
            begun.push(start.elapsed().as_millis());
        }
        assert_eq!(begun, expected, "burst {burst}");
        // Silence fills the bucket again, and no further.
        tokio::time::sleep(Duration::from_secs(60)).await;
        let free = std::iter::from_fn(|| at_once(&limiter)).count();
        assert_eq!(free, burst as usize);
    }
}

#[tokio::test(start_paused = true)]
async fn a_rate_above_the_clocks_resolution_is_kept_on_the_whole() {
    let limiter = Limiter::new().per_second(10_000.0).unwrap();
    let start = Instant::now();
    for _ in 0..10_000 {
        drop(limiter.acquire().await);
    }
    let took = start.elapsed().as_millis();
    assert!((950..=1050).contains(&took), "{took} ms");
}

#[tokio::test(start_paused = true)]
async fn nobody_passes_during_a_pause_and_pauses_only_grow() {
    let limiter = Limiter::new();
    let start = Instant::now();
    limiter.pause(Duration::from_secs(10));
    limiter.pause(Duration::from_secs(1));
    assert!(at_once(&limiter).is_none());
    let grows = async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        limiter.pause(Duration::from_secs(20));
    };
    let (permits, ()) = tokio::join!(join_all((0..3).map(|_| limiter.acquire())), grows);
    assert_eq!((start.elapsed().as_secs(), permits.len()), (25, 3));
    limiter.pause(Duration::MAX);
    assert!(at_once(&limiter).is_none());
}

#[tokio::test(start_paused = true)]
async fn callers_pass_in_the_order_in_which_they_came() {
    let limiter = Limiter::new().concurrency(2).unwrap().per_second(100.0).unwrap();
    let order = Mutex::new(Vec::new());
    let calls = (0..20).map(|i| {
        let (limiter, order) = (&limiter, &order);
        async move {
            let _permit = limiter.acquire().await;
            order.lock().unwrap().push(i);
            tokio::time::sleep(Duration::from_millis(50 - i)).await;
        }
    });
    join_all(calls).await;
    assert_eq!(order.into_inner().unwrap(), (0..20).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_gives_up_uses_nothing_up() {
    let limiter = Limiter::new().concurrency(1).unwrap().per_second(1.0).unwrap();
    let first = at_once(&limiter).unwrap();
    // One gives up at the head of the queue, waiting for the slot.
    assert!(at_once(&limiter).is_none());
    drop(first);
    // Another holds the slot and waits for the time.
    assert!(tokio::time::timeout(Duration::from_millis(500), limiter.acquire()).await.is_err());
    assert_eq!(limiter.in_use(), 0);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(at_once(&limiter).is_some());
}

#[tokio::test]
async fn clones_share_a_limit_and_new_settings_do_not() {
    let limiter = Limiter::new().concurrency(1).unwrap();
    let permit = at_once(&limiter).unwrap();
    assert!(at_once(&limiter.clone()).is_none());
    assert!(at_once(&limiter.clone().burst(2).unwrap()).is_some());
    assert!(format!("{limiter:?} {permit:?}").contains("in_use: 1"));
}
