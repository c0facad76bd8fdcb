//! The functional layer: a context goes in, the answer and the next context come out.
//!
//! A [`Session`] keeps the context for its caller. Programs that keep it themselves (one for each
//! user of a service, say, or a tree of them) use [`call`].

use std::future::IntoFuture;
use std::sync::Arc;

use crate::backend::Backend;
use crate::context::Context;
use crate::error::Result;
use crate::session::Session;

/// Makes one call on a context, and gives its result with the context after it. The context that was
/// given never changes; on an error there is no new one.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// use std::sync::Arc;
/// use mellea_core::{Backend, ChatContext, Context, functional, testing::ScriptedBackend};
///
/// let backend: Arc<dyn Backend> = Arc::new(ScriptedBackend::new(["Hi Alice!", "You are Alice."]));
/// let start = Context::from(ChatContext::new());
/// let (hello, greeted) = functional::call(&backend, &start, |m| m.chat("I am Alice.")).await?;
/// let (answer, asked) = functional::call(&backend, &greeted, |m| m.chat("Who am I?")).await?;
/// assert_eq!(answer.text(), "You are Alice.");
/// assert_eq!((start.len(), greeted.len(), asked.len()), (0, 2, 4));
/// # Ok::<(), mellea_core::Error>(()) }).unwrap();
/// ```
///
/// # Errors
/// Those of the call.
pub async fn call<T, C>(backend: &Arc<dyn Backend>, context: &Context, call: impl FnOnce(&Session) -> C) -> Result<(T, Context)>
where
    C: IntoFuture<Output = Result<T>>,
{
    let session = Session::builder(Arc::clone(backend)).context(context.clone()).build();
    let result = call(&session).into_future().await?;
    Ok((result, session.context()))
}
