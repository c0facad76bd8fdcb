//! Many calls at once.

use std::future::IntoFuture;

use futures_util::future::{JoinAll, TryJoinAll};

use crate::error::Result;

/// Runs calls side by side and gives all results, in the order of the calls. A call that fails leaves the
/// others alone.
///
/// All of them begin at once; [`Limited`](crate::Limited) bounds how many reach a backend at the same time.
/// Calls on one session may run side by side if its context keeps no history, as a
/// [`SimpleContext`](crate::SimpleContext) does.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// use mellea_core::{Session, join_all, testing::ScriptedBackend};
///
/// let m = Session::new(ScriptedBackend::new(["Paris", "Rome"]));
/// let capitals = join_all(["France", "Italy"].map(|country| m.instruct(format!("Name the capital of {country}.")))).await;
/// assert_eq!(*capitals[1].as_ref().unwrap().value(), "Rome");
/// # });
/// ```
pub fn join_all<C: IntoFuture>(calls: impl IntoIterator<Item = C>) -> JoinAll<C::IntoFuture> {
    futures_util::future::join_all(calls.into_iter().map(IntoFuture::into_future))
}

/// Runs calls side by side and gives all values, in the order of the calls. The first error ends it and
/// cancels the calls that still run.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// use mellea_core::{Session, testing::ScriptedBackend, try_join_all};
///
/// let m = Session::new(ScriptedBackend::new(["Paris", "Rome"]));
/// let capitals = try_join_all(["France", "Italy"].map(|country| m.instruct(country))).await?;
/// assert_eq!(*capitals[0], "Paris");
/// # Ok::<(), mellea_core::Error>(()) }).unwrap();
/// ```
pub fn try_join_all<T, C: IntoFuture<Output = Result<T>>>(calls: impl IntoIterator<Item = C>) -> TryJoinAll<C::IntoFuture> {
    futures_util::future::try_join_all(calls.into_iter().map(IntoFuture::into_future))
}
