//! Framing must not depend on where the network cuts.

use proptest::prelude::*;

use super::*;

/// What a framer makes of pieces: the frames, and whether the end was clean.
fn frames<F: Framer>(mut framer: F, pieces: &[&[u8]]) -> Result<Vec<F::Frame>, Fault> {
    let mut all = Vec::new();
    for piece in pieces {
        framer.push(piece);
        while let Some(frame) = framer.next() {
            all.push(frame?);
        }
    }
    all.extend(framer.finish().transpose()?);
    Ok(all)
}

fn data(text: &str) -> SseEvent {
    SseEvent { name: String::new(), data: text.to_owned() }
}

#[test]
fn events_in_every_form() {
    for (stream, expected) in [
        ("data: a\n\ndata: b\n\n", vec![data("a"), data("b")]),
        ("data:a\r\n\r\ndata: b\r\n\r\n", vec![data("a"), data("b")]),
        ("data: a\r\rdata: b\r\r", vec![data("a"), data("b")]),
        ("data:  a\n\n", vec![data(" a")]),
        ("data: a\ndata: b\ndata\n\n", vec![data("a\nb\n")]),
        (": a comment\ndata: a\n: another\n\n", vec![data("a")]),
        ("id: 1\nretry: 5\nunknown: x\ndata: a\n\n", vec![data("a")]),
        ("event: error\ndata: a\n\n", vec![SseEvent { name: "error".into(), data: "a".into() }]),
        ("event: ping\n\ndata: a\n\n", vec![data("a")]),
        ("\u{feff}data: a\n\n", vec![data("a")]),
        ("data: a\n\ndata: last", vec![data("a"), data("last")]),
        ("data: a\n\ndata: last\n", vec![data("a"), data("last")]),
        ("data: a:b: c\n\n", vec![data("a:b: c")]),
        ("data:\n\n", vec![data("")]),
        ("\n\n\n: only comments\n\n", vec![]),
        ("", vec![]),
    ] {
        assert_eq!(frames(SseFramer::default(), &[stream.as_bytes()]), Ok(expected), "{stream:?}");
    }
}

#[test]
fn an_event_name_does_not_outlive_its_event() {
    let events = frames(SseFramer::default(), &[b"event: a\ndata: 1\n\ndata: 2\n\n"]).unwrap();
    assert_eq!(events[1].name, "");
}

#[test]
fn lines_in_every_form() {
    for (stream, expected) in [
        ("{\"a\":1}\n{\"b\":2}\n", vec!["{\"a\":1}", "{\"b\":2}"]),
        ("{}\r\n\r\n  \n{}\r{}", vec!["{}", "{}", "{}"]),
        ("\u{feff}{}", vec!["{}"]),
        ("\u{feff}", vec![]),
        ("日本語\n", vec!["日本語"]),
    ] {
        let expected: Vec<String> = expected.into_iter().map(str::to_owned).collect();
        let found = frames(LineFramer::default(), &[stream.as_bytes()]);
        assert_eq!(found, Ok(expected), "{stream:?}");
    }
}

#[test]
fn every_cut_gives_the_same_events() {
    let stream = "\u{feff}: hi\r\nevent: x\r\ndata: {\"t\":\"日本\"}\r\n\r\ndata: 😀\rdata: b\r\rdata: [DONE]\n\n".as_bytes();
    let whole = frames(SseFramer::default(), &[stream]).unwrap();
    assert_eq!(whole.len(), 3);
    for first in 0..=stream.len() {
        for second in first..=stream.len() {
            let pieces = [&stream[..first], &stream[first..second], &stream[second..]];
            assert_eq!(frames(SseFramer::default(), &pieces).unwrap(), whole, "cut at {first} and {second}");
        }
    }
    let bytes: Vec<&[u8]> = stream.chunks(1).collect();
    assert_eq!(frames(SseFramer::default(), &bytes).unwrap(), whole);
}

#[test]
fn a_cut_within_a_character_is_no_event() {
    let stream = "data: ok\n\ndata: 日".as_bytes();
    assert_eq!(frames(SseFramer::default(), &[&stream[..stream.len() - 1]]), Err(Fault::Cut));
    assert_eq!(frames(LineFramer::default(), &["{}\n日".as_bytes().split_last().unwrap().1]), Err(Fault::Cut));
}

#[test]
fn bytes_that_are_no_text_are_a_fault() {
    assert_eq!(frames(SseFramer::default(), &[b"data: \xff\xfe\n\n"]), Err(Fault::NotUtf8));
    assert_eq!(frames(LineFramer::default(), &[b"\xff\n"]), Err(Fault::NotUtf8));
}

#[test]
fn memory_is_bounded() {
    let piece = [b'a'; 1024];
    let mut lines = LineFramer::with_limit(10_000);
    let mut fault = None;
    for count in 0.. {
        assert!(count < 100, "an endless line must end");
        lines.push(&piece);
        if let Some(found) = lines.next() {
            fault = Some(found);
            break;
        }
    }
    assert_eq!(fault, Some(Err(Fault::TooLong(10_000))));

    let mut events = SseFramer::with_limit(10_000);
    let mut line = b"data: ".to_vec();
    line.extend(piece);
    line.push(b'\n');
    let found = (0..100).find_map(|_| {
        events.push(&line);
        events.next()
    });
    assert_eq!(found, Some(Err(Fault::TooLong(10_000))), "many lines of one event");
}

/// Bytes that are likely to be cut badly.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        Just("data: ".as_bytes().to_vec()),
        Just(b"data:{\"a\":1}".to_vec()),
        Just(b"event: e".to_vec()),
        Just(b": c".to_vec()),
        Just(b"\n".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(b"\r".to_vec()),
        Just("é日😀".as_bytes().to_vec()),
        Just("\u{feff}".as_bytes().to_vec()),
        proptest::collection::vec(any::<u8>(), 0..4),
    ];
    proptest::collection::vec(part, 0..24).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn any_cut_of_any_bytes_gives_the_same(bytes in bytes(), cuts in proptest::collection::vec(0_usize..200, 0..8)) {
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
        cuts.push(0);
        cuts.push(bytes.len());
        cuts.sort_unstable();
        let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
        prop_assert_eq!(frames(SseFramer::default(), &pieces), frames(SseFramer::default(), &[&bytes]));
        prop_assert_eq!(frames(LineFramer::default(), &pieces), frames(LineFramer::default(), &[&bytes]));
    }
}
