//! What holds for every body, however the network cuts it.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::*;

/// All frames of a body that arrives in these pieces.
fn read<F: Frames + Default>(pieces: &[&[u8]]) -> Vec<Frame> {
    let (mut frames, mut all) = (F::default(), Vec::new());
    for piece in pieces {
        frames.push(Bytes::copy_from_slice(piece));
        while let Some(frame) = frames.next().unwrap() {
            all.push(frame);
        }
    }
    while let Some(frame) = frames.rest() {
        all.push(frame);
    }
    all
}

/// `body` cut at these places; the same place twice makes an empty piece.
fn cut<'b>(body: &'b [u8], places: &[Index]) -> Vec<&'b [u8]> {
    let mut places: Vec<usize> = places.iter().map(|place| place.index(body.len() + 1)).collect();
    places.sort_unstable();
    let (mut pieces, mut from) = (Vec::new(), 0);
    for to in places.into_iter().chain([body.len()]) {
        pieces.push(&body[from..to]);
        from = to;
    }
    pieces
}

/// What an event stream is made of, whole and broken.
fn event_stream() -> impl Strategy<Value = String> {
    let parts = [
        "data: ",
        "data:",
        "data",
        "event: ",
        "event",
        "id: 1",
        "retry: 9",
        ": note",
        "{\"error\":1}",
        "{",
        "\n",
        "\n",
        "\n\n",
        "\r\n",
        "\r\n\r\n",
        "\r",
        "\u{FEFF}",
        " ",
        ":",
        "a",
        "ä😀",
        "[DONE]",
    ];
    vec(select(parts.to_vec()), 0..40).prop_map(|parts| parts.concat())
}

/// Lines of JSON, and what comes instead of them.
fn json_lines() -> impl Strategy<Value = String> {
    vec(select(&["{\"a\":1}", "{\"b\":\"ä😀\"}", "\n", "\r\n", "\r", " ", "\t", "x"]), 0..40)
        .prop_map(|parts| parts.concat())
}

/// The standard's rules for a whole body, line by line, with our kindnesses.
fn events_of_whole(body: &str) -> Vec<(String, String)> {
    let body = body.strip_prefix('\u{FEFF}').unwrap_or(body).replace("\r\n", "\n").replace('\r', "\n");
    let (mut all, mut event, mut data) = (Vec::new(), String::new(), Vec::<String>::new());
    // The end of the body ends the last event too.
    for line in body.split('\n').chain([""]) {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        if line.is_empty() {
            let event = std::mem::take(&mut event);
            if !data.is_empty() {
                all.push((event, std::mem::take(&mut data).join("\n")));
            }
        } else if name == "error" && line.contains(':') {
            event = "error".to_owned();
            data.push(value.to_owned());
        } else if line.starts_with('{') || name == "data" {
            let value = if line.starts_with('{') { line } else { value };
            let begins = value.starts_with('{') || value.starts_with("[DONE]");
            let is_split = begins && matches!(&data[..], [one] if is_whole(str::as_bytes(one)));
            if is_split {
                all.push((std::mem::take(&mut event), std::mem::take(&mut data).join("\n")));
            }
            data.push(value.to_owned());
            if !is_split && data == ["[DONE]"] {
                all.push((std::mem::take(&mut event), std::mem::take(&mut data).join("\n")));
            }
        } else if name == "event" {
            event = value.to_owned();
        }
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_cut_gives_the_same_events(
        body in event_stream(),
        places in vec(any::<Index>(), 0..20),
    ) {
        let body = body.as_bytes();
        prop_assert_eq!(read::<Events>(&cut(body, &places)), read::<Events>(&[body]));
    }

    #[test]
    fn any_cut_of_any_bytes_gives_the_same_frames(
        body in vec(any::<u8>(), 0..200),
        places in vec(any::<Index>(), 0..20),
    ) {
        prop_assert_eq!(read::<Events>(&cut(&body, &places)), read::<Events>(&[&body]));
        prop_assert_eq!(read::<JsonLines>(&cut(&body, &places)), read::<JsonLines>(&[&body]));
    }

    #[test]
    fn events_are_those_of_the_standard(body in event_stream()) {
        prop_assume!(!body.trim_start_matches(['\u{FEFF}', ' ', '\r', '\n']).starts_with(['{', '[']));
        let text = |bytes: &Bytes| String::from_utf8(bytes.to_vec()).unwrap();
        let events: Vec<_> = read::<Events>(&[body.as_bytes()])
            .iter()
            .map(|frame| (text(&frame.event), text(&frame.data)))
            .collect();
        prop_assert_eq!(events, events_of_whole(&body));
    }

    #[test]
    fn lines_are_those_that_say_something(
        body in json_lines(),
        places in vec(any::<Index>(), 0..20),
    ) {
        let lines = read::<JsonLines>(&cut(body.as_bytes(), &places));
        let expected = body.split('\n').map(str::trim_ascii).filter(|line| !line.is_empty());
        prop_assert!(lines.iter().map(|frame| &frame.data[..]).eq(expected.map(str::as_bytes)));
    }
}
