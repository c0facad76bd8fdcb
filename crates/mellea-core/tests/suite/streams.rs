//! Streams that are checked: pieces are provisional, and the end says whether they held.

use std::time::Duration;

use futures_util::StreamExt;
use mellea_core::testing::{Reply, ScriptedBackend};
use mellea_core::{
    ChatContext, Delta, ErrorKind, FinishReason, OutputStream, RejectionSampling, Session, StreamCheck, StreamVerdict, check, req,
};
use proptest::prelude::*;

async fn text<T: Send + Sync + 'static>(stream: &mut OutputStream<T>) -> String {
    let mut text = String::new();
    while let Some(delta) = stream.next().await {
        match delta {
            Ok(Delta::Restarted { .. }) => text.clear(),
            Ok(delta) => text += &delta.into_text(),
            Err(_) => break,
        }
    }
    text
}

fn lower() -> mellea_core::Requirement {
    req("Lower case.").validate(|t| t == t.to_lowercase())
}

#[tokio::test]
async fn the_end_says_whether_requirements_held() {
    let m = Session::builder(ScriptedBackend::new(["fine", "NOT FINE"])).context(ChatContext::new()).build();
    let mut stream = m.instruct("Write.").require(lower()).stream().await.unwrap();
    assert_eq!(text(&mut stream).await, "fine");
    assert_eq!(*stream.finish().await.unwrap(), "fine");

    let mut stream = m.instruct("Write.").require(lower()).stream().await.unwrap();
    assert_eq!(text(&mut stream).await, "NOT FINE", "pieces are shown before they are checked");
    let error = stream.finish().await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::RequirementsNotMet { .. }), "{error}");
    assert_eq!((error.attempts().len(), error.partial().unwrap().text.as_str()), (1, "NOT FINE"));
    assert_eq!(m.context().len(), 2, "a refused answer is not in the context");
}

#[tokio::test]
async fn a_stream_tries_again_if_its_call_says_so() {
    let m = Session::new(ScriptedBackend::new(["NOT FINE", "fine"]));
    let mut stream = m.instruct("Write.").require(lower()).strategy(RejectionSampling::new(3)).stream().await.unwrap();
    let deltas: Vec<Delta> = (&mut stream).map(Result::unwrap).collect().await;
    let restarted = Delta::Restarted { attempt: 2, reasons: vec!["Lower case.".into()] };
    assert_eq!(deltas, [Delta::Text("NOT FINE".into()), restarted, Delta::Text("fine".into())]);
    let output = stream.finish().await.unwrap();
    assert_eq!((&**output, output.attempts().len()), ("fine", 2));
}

#[tokio::test]
async fn a_handle_checks_its_answer() {
    let m = Session::new(ScriptedBackend::new(["NOT FINE", "fine", "NO", "NO"]));
    let thunk = m.instruct("Write.").require(lower()).start().await.unwrap();
    assert_eq!(*thunk.await.unwrap(), "fine", "the session's strategy repairs");
    let error = m.instruct("Write.").require(lower()).start().await.unwrap().await.unwrap_err();
    assert_eq!(error.attempts().len(), 2);
}

/// At most so many words.
struct MaxWords(usize, bool);

impl StreamCheck for MaxWords {
    fn feed(&mut self, text: &str) -> StreamVerdict {
        for c in text.chars() {
            let inside = !c.is_whitespace();
            if inside && !self.1 {
                match self.0.checked_sub(1) {
                    Some(left) => self.0 = left,
                    None => return StreamVerdict::Fail("Too many words.".into()),
                }
            }
            self.1 = inside;
        }
        StreamVerdict::NotYet
    }
}

#[tokio::test(start_paused = true)]
async fn a_failing_check_ends_the_generation_early() {
    let long = || Reply::text("one two three four five").chunks(4).pace(Duration::from_secs(1));
    let brief = || check("At most two words.").stream_check(|| MaxWords(2, false));
    let m = Session::new(ScriptedBackend::new([long()]));
    let begin = tokio::time::Instant::now();
    let mut stream = m.instruct("Write.").require(brief()).stream().await.unwrap();
    assert_eq!(text(&mut stream).await, "one two thre");
    assert!(begin.elapsed() < Duration::from_secs(4), "{:?}", begin.elapsed());
    let error = stream.finish().await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::StreamCheck { check, .. } if check == "At most two words."), "{error}");
    assert!(error.is_answer_fault());

    let m = Session::new(ScriptedBackend::new([long(), Reply::text("one two")]));
    let answer = m.instruct("Write.").require(brief()).await.unwrap();
    assert_eq!((&**answer, answer.attempts().len()), ("one two", 2));
    assert_eq!(answer.attempts()[0].complaints(), ["Too many words."]);
}

struct EndsWithStop(bool);

impl StreamCheck for EndsWithStop {
    fn feed(&mut self, text: &str) -> StreamVerdict {
        self.0 = text.chars().next_back().map_or(self.0, |c| c == '.');
        StreamVerdict::NotYet
    }

    fn end(&mut self) -> StreamVerdict {
        if self.0 { StreamVerdict::Pass } else { StreamVerdict::Fail("It ends without a full stop.".into()) }
    }
}

#[tokio::test]
async fn a_check_may_wait_for_the_end() {
    let m = Session::new(ScriptedBackend::new(["A sentence", "A sentence."]));
    let whole = check("A whole sentence.").stream_check(|| EndsWithStop(false));
    assert_eq!(*m.instruct("Write.").require(whole).await.unwrap(), "A sentence.");
}

proptest! {
    #[test]
    fn a_check_says_the_same_for_any_cut(chunks in 1..40_usize) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let (held, refused) = runtime.block_on(async {
            let replies = [Reply::text("one two").chunks(chunks), Reply::text("one two three").chunks(chunks)];
            let m = Session::new(ScriptedBackend::new(replies));
            let brief = || check("Brief.").stream_check(|| MaxWords(2, false));
            let strategy = || RejectionSampling::new(1);
            let held = m.instruct("Write.").require(brief()).strategy(strategy()).await.is_ok();
            (held, m.instruct("Write.").require(brief()).strategy(strategy()).await.is_err())
        });
        prop_assert!(held && refused);
    }
}

#[tokio::test]
async fn a_cut_answer_is_a_warning_or_a_fault() {
    let cut = || Reply::text("half an answ").finish(FinishReason::Length);
    let m = Session::new(ScriptedBackend::new([cut(), cut(), cut(), cut(), cut()]));
    let plain = m.instruct("Write.").await.unwrap();
    assert!(plain.warnings().iter().any(|w| w.to_string().contains("cut")), "{:?}", plain.warnings());
    let error = m.instruct("Write.").require(lower()).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Truncated { .. }), "{error}");
    assert_eq!(error.attempts().len(), 2);
    let accepted = m.instruct("Write.").require(lower()).on_cut(mellea_core::sampling::CutPolicy::Accept).await.unwrap();
    assert_eq!(*accepted, "half an answ");
    let refused = m.instruct("Write.").on_cut(mellea_core::sampling::CutPolicy::Refuse);
    assert!(refused.strategy(RejectionSampling::new(1)).await.is_err());

    let filtered = || Reply::text("half an answ").finish(FinishReason::ContentFilter);
    let m = Session::new(ScriptedBackend::new([filtered(), filtered(), filtered()]));
    assert!(!m.instruct("Write.").await.unwrap().warnings().is_empty());
    let error = m.instruct("Write.").require(lower()).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::ContentFiltered), "{error}");
}
