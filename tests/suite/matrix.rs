//! Every feature of a call beside every other: each pair works, and the table says so.

use std::fmt::Debug;

use futures_util::StreamExt;
use mellea::Delta;
use mellea::blocking::{self, Wait};
use mellea::prelude::*;
use mellea::session::Instruct;
use mellea::testing::{Reply, ScriptedBackend};
use mellea::tool::{ToolCall, tool_fn};
use serde_json::json;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Feature {
    Plain,
    Typed,
    Required,
    Tools,
    Streamed,
    Blocking,
    Generative,
}

use Feature::*;

const ALL: [Feature; 7] = [Plain, Typed, Required, Tools, Streamed, Blocking, Generative];

#[derive(Debug, Deserialize, JsonSchema)]
struct Mood {
    mood: String,
}

/// Say how the writer feels, in one word.
#[generative]
async fn mood_in_a_word(text: &str) -> String;

/// Say how the writer feels.
#[generative]
async fn mood(text: &str) -> Mood;

#[derive(Deserialize, JsonSchema)]
struct Word {
    word: String,
}

/// What became of a call.
#[derive(Debug, Default)]
struct Seen {
    value: String,
    pieces: String,
    tools: usize,
}

/// A call with these features, on a backend that answers wrongly at first where requirements would notice.
fn run(features: &[Feature]) -> mellea::Result<Seen> {
    let has = |feature| features.contains(&feature);
    let answer = |mood: &str| if has(Typed) { json!({ "mood": mood }).to_string() } else { mood.to_owned() };
    let look = Reply::tool_calls([ToolCall::new("look_up", json!({ "word": "glad" }))]);
    let mut replies = if has(Tools) { vec![look] } else { Vec::new() };
    // A stream makes one attempt.
    if has(Required) && !has(Streamed) {
        replies.push(answer("SAD").into());
    }
    replies.push(answer("glad").into());
    let m = Session::new(ScriptedBackend::new(replies));
    let text = "What a day!";
    match (has(Generative), has(Typed)) {
        (false, false) => finish(m.instruct("How does the writer feel?").input("text", text).bare(), features, |s| s),
        (false, true) => {
            finish(m.instruct("How does the writer feel?").input("text", text).format::<Mood>().bare(), features, |m| m.mood)
        }
        (true, false) => finish(mood_in_a_word(&m, text), features, |s| s),
        (true, true) => finish(mood(&m, text), features, |m| m.mood),
    }
}

fn finish<T>(call: Instruct<T, mellea::session::Bare>, features: &[Feature], value: fn(T) -> String) -> mellea::Result<Seen>
where
    T: Debug + Send + Sync + 'static,
{
    let has = |feature| features.contains(&feature);
    let mut call = call;
    if has(Required) {
        call = call.require(req("Use lower-case letters.").validate(|text| text == text.to_lowercase()));
    }
    if has(Tools) {
        let look_up = tool_fn("look_up", "What a word means.", |Word { word }| Ok(format!("{word} is a mood")));
        call = call.tool(look_up).tool_rounds(3);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let mut seen = Seen::default();
    let mut see = |delta: Delta| match delta {
        Delta::ToolEnded(_) => seen.tools += 1,
        piece => seen.pieces += &piece.into_text(),
    };
    let done = match (has(Streamed), has(Blocking)) {
        (false, false) => runtime.block_on(call.into_future())?,
        (false, true) => call.wait()?,
        (true, false) => runtime.block_on(async {
            let mut stream = call.stream().await?;
            while let Some(delta) = stream.next().await {
                see(delta?);
            }
            stream.finish().await.map(mellea::Output::into_value)
        })?,
        (true, true) => {
            let stream = blocking::wait(call.stream())?;
            let mut pieces = blocking::iterate(stream);
            for delta in pieces.by_ref() {
                see(delta?);
            }
            let stream = pieces.into_inner().expect("the stream has ended, and is still there");
            blocking::wait(stream.finish())?.into_value()
        }
    };
    Ok(Seen { value: value(done), ..seen })
}

fn cell(a: Feature, b: Feature) -> String {
    // Plain is what there is without a type.
    if (a, b) == (Plain, Typed) || (a, b) == (Typed, Plain) {
        return "-".to_owned();
    }
    match run(&[a, b]) {
        Ok(seen) => {
            assert_eq!(seen.value, "glad", "{a:?} with {b:?}");
            if [a, b].contains(&Streamed) {
                assert!(seen.pieces.contains("glad"), "{a:?} with {b:?}: {seen:?}");
                assert_eq!(seen.tools, usize::from([a, b].contains(&Tools)), "{a:?} with {b:?}: a stream shows tools");
            }
            "works".to_owned()
        }
        Err(error) => error.to_string(),
    }
}

#[test]
fn every_feature_combines_with_every_other() {
    let mut table = format!("{:<11}", "with");
    ALL.iter().for_each(|feature| table += &format!("{:<11}", format!("{feature:?}")));
    for a in ALL {
        table += &format!("\n{:<11}", format!("{a:?}"));
        ALL.iter().for_each(|b| table += &format!("{:<11}", cell(a, *b)));
    }
    let table: String = table.lines().map(|line| format!("{}\n", line.trim_end())).collect();
    println!("{table}");
    assert_eq!(
        table,
        "\
with       Plain      Typed      Required   Tools      Streamed   Blocking   Generative
Plain      works      -          works      works      works      works      works
Typed      -          works      works      works      works      works      works
Required   works      works      works      works      works      works      works
Tools      works      works      works      works      works      works      works
Streamed   works      works      works      works      works      works      works
Blocking   works      works      works      works      works      works      works
Generative works      works      works      works      works      works      works
"
    );
}

#[test]
fn all_features_together_work() {
    let seen = run(&[Typed, Required, Tools, Streamed, Blocking, Generative]).unwrap();
    assert_eq!((seen.value.as_str(), seen.tools), ("glad", 1));
}
