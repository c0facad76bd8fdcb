//! The engine on a small random model with a byte-level tokenizer: fairness, cancellation, reuse, bounds.

use std::path::Path;

use super::*;
use crate::load::tests::decoder;
use crate::model::Precision;

/// The fixture has 256 rows: every byte is a token, and byte 1 ends an answer.
fn engine(options: EngineOptions) -> EngineHandle {
    EngineHandle::start(parts(options), None).unwrap()
}

fn parts(options: EngineOptions) -> Engine {
    let tokenizer = Arc::new(crate::tokenizer::tests::tokenizer());
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/llama");
    let decoder = decoder(&directory, Precision::F32).unwrap();
    Engine::new(decoder, tokenizer, vec![1], options)
}

fn request(prompt: &str, seed: Option<u64>) -> Request {
    Request {
        prompt: prompt.bytes().map(u32::from).collect(),
        sampling: Sampling { temperature: if seed.is_some() { 1.0 } else { 0.0 }, seed, ..Sampling::default() },
        max_new_tokens: 20,
        constraint: None,
        output: OutputRules::default(),
        keep_logits: KeepLogits::None,
    }
}

#[derive(Debug, PartialEq)]
struct Answer {
    text: String,
    reason: Finish,
    stats: Stats,
}

fn collect(mut updates: mpsc::UnboundedReceiver<Result<Update>>) -> Result<Answer> {
    let mut text = String::new();
    loop {
        match updates.blocking_recv().expect("an answer ends with a last update")? {
            Update::Piece(Piece::Text(piece)) => text.push_str(&piece),
            Update::Finished { reason, stats } => {
                assert!(updates.blocking_recv().is_none(), "nothing follows the end");
                return Ok(Answer { text, reason, stats });
            }
            Update::Piece(_) | Update::Logits(_) => {}
        }
    }
}

fn ask(engine: &EngineHandle, request: Request) -> Answer {
    collect(engine.submit(request).unwrap()).unwrap()
}

fn prompts() -> Vec<(String, Option<u64>)> {
    (0..8).map(|n| (format!("prompt {n} {}", "x".repeat(n * 5)), (n % 2 == 1).then_some(n as u64))).collect()
}

#[test]
fn eight_together_give_what_each_gives_alone() {
    let alone: Vec<Answer> =
        prompts().iter().map(|(prompt, seed)| ask(&engine(EngineOptions::default()), request(prompt, *seed))).collect();
    for prefix_bytes in [0, 1 << 20] {
        let engine = engine(EngineOptions { prefix_bytes, chunk: 16, ..EngineOptions::default() });
        let under_way: Vec<_> = prompts().iter().map(|(prompt, seed)| engine.submit(request(prompt, *seed)).unwrap()).collect();
        for (alone, updates) in alone.iter().zip(under_way) {
            let together = collect(updates).unwrap();
            assert_eq!((&together.text, together.reason), (&alone.text, alone.reason));
            assert_eq!(together.stats.completion_tokens, alone.stats.completion_tokens);
        }
    }
}

#[test]
fn fifty_in_a_row_do_not_disturb_each_other() {
    let engine = engine(EngineOptions { prefix_bytes: 0, ..EngineOptions::default() });
    let first = ask(&engine, request("the same prompt", None));
    for _ in 0..50 {
        let again = ask(&engine, request("the same prompt", None));
        assert_eq!((again.text, again.reason), (first.text.clone(), first.reason));
    }
}

#[test]
fn reuse_is_counted_and_changes_nothing() {
    let without = engine(EngineOptions { prefix_bytes: 0, ..EngineOptions::default() });
    let with = engine(EngineOptions::default());
    let turns = ["a first question, long enough", "a first question, long enough to share", "a first question, other"];
    let mut cached = 0;
    for turn in turns {
        let (cold, warm) = (ask(&without, request(turn, None)), ask(&with, request(turn, None)));
        assert_eq!(cold.text, warm.text);
        assert_eq!(cold.stats.cached_tokens, 0);
        cached += warm.stats.cached_tokens;
    }
    assert_eq!(cached, turns[0].len() + "a first question, ".len());
}

#[test]
fn usage_and_reason_are_always_there() {
    let engine = engine(EngineOptions::default());
    let answer = ask(&engine, request("some prompt", None));
    assert_eq!(answer.stats.prompt_tokens, "some prompt".len());
    assert!(answer.stats.time_to_first_token.is_some());
    match answer.reason {
        Finish::Length => assert_eq!(answer.stats.completion_tokens, 20),
        Finish::Stop => assert!(answer.stats.completion_tokens <= 20),
    }
    let none = ask(&engine, Request { max_new_tokens: 0, ..request("x", None) });
    assert_eq!((none.text.as_str(), none.reason, none.stats.completion_tokens), ("", Finish::Length, 0));
}

#[test]
fn the_context_ends_an_answer() {
    let engine = engine(EngineOptions::default());
    let long = "y".repeat(250);
    let request = Request { max_new_tokens: 1000, ..request(&long, Some(3)) };
    let answer = ask(&engine, request);
    // The fixture attends to 256 positions.
    assert!(answer.stats.completion_tokens <= 6);
}

#[test]
fn a_stop_sequence_cuts_the_text() {
    let engine = engine(EngineOptions::default());
    let whole = ask(&engine, request("stop here", Some(5)));
    let chars: Vec<char> = whole.text.chars().collect();
    let stop: String = chars[5..8].iter().collect();
    let mut stopping = request("stop here", Some(5));
    stopping.output.stop = vec![stop.clone()];
    let answer = ask(&engine, stopping);
    assert_eq!(answer.reason, Finish::Stop);
    assert_eq!(answer.text, whole.text[..whole.text.find(&stop).unwrap()]);
}

#[test]
fn a_constraint_holds_whatever_the_weights() {
    let engine = engine(EngineOptions::default());
    let constraint = Some(Constraint::Regex("[a-c]{3}(no|yes)".to_owned()));
    let answer = ask(&engine, Request { constraint, ..request("constrained", Some(1)) });
    assert_eq!(answer.reason, Finish::Stop);
    assert!(answer.text[..3].bytes().all(|byte| (b'a'..=b'c').contains(&byte)), "{}", answer.text);
    assert!(["no", "yes"].contains(&&answer.text[3..]), "{}", answer.text);
}

#[test]
fn a_bad_constraint_fails_one_request_only() {
    let engine = engine(EngineOptions::default());
    let bad = Request { constraint: Some(Constraint::Regex("(".to_owned())), ..request("x", None) };
    let bad = engine.submit(bad).unwrap();
    let good = engine.submit(request("y", None)).unwrap();
    assert!(matches!(collect(bad).unwrap_err().kind(), ErrorKind::Grammar { .. }));
    assert!(collect(good).is_ok());
}

#[test]
fn dropping_the_receiver_ends_the_work_and_a_full_queue_is_busy() {
    let engine = engine(EngineOptions { queue: 2, active: 1, ..EngineOptions::default() });
    let long = || Request { max_new_tokens: 200, ..request("a long one", Some(2)) };
    let mut first = engine.submit(long()).unwrap();
    assert!(first.blocking_recv().is_some(), "the first one is under way");
    let waiting = [engine.submit(long()).unwrap(), engine.submit(long()).unwrap()];
    let refused = engine.submit(long()).unwrap_err();
    assert!(matches!(refused.kind(), ErrorKind::Busy { capacity: 2 }) && refused.is_retryable());
    drop(first);
    drop(waiting);
    // With everything cancelled, the next one is served at once.
    let next = loop {
        match engine.submit(request("next", None)) {
            Ok(updates) => break updates,
            Err(_) => thread::yield_now(),
        }
    };
    assert!(collect(next).is_ok());
}

#[test]
fn logits_come_with_every_token() {
    let engine = engine(EngineOptions::default());
    for keep_logits in [KeepLogits::Raw, KeepLogits::Processed] {
        let mut updates = engine.submit(Request { keep_logits, ..request("scores", None) }).unwrap();
        let (mut rows, mut tokens) = (0, 0);
        while let Some(update) = updates.blocking_recv() {
            match update.unwrap() {
                Update::Logits(row) => {
                    assert_eq!(row.len(), 256);
                    rows += 1;
                }
                Update::Finished { stats, .. } => tokens = stats.completion_tokens,
                Update::Piece(_) => {}
            }
        }
        assert_eq!(rows, tokens);
    }
}

#[test]
fn rows_that_only_fill_the_matrix_are_never_chosen() {
    let mut parts = parts(EngineOptions::default());
    assert!(parts.padding.is_empty());
    parts.padding = (128..256).collect();
    let engine = EngineHandle::start(parts, None).unwrap();
    for seed in 0..4 {
        let sampling = Sampling { temperature: 50.0, seed: Some(seed), ..Sampling::default() };
        let answer = ask(&engine, Request { sampling, ..request("padded", None) });
        assert!(answer.text.is_ascii(), "{:?}", answer.text);
    }
}

#[test]
fn several_tokens_may_end_an_answer() {
    let mut parts = parts(EngineOptions::default());
    parts.eos = (0..256).collect();
    let engine = EngineHandle::start(parts, None).unwrap();
    let answer = ask(&engine, request("any end", None));
    assert_eq!((answer.text.as_str(), answer.reason, answer.stats.completion_tokens), ("", Finish::Stop, 1));
}

#[test]
fn kept_prefixes_stay_within_their_bound() {
    let parts = parts(EngineOptions::default());
    let mut store = PrefixStore::new(0);
    let fill = |count: u32| {
        let tokens: Vec<u32> = (count..count + 40).map(|token| token % 256).collect();
        let mut cache = parts.decoder.new_cache();
        let row = crate::model::Row { tokens: &tokens, cache: &mut cache };
        parts.decoder.forward(&mut [row], crate::model::Positions::Last).unwrap();
        (tokens, cache)
    };
    let (tokens, cache) = fill(0);
    let size = cache.bytes();
    store.insert(tokens.clone(), cache);
    assert!(store.find(&tokens).unwrap().is_none(), "a bound of zero keeps nothing");
    let mut store = PrefixStore::new(3 * size);
    for count in 0..10 {
        let (tokens, cache) = fill(count);
        store.insert(tokens, cache);
        assert!(store.bytes() <= 3 * size);
    }
    assert!(store.find(&tokens[..9]).unwrap().is_none(), "the oldest is gone");
    assert_eq!(store.find(&fill(9).0[..20]).unwrap().unwrap().len(), 20);
}
